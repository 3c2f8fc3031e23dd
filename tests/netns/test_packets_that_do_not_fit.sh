#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Packets that do not fit (RFC 4301 section 8.2): TCP between hosts with an MTU of 1500 finds the
# tunnel's MTU by ICMP, UDP without DF is fragmented before it is encapsulated and arrives whole, a
# TTL that ends at the gateway is answered with time exceeded. IPv6 the same, where it can be.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp

# Clamped, TCP would never try what does not fit.
tunnel_keys() { echo "    mss: off"; }

topology_up
gateways_up
capture wire w1
within() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }

# What a host sends is 1500 octets; nothing larger than the wire's MTU may result.
head -c 2000000 /dev/urandom >"$TMP/file"
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
transfer hostA 2001:db8:1::2 hostB 2001:db8:2::2 "$TMP/file"
run hostA ip route show cache >/dev/null
mtu=$(run hostA ip -j route get 10.2.0.2 | jq '.[0].metrics[0].mtu // 0')
within "$mtu" 1300 1499 || die "hostA did not learn the tunnel's MTU: $mtu"
mtu6=$(run hostA ip -6 -j route get 2001:db8:2::2 | jq '.[0].metrics[0].mtu // 0')
within "$mtu6" 1280 1499 || die "hostA did not learn the tunnel's IPv6 MTU: $mtu6"
[ "$(counter gw1 too-big)" -ge 2 ] || die "too-big was not counted"
say "TCP: tunnel MTU learned, $mtu and $mtu6"

# The message itself: ping with DF names the MTU, and exactly that much passes.
run hostA ip route flush cache
run hostA ping -c 1 -W 2 -M "do" -s 1472 10.2.0.3 >"$TMP/df.log" 2>&1 && die "1500 octets with DF passed"
grep -qE "From 10\.1\.0\.1 .*Frag(mentation)? needed.*mtu = $mtu\b" "$TMP/df.log" ||
	die "no ICMP with the MTU $mtu: $(cat "$TMP/df.log")"
pings hostA 2 10.2.0.3 -M "do" -s $((mtu - 28))

# Without DF.
for size in $((mtu - 28)) $((mtu - 27)) 1472; do pings hostA 3 10.2.0.3 -M dont -s "$size"; done
# Fragments made by the host, of which some do not fit the tunnel.
pings hostA 3 10.2.0.3 -M dont -s 4000
# IPv6: the host fragments, once it knows for what size.
run hostA ping -q -c 1 -W 0.2 -s 3000 2001:db8:2::2 >/dev/null || true
pings hostA 3 2001:db8:2::2 -s 3000
say "datagrams of up to 4000 octets arrive"

stop_capture wire w1
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
largest=$(wire largest "$CAPTURE")
[ "$largest" -le 1514 ] || die "a frame of $largest octets on the wire"

# Time exceeded. The first hop a host sees is its gateway, the second the far gateway.
run hostA ping -c 1 -W 2 -t 1 10.2.0.2 >"$TMP/ttl.log" 2>&1 && die "TTL 1 reached the host"
grep -q 'From 10.1.0.1 .*Time to live exceeded' "$TMP/ttl.log" || die "no ICMP: $(cat "$TMP/ttl.log")"
run hostA ping -c 1 -W 2 -t 1 2001:db8:2::2 >"$TMP/ttl.log" 2>&1 && die "hop limit 1 reached the host"
grep -q 'From 2001:db8:1::1 .*Hop limit' "$TMP/ttl.log" || die "no ICMPv6: $(cat "$TMP/ttl.log")"
expect_counter gw1 ttl-expired 2
say "TTL 1: time exceeded from the gateway"
