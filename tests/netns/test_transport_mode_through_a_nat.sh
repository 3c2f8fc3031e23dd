#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Transport mode in UDP through a NAT, RFC 3948 sections 3.1.2, 3.2, 3.3: TCP, UDP and ICMPv6, which sum up
# addresses that the NAT changed, arrive right for the kernel: adjusted by nat_oa_local and nat_oa_remote,
# or computed anew without them. The control: with a wrong original address the kernel refuses all of it. Datagrams
# cut behind ESP pass; a mapping that changes port, then address, is followed under the peer's old name.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
. "$(dirname "$0")/nat.sh"
need nft nc tcpdump

ORIGINALS=known WRONG=
tunnel_keys() {
	local four=172.16.0.1 six=fd00:16::1
	[ -z "$WRONG" ] || four=10.9.9.9 six=2001:db8:bad::1
	printf '    encap: udp\n    udp_checksum: %s\n' $CHECKSUM
	case $1 in
	gw1) printf '    keepalive: 1\n' ;;
	gw2) printf '    follow_peer: yes\n    keepalive: 0\n    remote_port: 1\n' ;;
	esac
	[ $ORIGINALS = known ] || return 0
	case $1-$2 in
	gw1-t4) printf '    nat_oa_local: %s\n' $NAT ;;
	gw1-t6) printf '    nat_oa_local: %s\n' $NAT6 ;;
	gw2-t4) printf '    nat_oa_remote: %s\n' $four ;;
	gw2-t6) printf '    nat_oa_remote: %s\n' $six ;;
	esac
}
policies() {
	policy hosts4 protect tunnel t4
	policy hosts6 protect tunnel t6
}
# shellcheck disable=SC2034 # for gateway.sh
MODE=transport

reach() { run gw1 ping -q -c 1 -W 1 192.0.2.2 && run gw1 ping -q -c 1 -W 1 2001:db8:ffff::2; }
# What the kernel refused for its checksum: TCP's, UDP's and ICMPv6's.
refused() {
	run "$1" awk '$1 ~ /^(Tcp|Udp):$/ { for (i = 2; i <= NF; i++) if ($i == "InCsumErrors") at[$1] = i; else
		if (at[$1] == i) n += $i } END { print n + 0 }' /proc/net/snmp
	run "$1" awk '/(Udp6InCsumErrors|Icmp6InCsumErrors|Icmp6InErrors)/ { n += $2 } END { print n + 0 }' /proc/net/snmp6
}
all_refused() { { refused gw1; refused gw2; } | awk "{ n += \$1 } END { print n }"; }

datagram() { # datagram <from> <to> <address> <address that listens>
	start "udp-$2.log" "$2" nc -u -l -W 1 "$4" 7000
	until_ok 5 sh -c "nsenter --net=$PATH_OF_NS-$2 ss -Hlun 'sport = :7000' | grep -q ."
	echo "datagram of $1 $NS" | run "$1" nc -u -w 1 "$3" 7000
	until_ok 5 grep -q "datagram of $1 $NS" "$TMP/udp-$2.log"
	rm -f "$TMP/udp-$2.log"
}

converse() {
	pings gw1 20 192.0.2.2
	pings gw2 20 $NAT
	pings gw1 20 2001:db8:ffff::2
	pings gw2 20 $NAT6
	head -c 300000 /dev/urandom >"$TMP/file"
	transfer gw1 172.16.0.1 gw2 192.0.2.2 "$TMP/file"
	transfer gw2 192.0.2.2 gw1 $NAT "$TMP/file" 172.16.0.1
	transfer gw1 fd00:16::1 gw2 2001:db8:ffff::2 "$TMP/file"
	transfer gw2 2001:db8:ffff::2 gw1 $NAT6 "$TMP/file" fd00:16::1
	datagram gw1 gw2 192.0.2.2 192.0.2.2
	datagram gw2 gw1 $NAT 172.16.0.1
	datagram gw1 gw2 2001:db8:ffff::2 2001:db8:ffff::2
	datagram gw2 gw1 $NAT6 fd00:16::1
}

topology_up
nat_up
port=31000
for ORIGINALS in known unknown; do
	[ $ORIGINALS = known ] && CHECKSUM=auto || CHECKSUM=compute
	gateways_up
	until_ok 10 reach
	until_ok 5 peer_at t4 "$NAT port $port"
	until_ok 5 peer_at t6 "$NAT6 port $port"
	before=$(all_refused)
	capture wire w2
	converse
	# Larger than the path takes: cut behind ESP and UDP, put together before them.
	pings gw1 3 192.0.2.2 -s 4000 -M dont
	pings gw2 3 $NAT -s 20000 -M dont
	pings gw1 3 2001:db8:ffff::2 -s 4000
	pings gw2 3 $NAT6 -s 20000
	stop_capture wire w2
	expect_equal "$ORIGINALS: refused by the kernels for a checksum" "$(all_refused)" "$before"
	clear=$(tcpdump -nn -r "$CAPTURE" "(ip and not udp port 4500 and not ip[6:2] & 0x1fff != 0) or
		(ip6 and not (ip6 proto 17 and udp port 4500) and not ip6 proto 44 and
		not (ip6 proto 58 and ip6[40] >= 130 and ip6[40] <= 143) and not ip6 proto 0)" 2>/dev/null)
	[ -z "$clear" ] || die "not in UDP: $(head -n 5 <<<"$clear")"
	expect_equal "bad ICVs" "$(counter gw1 bad-icv)$(counter gw2 bad-icv)" 00
	expect_equal "mode shown" "$(sa_field gw2 t4-in .mode), $(sa_field gw2 t4-in .encap)" "transport, udp"
	say "original addresses $ORIGINALS: TCP, UDP, ICMP, whole and in pieces, no checksum refused"

	nat_maps_to $((port + 1))
	until_ok 10 reach
	until_ok 5 peer_at t4 "$NAT port $((port + 1))"
	until_ok 5 peer_at t6 "$NAT6 port $((port + 1))"
	converse
	port=32000 # a new one: the kernel may not have forgotten the first yet
	nat_maps_to $port
	for gw in gw1 gw2; do gateway_down $gw; forget_state $gw; done
done
say "followed to other ports"

# The control: what the kernel is told to expect is not what the peer summed up.
ORIGINALS=known WRONG=yes CHECKSUM=auto
gateways_up
until_ok 5 run gw1 ping -q -c 1 -W 1 192.0.2.2 # ICMPv4 sums up no addresses
before=$(all_refused)
run gw1 nc -N -w 2 192.0.2.2 9000 </dev/null >/dev/null 2>&1 || true
run gw1 ping -q -c 3 -i 0.2 -W 1 2001:db8:ffff::2 >/dev/null 2>&1 && die "ICMPv6 passes with a wrong original address"
[ "$(all_refused)" -ge $((before + 4)) ] || die "$(all_refused) refused for a checksum, $before before: is it looked at?"
say "with a wrong original address the kernels refused $(($(all_refused) - before)) packets"
for gw in gw1 gw2; do gateway_down $gw; forget_state $gw; done

# Another address of the NAT: the peer keeps its name, and so a connection its ends.
WRONG=
gateways_up
until_ok 10 reach
nat_maps_to 33000 192.0.2.253 2001:db8:ffff::fd
until_ok 10 reach
until_ok 5 peer_at t4 "192.0.2.253 port 33000"
until_ok 5 peer_at t6 "2001:db8:ffff::fd port 33000"
before=$(all_refused)
capture wire w2
converse
stop_capture wire w2
expect_equal "refused by the kernels for a checksum" "$(all_refused)" "$before"
[ "$(tcpdump -nn -r "$CAPTURE" 'dst host 192.0.2.253 and udp dst port 33000' 2>/dev/null | wc -l)" -gt 100 ] ||
	die "nothing was sent to where the peer is"
say "followed to another address, under the old one's name"
