#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The gateway's own traffic takes the tunnel through xesp0: from its inner address to the far host and
# to the far gateway's inner address, both families, TCP too. On the wire it is ESP only.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp

topology_up
gateways_up
expect_equal "route on gw1" "$(run gw1 ip -j route get 10.2.0.2 | jq -r '.[0].dev')" xesp0

capture wire w1
pings gw1 10 10.2.0.2 -I 10.1.0.1
pings gw1 10 10.2.0.1 -I 10.1.0.1
pings gw1 10 2001:db8:2::2 -I 2001:db8:1::1
pings gw1 10 2001:db8:2::1 -I 2001:db8:1::1
pings hostB 10 10.1.0.1
pings hostB 10 2001:db8:1::1
# Without naming the source: the route that keyd installs must choose the inner address.
pings gw1 5 10.2.0.2
head -c 300000 /dev/urandom >"$TMP/file"
transfer gw1 10.1.0.1 hostB 10.2.0.2 "$TMP/file"
transfer gw2 10.2.0.1 gw1 10.1.0.1 "$TMP/file"
stop_capture wire w1
wire only-esp "$CAPTURE" || die "the gateway's own traffic in clear"
wire unique "$CAPTURE" >"$TMP/unique" || die "$(cat "$TMP/unique")"

# What policy does not protect does not leave by way of xesp0 either.
run gw1 ip route add 198.51.100.0/24 dev xesp0 src 10.1.0.1
before=$(counter gw1 no-policy)
run gw1 ping -q -c 5 -i 0.01 -W 0.2 198.51.100.1 >/dev/null 2>&1 && die "answered by nobody"
expect_counter gw1 no-policy $((before + 5))

# Down: the same, and status says what to do; up again, the routes are there.
capture wire w1
run gw1 ip link set xesp0 down
down_said() { xesp gw1 status | grep -q 'xesp0 is down'; }
until_ok 5 down_said
run gw1 ping -q -c 5 -i 0.01 -W 0.2 -I 10.1.0.1 10.2.0.2 >/dev/null 2>&1 && die "answered with xesp0 down"
run gw1 ip link set xesp0 up
up_again() { ! down_said && [ "$(run gw1 ip -j route get 10.2.0.2 | jq -r '.[0].dev')" = xesp0 ]; }
until_ok 5 up_again
pings gw1 5 10.2.0.2
stop_capture wire w1
wire only-esp "$CAPTURE" || die "the gateway's own traffic in clear with xesp0 down"

# Without the device the gateway's own traffic stops, not in clear, and the workers go on.
lost_said() { grep -q 'xesp0 was removed' "$TMP/gw1-xespd.log"; }
lost_said && die "xesp0 is called removed while it is there"
capture wire w1
run gw1 ip link del xesp0
until_ok 5 lost_said
run gw1 ping -q -c 5 -i 0.01 -W 0.2 -I 10.1.0.1 10.2.0.2 >/dev/null 2>&1 && die "answered without xesp0"
pings hostA 10 10.2.0.2
stop_capture wire w1
wire only-esp "$CAPTURE" || die "the gateway's own traffic in clear once xesp0 was gone"
[ "$(grep -c 'xesp0 was removed' "$TMP/gw1-xespd.log")" -eq 1 ] || die "said more than once"

say "pings and TCP from and to both gateways' inner addresses, ESP only on the wire"
