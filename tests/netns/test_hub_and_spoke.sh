#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# gw2 is the hub of two spokes, out of whose tunnels packets go into each other's: RFC 4301 section 5.2. No kernel
# in between, one hop, in order, errors told through the tunnel; with a route in clear, too, where policy protects;
# and what no policy lets out stays.
#
#   hostA 10.1.0.2 --- gw1 ===== t4 ===== gw2, the hub
#   hostC 10.3.0.2 --- gw1 ===== t6 ===== gw2

# shellcheck disable=SC2034 # for topology.sh
MORE_NAMESPACES=(hostC)
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp

topology_up
link hostC c0 gw1 in1
addr hostC c0 10.3.0.2/24 2001:db8:3::2/64
addr gw1 in1 10.3.0.1/24 2001:db8:3::1/64
run hostC ip route add default via 10.3.0.1
run hostC ip -6 route add default via 2001:db8:3::1
know gw1 in1 "$(mac hostC c0)" 10.3.0.2 2001:db8:3::2
know hostC c0 "$(mac gw1 in1)" 10.3.0.1 2001:db8:3::1
until_ok 5 carrier gw1 in1

A=10.1.0.0/24 A6=2001:db8:1::/64 C=10.3.0.0/24 C6=2001:db8:3::/64
policies() { # policies <gateway>: at gw1 both spokes, at gw2 what goes from one to the other
	case $1 in
	gw1)
		policy a protect tunnel t4 local "[$A]" remote "[$C, 203.0.113.0/24]"
		policy a6 protect tunnel t4 local "[$A6]" remote "[$C6]"
		policy c protect tunnel t6 local "[$C]" remote "[$A]"
		policy c6 protect tunnel t6 local "[$C6]" remote "[$A6]"
		;;
	gw2)
		policy a protect tunnel t4 local "[$C]" remote "[$A]"
		policy a6 protect tunnel t4 local "[$C6]" remote "[$A6]"
		policy c protect tunnel t6 local "[$A]" remote "[$C]"
		policy c6 protect tunnel t6 local "[$A6]" remote "[$C6]"
		policy a-in protect tunnel t4 local 203.0.113.0/24 remote "$A" direction in
		;;
	esac
}
both_inner() { printf '  - name: in0\n    role: inner\n  - name: in1\n    role: inner\n  - name: out0\n    role: outer\n'; }
with_gw1() { # with_gw1 <command>...: gw1 has a second inner interface, and its own networks are not the hub's
	local ATTACH_OPTIONS=(--inner in1) ROUTES=none
	eval "$(declare -f interfaces | sed '1s/interfaces/plain_interfaces/')"
	interfaces() { both_inner; }
	"$@"
	eval "$(declare -f plain_interfaces | sed '1s/plain_interfaces/interfaces/')"
}
with_gw1 gateway_up gw1

by_slow_path() { xesp gw2 counters --json | jq .packets.slow; }
encapsulated() { xesp gw2 counters --json | jq .packets.encap; }
crossing() { # crossing <what>: from spoke to spoke and back, and on the wire nothing but ESP
	local before; before=$(encapsulated)
	capture wire w1
	capture hostC c0
	pings hostA 20 10.3.0.2
	pings hostC 20 10.1.0.2
	pings hostA 20 2001:db8:3::2
	transfer hostA 10.1.0.2 hostC 10.3.0.2 "$TMP/file"
	transfer hostC 2001:db8:3::2 hostA 2001:db8:1::2 "$TMP/file"
	stop_capture hostC c0
	expect_equal "$1: TTL at hostC" "$(wire ttl "$CAPTURE" dst=10.3.0.2 | sort -u | tr '\n' ' ')" "61 "
	stop_capture wire w1
	wire only-esp "$CAPTURE" || die "$1: not only ESP between the hub and its spokes"
	wire unique "$CAPTURE" >"$TMP/unique" || die "$1: $(cat "$TMP/unique")"
	[ $(($(encapsulated) - before)) -gt 500 ] || die "$1: the hub's workers encapsulated $(($(encapsulated) - before)) packets"
}
head -c 2000000 /dev/urandom >"$TMP/file"

for way in "run to completion" "spread over threads"; do
	[ "$way" = "run to completion" ] || XESPD_OPTIONS=(--spread always)
	gateway_up gw2
	crossing "$way"
	expect_equal "$way: packets of the hub that the kernel saw" "$(by_slow_path)" 0
	expect_equal "$way: drops of the hub" "$(all_drops gw2)" 0
	[ "$way" = "spread over threads" ] || { gateway_down gw2; kill_daemon gw1 xespd TERM; start_xespd gw1; gateway_ready gw1; }
done
say "from spoke to spoke and back, both families, by the workers alone"

# t6 has 20 bytes less than t4, of which gw1 knows nothing: the hub tells hostA, through t4.
fits=$((1500 - 20 - 8 - 8 - 16 - 2))
run hostA ping -c 1 -W 2 -M 'do' -s $((fits - 28)) 10.3.0.2 >"$TMP/ping.log" 2>&1 && die "a packet for t4 fitted t6"
grep -q "^From 192.0.2.2 .*Frag needed and DF set (mtu = $((fits - 20)))" "$TMP/ping.log" ||
	die "the hub did not tell hostA: $(tr '\n' ' ' <"$TMP/ping.log")"
run hostA ip route flush cache
pings hostA 5 10.3.0.2 -M dont -s $((fits - 28))
say "a packet too large for the second tunnel: its sender is told through the first, or it is fragmented"

# ESP in outer fragments is decapsulated on another way, and goes on all the same.
wire_cut
capture wire w1
run hostA ping -q -c 3 -i 0.01 -W 0.1 -s 600 10.3.0.2 >/dev/null && die "answered over a cut wire"
stop_capture wire w1
cp "$CAPTURE" "$TMP/held.pcap"
wire_mend
before=$(sa_field gw1 t6-in .packets)
capture hostC c0
fragment "spi=${SPI[t4-gw1]}" size=256
until_equal $((before + 3)) sa_field gw1 t6-in .packets
stop_capture hostC c0
expect_equal "requests at hostC" "$(wire ttl "$CAPTURE" dst=10.3.0.2 | wc -l)" 3

# Where the route leads into the clear, policy still protects; and what no policy lets out is dropped.
run gw2 ip route add default via 192.0.2.1
run gw2 ip -6 route add default via 2001:db8:ffff::1
kernel_forwards() { run gw2 sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'; }
kernel_forwards
ROUTES=none
write_config gw2
xesp gw2 reload >>"$TMP/reload.log" 2>&1 || die "reload: $(tail -n 3 "$TMP/reload.log")"
by_out0() { run gw2 ip -j route get 10.3.0.2 | jq -e '.[0].dev == "out0"'; }
until_ok 5 by_out0
know gw2 out0 "$(mac gw1 out0)" 192.0.2.1
crossing "a route in clear"
before=$(counter gw2 no-policy)
capture wire w1
run hostA ping -q -c 5 -i 0.01 -W 0.2 203.0.113.9 >/dev/null && die "answered by nobody"
expect_counter gw2 no-policy $((before + 5))
stop_capture wire w1
wire only-esp "$CAPTURE" || die "what came out of a tunnel left in clear without a policy"
policies_without_bypass=$(declare -f policies)
eval "${policies_without_bypass/#policies/refusing_policies}"
policies() { refusing_policies "$1"; policy out bypass local "[$A]" remote 203.0.113.0/24 direction out; }
write_config gw2
xesp gw2 reload >>"$TMP/reload.log" 2>&1 || die "reload: $(tail -n 3 "$TMP/reload.log")"
capture wire w1
run hostA ping -q -c 5 -i 0.01 -W 0.2 203.0.113.9 >/dev/null && die "answered by nobody"
in_clear() { wire ttl "$TMP/wire-w1.pcap" dst=203.0.113.9 | wc -l; }
until_equal 5 in_clear
stop_capture wire w1
say "with a route in clear: protected all the same, dropped without a policy, let out by a bypass"
