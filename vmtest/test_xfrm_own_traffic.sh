#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What a gateway itself sends, with `source: xfrm`: under the SAs that forwarded packets use. IPv4 goes into xesp0
# and costs them nothing; IPv6 is the kernel's, with its numbers, and xesp leases anew behind each such packet. No number is
# on the wire twice; and while no worker serves, the kernel sends all of it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/xfrm.sh"

ROUTES=install
xfrm_gateways kernel
gateway_up gw1
led() { run gw1 ip -j route get 10.2.0.2 | jq -e '.[0].dev == "xesp0" and .[0].prefsrc == "10.1.0.1"'; }
until_ok 5 led
expect_equal "routes apart" "$(run gw1 ip -j route show table 120 | jq -c '[.[] | [.dst, .type]]')" '[["10.2.0.0/24",null]]'
pings hostA 5 10.2.0.2

# The gateway beside its hosts, both families: own <family> <destination> <most that may be lost> [options of ping]
rivals() { grep -c 'the kernel sends under' "$TMP/gw1-xesp-keyd.log" || true; }
own() {
	local before; before=$(rivals)
	load forwarded-$1 hostA "$2" 1000 0.01
	load own-$1 gw1 "$2" 20 0.4 "${@:4}"
	load_end own-$1
	load_end forwarded-$1
	expect_equal "IPv$1: the gateway's own pings that were lost" "$(load_lost own-$1)" 0
	[ "$(load_lost forwarded-$1)" -le "$3" ] || die "IPv$1: $(load_lost forwarded-$1) of 1000 forwarded pings lost"
	say "IPv$1: 20 pings of the gateway's own beside 1000 forwarded ones, of which $(load_lost forwarded-$1) lost; said $(($(rivals) - before)) times"
}
capture wire w1 200
own 4 10.2.0.2 0
expect_equal "IPv4: leases that the kernel's packets cost" "$(rivals)" 0
# IPv6 has no exemption for what comes in by xesp0, other than by the interface that the address is on: docs/ike.md.
run gw1 sh -c 'echo 1 >/proc/sys/net/ipv6/conf/in0/disable_policy'
own 6 2001:db8:2::2 100 -I 2001:db8:1::1
[ "$(rivals)" -ge 1 ] || die "nobody noticed that the kernel sends IPv6"
xesp gw1 status | grep -q 'the kernel sends under SA' || die "xesp status does not name it"

# A policy that xesp leaves to the kernel, inside a prefix that leads into xesp0: the prefix is the kernel's again.
run gw1 ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.9/32 dir out priority 5 \
	tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 99 mode tunnel
left() { xesp gw1 sa --unserved | grep -q '10.2.0.9'; }
until_ok 5 left
run gw1 ping -q -n -c 5 -i 0.1 -W 1 -I 10.1.0.1 10.2.0.9 >/dev/null 2>&1 && die "answered without an SA"
not_led() { ! led; }
until_ok 5 not_led
pings gw1 5 10.2.0.2 -I 10.1.0.1
stop_capture wire w1
wire only-esp "$CAPTURE" || die "the gateway's own traffic in clear: $(run wire tcpdump -nn -c 3 -r "$CAPTURE" not esp 2>&1)"
wire unique "$CAPTURE" >"$TMP/unique" || die "$(head -n 5 "$TMP/unique")"

run gw1 ip xfrm policy delete src 10.1.0.0/24 dst 10.2.0.9/32 dir out
until_ok 5 led

# Without a worker xesp0 takes nothing, and its routes do not count.
load falls gw1 10.2.0.2 100 0.05 -I 10.1.0.1
pause 1
kill_daemon gw1 xespd KILL
load_end falls
[ "$(load_lost falls)" -le 5 ] || die "xespd killed: $(load_lost falls) of 100 of the gateway's own pings lost"
say "xespd killed: $(load_lost falls) of 100 of the gateway's own pings lost, the kernel sends them"
start_xespd gw1
until_ready gw1 worker_serves
until_ok 5 led
pings gw1 20 10.2.0.2
say "xespd back: its own again"
