#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Frames larger than a buffer: with an MTU of 9216 everywhere, packets of every size cross the tunnel
# in both directions, whole and unaltered, small and large ones mixed; one byte more than 9216 is a
# counted drop. The tunnel's MTU is right to the byte. In native and in generic mode, and with a wire of
# 1500 between, where large packets are fragmented or refused as ever.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp

LINK_MTU=9216 topology_up
python=$("$PYTHON" -c 'import sys; print(sys.executable)')
head -c 6000000 /dev/urandom >"$TMP/file"

# Datagrams of all sizes in an order that mixes them, sent in bursts and echoed; each must come back.
cat >"$TMP/mixed.py" <<'P'
import random, socket, sys, time
where, peer, burst, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in peer else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
if where == "echo":
    s.bind((peer, 4000))
    print("ready", flush=True)
    while True:
        data, sender = s.recvfrom(65535)
        s.sendto(data, sender)
random.seed(4)
s.settimeout(3)
edges = [1, 18, 1400, 3738, 3758, 3780, 3790, 3798, 3812, 3813, 4000, 4068, 7600, 7680, 8000, 8100, 8972]
for n in range(rounds):
    sent = {}
    for k in range(burst):
        size = edges[k % len(edges)] + random.randrange(0, 4) if k % 3 else random.randrange(1, 1000)
        size = min(size, 8972 - 20)
        data = bytes([n & 255, k & 255]) + random.randbytes(size)
        sent[data[:2]] = data
        s.sendto(data, (peer, 4000))
    while sent:
        try:
            data = s.recv(65535)
        except socket.timeout:
            print("round", n, "lost sizes", sorted(len(d) for d in sent.values()))
            sys.exit(1)
        if sent.pop(data[:2], None) != data:
            print("round", n, "altered or doubled:", len(data))
            sys.exit(1)
P
mixed() { # mixed <address of hostB>
	start "echo-$1.log" hostB "$python" "$TMP/mixed.py" echo "$1" 0 0
	until_ok 5 grep -q ready "$TMP/echo-$1.log"
	run hostA timeout --foreground 60 "$python" "$TMP/mixed.py" send "$1" 40 50 >"$TMP/mixed.log" 2>&1 ||
		die "mixed sizes to $1: $(tail -n 2 "$TMP/mixed.log")"
	stop "$STARTED"
	rm -f "$TMP/echo-$1.log"
}

# The frames that xespd worked with, when it ends: all there, or it says which are not.
all_accounted_for() { # all_accounted_for <gateway>
	grep -q 'frames, all accounted for' "$TMP/$1-xespd.log" ||
		die "$1: $(grep 'frames' "$TMP/$1-xespd.log" | tail -n 2)"
}

# Until the next hops are known, tunnels have Ethernet's MTU; xesp0 has that of the narrowest one.
tun_mtu() { run "$1" ip -j link show dev xesp0 | jq '.[0].mtu'; }
up() { # up <least MTU of the tunnels> [options of attach]
	local least=$1; shift
	ATTACH_OPTIONS=("$@")
	gateway_up gw1
	gateway_up gw2
	until_at_least "$least" tun_mtu gw1
	until_at_least "$least" tun_mtu gw2
}

# Both daemons end; what they held and counted is looked at.
down() {
	local gw
	for gw in gw1 gw2; do
		gateway_down "$gw"
		all_accounted_for "$gw"
		rm -f "$TMP/$gw-xespd.log"
	done
}
start_xespd() { # the daemon's own account of its frames is wanted
	start "$1-xespd.log" "$1" "$XESP_BUILD/xespd" --pins "$(pins_of "$1")" --run "$TMP/$1-run" --verbose
	DAEMON[$1/xespd]=$STARTED
}

# Kernels before 6.6 hand over no frame in several buffers: 9216 is refused, and what fits one buffer passes.
in_one_buffer() {
	local end to
	for end in "hostA a0" "gw1 in0" "gw1 out0" "wire w1" "wire w2" "gw2 out0" "gw2 in0" "hostB b0"; do
		run "${end% *}" ip link set "${end#* }" mtu 3498
	done
	up 3400
	for to in 10.2.0.2 10.2.0.3 2001:db8:2::2 2001:db8:2::3; do pings hostA 5 $to -M "do" -s 3300; done
	for to in 10.1.0.2 10.1.0.3 2001:db8:1::2 2001:db8:1::3; do pings hostB 5 $to -M "do" -s 3300; done
	expect_equal "drops" "$(all_drops gw1) $(all_drops gw2)" "0 0"
	down
	say "this kernel has frames in one buffer alone: 9216 is refused; 3300 octets with DF, all four combinations"
	exit 0
}
mount_bpffs
if xesp gw1 attach --inner in0 --outer out0 >"$TMP/whole.log" 2>&1; then
	xesp gw1 detach --purge >/dev/null
else
	grep -q 'at most 3498 under this kernel' "$TMP/whole.log" || die "attach: $(cat "$TMP/whole.log")"
	in_one_buffer
fi

for mode in native generic; do
	up 9100 --mode $mode
	[ "$(xesp gw1 status --json | jq '[.xespd.ports[].multi_buffer] | all')" = true ] ||
		die "$mode: a port takes one buffer a frame: $(xesp gw1 status --json | jq -c .xespd.ports)"
	for to in 10.2.0.2 10.2.0.3 2001:db8:2::2 2001:db8:2::3; do pings hostA 5 $to -M "do" -s 8900; done
	for to in 10.1.0.2 10.1.0.3 2001:db8:1::2 2001:db8:1::3; do pings hostB 5 $to -M "do" -s 8900; done
	say "$mode: 8900 octets with DF, all four combinations, both directions"
	mixed 10.2.0.2
	mixed 2001:db8:2::2
	say "$mode: 4000 datagrams of 3 to 8954 octets, large and small mixed, come back unaltered"
	expect_equal "$mode: drops" "$(all_drops gw1) $(all_drops gw2)" "0 0"
	down
done

up 9100
capture wire w1 9300
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
transfer hostB 2001:db8:2::3 hostA 2001:db8:1::3 "$TMP/file"
say "TCP of 6 megabytes in either direction"

# To the byte: the MTU that is told passes, one more does not.
run hostA ping -c 1 -W 2 -M "do" -s 9188 10.2.0.3 >"$TMP/df.log" 2>&1 && die "9216 octets passed a wire of 9216"
mtu=$(sed -nE 's/.*mtu ?= ?([0-9]+).*/\1/p' "$TMP/df.log" | head -n 1)
[ -n "$mtu" ] || die "no ICMP about 9216 octets: $(cat "$TMP/df.log")"
pings hostA 2 10.2.0.3 -M "do" -s $((mtu - 28))
run hostA ip route flush cache
run hostA ping -c 1 -W 1 -M "do" -s $((mtu - 27)) 10.2.0.3 >/dev/null 2>&1 && die "one octet more than $mtu passed"
pings hostA 5 10.2.0.3 -M dont -s 9188
pings hostA 5 10.2.0.3 -M dont -s 20000
stop_capture wire w1
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
largest=$(wire largest "$CAPTURE")
[ "$largest" -le 9230 ] && [ "$largest" -gt 9210 ] || die "the largest frame on the wire has $largest octets"
say "tunnel MTU $mtu is right to the octet; the wire's largest frame has $largest octets"

# One more than 9216, for which the hosts' link must be made larger: counted, and nothing else.
expect_counter gw1 rx-too-big 0
run gw1 ip link set in0 mtu 9600
run hostA ip link set a0 mtu 9600
pings hostA 3 10.2.0.3 -M dont -s 9188
expect_counter gw1 rx-too-big 0
run hostA ip route flush cache
for size in 9189 9192 9196 9197 9500; do
	run hostA ping -c 2 -i 0.01 -W 0.2 -M dont -s $size 10.2.0.3 >/dev/null 2>&1 && die "$size octets in ICMP passed"
done
expect_counter gw1 rx-too-big 10
pings hostA 3 10.2.0.2 -M "do" -s 8900
say "9217 octets and more are dropped and counted"

# A port that goes away while large frames are under way.
run hostA ping -q -f -s 8900 -w 1 10.2.0.2 >/dev/null 2>&1 || true
run hostA ping -q -f -s 8900 -w 2 10.2.0.2 >/dev/null 2>&1 &
pause 0.5
xesp gw2 detach out0 >/dev/null || die "detach under load"
wait $! || true
down
forget_state gw1
forget_state gw2

# 9000 inside, 1500 outside.
run hostA ip link set a0 mtu 9000
run gw1 ip link set in0 mtu 9000
for link in "gw1 out0" "wire w1" "wire w2" "gw2 out0"; do
	# shellcheck disable=SC2086 # two words: namespace and interface
	set -- $link
	run "$1" ip link set "$2" mtu 1500
done
up 1400
run hostA ping -c 1 -W 2 -M "do" -s 8900 10.2.0.3 >"$TMP/df.log" 2>&1 && die "8928 octets with DF passed a wire of 1500"
grep -qE 'Frag(mentation)? needed.*mtu = 14[0-9][0-9]' "$TMP/df.log" || die "no ICMP: $(cat "$TMP/df.log")"
run hostA ip route flush cache
pings hostA 5 10.2.0.3 -M dont -s 8900
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
transfer hostA 2001:db8:1::2 hostB 2001:db8:2::2 "$TMP/file"
down
say "9000 inside and 1500 outside: DF is told, others are fragmented, TCP adapts"
