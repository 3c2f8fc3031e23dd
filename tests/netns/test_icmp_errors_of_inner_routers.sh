#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A router behind one gateway tells a host behind the other that its packet did not get on, from an address
# that no policy has (RFC 4301 section 6.2): its gateway finds the tunnel by what the error quotes, and the
# other lets it in for the same reason. What quotes something else stays where it is, on either side.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
gateways_up

# hostB is a router to nowhere for these, and speaks from addresses of its own.
run gw2 ip route add 10.2.0.128/25 via 10.2.0.2
run gw2 ip -6 route add 2001:db8:2::80/121 via 2001:db8:2::2
run hostB ip addr add 203.0.113.9/32 dev lo
run hostB ip -6 addr add 2001:db8:99::9/128 dev lo
run hostB sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit'
run hostB ip route add unreachable 10.2.0.128/25
run hostB ip -6 route add unreachable 2001:db8:2::80/121
run hostB ip route replace default via 10.2.0.1 src 203.0.113.9
run hostB ip -6 route replace default via 2001:db8:2::1 src 2001:db8:99::9

hears() { # hears <destination> <from>
	local got
	got=$(run hostA ping -c 1 -W 2 "$1" 2>&1) && die "$1 answered"
	grep -qE "From $2 .*(Unreachable|unreachable|No route)" <<<"$got" || die "hostA heard nothing from $2: $got"
}
hears 10.2.0.200 203.0.113.9
hears 2001:db8:2::81 2001:db8:99::9
expect_equal "dropped" "$(counter gw2 no-policy) $(counter gw1 selector-mismatch)" "0 0"
say "unreachable, from a router that no policy names, over IPv4 and IPv6"

# The router's other packets are not let out.
run hostB ping -q -c 3 -i 0.2 -W 0.2 -I 203.0.113.9 10.1.0.2 >/dev/null && die "an echo request got through"
expect_counter gw2 no-policy 3
say "its pings stay discarded"
