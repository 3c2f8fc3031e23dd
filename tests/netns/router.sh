# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# router.sh - the wire of topology.sh as a router between the gateways, with an MTU of its own towards
# gw2; sourced after topology.sh, called after topology_up. The gateways' addresses stay as they are:
# each takes the router for the other by its neighbour entry.
#
#   gw1 out0 192.0.2.1 ---[w1  router 198.51.100.1, 2001:db8:fffe::1  w2]--- out0 192.0.2.2 gw2

router_up() {
	run wire ip link set w1 nomaster
	run wire ip link set w2 nomaster
	run wire sh -c 'for i in all default w1 w2; do echo 0 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done
		echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit'
	addr wire w1 198.51.100.1/32 2001:db8:fffe::1/128
	run wire ip route add 192.0.2.1/32 dev w1 src 198.51.100.1
	run wire ip route add 192.0.2.2/32 dev w2 src 198.51.100.1
	run wire ip -6 route add 2001:db8:ffff::1/128 dev w1 src 2001:db8:fffe::1
	run wire ip -6 route add 2001:db8:ffff::2/128 dev w2 src 2001:db8:fffe::1
	know wire w1 "$(mac gw1 out0)" 192.0.2.1 2001:db8:ffff::1
	know wire w2 "$(mac gw2 out0)" 192.0.2.2 2001:db8:ffff::2
	know gw1 out0 "$(mac wire w1)" 192.0.2.2 2001:db8:ffff::2
	know gw2 out0 "$(mac wire w2)" 192.0.2.1 2001:db8:ffff::1
	# Errors come from an address that the gateways have no route to: so they do in the Internet.
	run gw1 ip route add 198.51.100.0/24 dev out0
	run gw1 ip -6 route add 2001:db8:fffe::/64 dev out0
}

# Towards gw2 alone: an interface of a smaller MTU would not take large frames in either, silently.
router_mtu() {
	run wire ip route replace 192.0.2.2/32 dev w2 src 198.51.100.1 mtu lock "$1"
	run wire ip -6 route replace 2001:db8:ffff::2/128 dev w2 src 2001:db8:fffe::1 mtu lock "$1"
}

# What the router itself sends goes nowhere: packets that do not fit vanish.
router_silent() {
	run wire ip rule add iif lo table 99
	run wire ip -6 rule add iif lo table 99
	run wire ip route add blackhole default table 99
	run wire ip -6 route add blackhole default table 99
	run wire ip rule del table local
	run wire ip rule add pref 32000 table local
	run wire ip -6 rule del table local
	run wire ip -6 rule add pref 32000 table local
}

path_of() { xesp "$1" sa --json | jq -r ".sas[] | select(.name == \"$2\") | .path$3"; } # path_of gw1 t4-out .mtu
path_mtu() { path_of "$1" "$2" .mtu; }
