#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4301 section 5.2: cleartext that arrives on the outer side though policy protects it is
# dropped and counted, also when it is addressed through the gateway to a host behind it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need xxd nc

topology_up
gateways_up
# gw1 without its programs is an attacker's router: what it forwards arrives at gw2 in clear.
kill_daemon gw1 xespd TERM
kill_daemon gw1 xesp-keyd TERM
xesp gw1 detach >/dev/null
kernel_routes gw1 10.2.0.0/24 192.0.2.2
kernel_routes gw1 2001:db8:2::/64 2001:db8:ffff::2
run gw2 sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'

capture hostB b0
capture wire w2
run hostA ping -q -c 20 -i 0.01 -W 0.2 10.2.0.2 >/dev/null && die "cleartext was answered"
run hostA ping -q -c 20 -i 0.01 -W 0.2 2001:db8:2::2 >/dev/null && die "cleartext was answered"
stop_capture wire w2
expect_equal "cleartext that reached gw2" "$(wire count "$CAPTURE" | jq .ip)" 40
expect_counter gw2 clear-protected 40
stop_capture hostB b0
expect_equal "packets delivered to hostB" "$(wire count "$CAPTURE" | jq '.ip // 0')" 0
say "40 packets in clear, 40 counted as clear-protected, none delivered"
