#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4301 section 7: fragments that show no ports follow their first one through a policy that has
# ports, in both gateways; alone they are dropped and counted, and never fall to the bypass behind
# it. ICMP goes by type (section 4.4.1.1).

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
# UDP to port 7000 and echo are protected, timestamp requests discarded; all else may go in clear.
policies() {
	local me=$1 peer ports; peer=$(peer_of "$1")
	ports=remote_ports
	[ "$me" = gw1 ] || ports=local_ports
	policy udp-7000 protect tunnel t4 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" \
		protocol udp $ports 7000
	policy echo protect tunnel t4 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" \
		protocol icmp icmp_type '[0, 8]' icmp_code 0
	policy timestamp discard protocol icmp icmp_type 13-14
	policy rest bypass local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24"
}
gateways_up
kernel_routes gw1 10.2.0.0/24 192.0.2.2

# Sends one fragment (identification 7): send <offset in 8 bytes> <more> <protocol> <hex payload>
send_fragment() {
	run hostA /usr/bin/python3 - "$@" <<-'PY'
	import socket, struct, sys
	offset, more, proto = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
	payload = bytes.fromhex(sys.argv[4])
	s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
	head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, more << 13 | offset, 64, proto, 0,
			   socket.inet_aton("10.1.0.2"), socket.inet_aton("10.2.0.2"))
	s.sendto(head + payload, ("10.2.0.2", 0))
	PY
}

# Whole datagrams, three fragments each, out of the other end.
start received hostB /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.2.0.2", 7000))
for i in range(10): print(len(s.recv(65535)), flush=True)'
until_ok 5 run hostB sh -c 'ss -lun | grep -q :7000'
capture wire w1
run hostA /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)
for i in range(10): s.sendto(bytes(3500), ("10.2.0.2", 7000))'
until_ok 5 sh -c "[ \$(grep -c 3500 '$TMP/received') = 10 ]"
stop_capture wire w1
wire only-esp "$CAPTURE" || die "fragments of protected traffic in clear"
expect_counter gw1 fragment-unknown 0
expect_counter gw2 selector-mismatch 0
say "10 datagrams in 3 fragments each went through a policy with a port, and nothing of them in clear"

# Later fragments alone: in clear they would be let in by "rest".
capture wire w1
for _ in 1 2 3 4 5; do send_fragment 185 0 17 "$(printf '00%.0s' {1..32})"; done
send_fragment 185 0 6 "$(printf '00%.0s' {1..32})" # no policy with ports is TCP's: bypass
expect_counter gw1 fragment-unknown 5
stop_capture wire w1
expect_equal "packets in clear" "$(wire count "$CAPTURE" | jq '(.ip // 0) + (.fragment // 0)')" 1
say "5 later fragments without their first: dropped and counted"

# By type: echo is protected, timestamps are discarded.
capture wire w1
pings hostA 3 10.2.0.2
send_fragment 0 0 1 "0d00f2ff000000000000000000000000000000000000"
expect_counter gw1 discard 1
stop_capture wire w1
wire only-esp "$CAPTURE" || die "ICMP in clear"
expect_equal "echo requests and replies" "$(policy_field gw1 echo .packets)" 3
say "echo in ESP, a timestamp request discarded"
