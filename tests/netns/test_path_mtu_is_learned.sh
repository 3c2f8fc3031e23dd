#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A router in the middle with a smaller MTU says so by ICMP: the tunnel's path MTU goes down to it, hosts
# are told the MTU that follows, to the byte, and traffic passes; after pmtu_age the larger one is tried
# again (RFC 4301 section 8.2, RFC 1191, RFC 8201). Errors about ESP that was never sent, or not by this
# tunnel, or with an MTU that cannot be, are counted and change nothing.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
. "$(dirname "$0")/router.sh"

tunnel_keys() { printf '    pmtu_age: 8\n    df: set\n'; }

topology_up
router_up
gateways_up
for t in t4 t6; do
	until_equal 1500 path_mtu gw1 $t-out
	expect_equal "source of the path MTU of $t" "$(path_of gw1 $t-out .from)" link
done
pings hostA 5 10.2.0.2 -M "do" -s 1400
pings hostA 5 2001:db8:2::2 -s 1300
say "1500 octets pass, nothing was learned"

# --- forged: nothing may change
forge() { # forge <what> <arguments of wire.py icmp>...
	local what=$1 before; shift
	before=$(counter gw1 icmp-unbelieved)
	run wire "$PYTHON" "$HERE/wire.py" icmp w1 "$TMP/held.pcap" "$@"
	until_equal $((before + 1)) counter gw1 icmp-unbelieved
	say "not believed: $what"
}
capture wire w1
pings hostA 1 10.2.0.2
pings hostA 1 2001:db8:2::2
stop_capture wire w1
cp "$CAPTURE" "$TMP/held.pcap"
for t in t4 t6; do
	spi=${SPI[$t-gw1]}
	forge "$t, a number that was not sent yet" "spi=$spi" mtu=1300 seq=1000000
	forge "$t, number 0" "spi=$spi" mtu=1300 seq=0
	forge "$t, an SPI that is not ours" "spi=$spi" mtu=1300 newspi=0x77777777
	forge "$t, another peer" "spi=$spi" mtu=1300 remote=1
	forge "$t, an MTU below the floor" "spi=$spi" mtu=500
	forge "$t, an MTU that the packet fits" "spi=$spi" mtu=1500
	forge "$t, cut off before the sequence number" "spi=$spi" mtu=1300 quote=4
	expect_equal "the path MTU of $t" "$(path_mtu gw1 $t-out)" 1500
done

# --- true
router_mtu 1400
run hostA ping -q -c 1 -W 0.5 -M "do" -s 1410 10.2.0.2 >/dev/null && die "1438 octets passed a path of 1400"
until_equal 1400 path_mtu gw1 t4-out
run hostA ping -q -c 1 -W 0.5 -s 1372 2001:db8:2::2 >/dev/null && die "1420 octets passed a path of 1400"
until_equal 1400 path_mtu gw1 t6-out
for t in t4 t6; do
	expect_equal "source of the path MTU of $t" "$(path_of gw1 $t-out .from)" icmp
	age=$(path_of gw1 $t-out .age_s)
	[ "$age" -le 8 ] || die "learned $age s ago"
done
# 1400 - 20 - 8 - 8 - 16 = 1348, less 2 of trailer, a multiple of 4: 1346; over IPv6 1326.
expect_equal "inner MTU" "$(path_of gw1 t4-out .inner_mtu) $(path_of gw1 t6-out .inner_mtu)" "1346 1326"
run hostA ping -c 1 -W 1 -M "do" -s 1410 10.2.0.2 >"$TMP/df.log" 2>&1 && die "1438 octets passed"
grep -qE "From 10\.1\.0\.1 .*mtu = 1346\b" "$TMP/df.log" || die "hostA was not told 1346: $(cat "$TMP/df.log")"
pings hostA 3 10.2.0.2 -M "do" -s $((1346 - 28))
run hostA ping -q -c 1 -W 0.3 -s 1372 2001:db8:2::2 >/dev/null || true
mtu6=$(run hostA ip -6 -j route get 2001:db8:2::2 | jq '.[0].metrics[0].mtu // 0')
expect_equal "hostA's MTU towards 2001:db8:2::2" "$mtu6" 1326
pings hostA 3 2001:db8:2::2 -s 1372
pings hostA 3 10.2.0.2 -M dont -s 1472
say "learned 1400: hosts are told 1346 and 1326, and what fits passes"

# --- forgotten
router_mtu 1500
for t in t4 t6; do
	deadline=$((SECONDS + 15))
	until [ "$(path_mtu gw1 $t-out)" = 1500 ]; do
		[ "$SECONDS" -lt "$deadline" ] || die "$t still has $(path_mtu gw1 $t-out)"
		pause 0.2
	done
done
run hostA ip route flush cache
pings hostA 3 10.2.0.2 -M "do" -s 1410
expect_equal "unbelieved in all" "$(counter gw1 icmp-unbelieved)" 14
say "forgotten after pmtu_age: 1500 again"
