#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Replay (RFC 4303 section 3.4.3) and unknown SPIs: a frame sent again, one left of the window, one
# with another SPI or a reserved one. Nothing is delivered, each has its counter, in the SA too.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
ESN=no
gateways_up
capture wire w1
pings hostA 200 10.2.0.2
pings hostA 200 2001:db8:2::2
stop_capture wire w1
cp "$CAPTURE" "$TMP/first.pcap"

inject() { run wire "$PYTHON" "$HERE/wire.py" inject w2 "$TMP/first.pcap" "$@" >/dev/null; }

capture hostB b0
for t in t4 t6; do
	inject "spi=${SPI[$t-gw1]}" last=20
	until_equal 20 sa_drops gw2 $t-in replay-duplicate
	inject "spi=${SPI[$t-gw1]}" first=100
	until_equal 100 sa_drops gw2 $t-in replay-old
	inject "spi=${SPI[$t-gw1]}" last=7 newspi=0xdeadbeef
	inject "spi=${SPI[$t-gw1]}" last=5 newspi=0
	inject "spi=${SPI[$t-gw1]}" last=1 newspi=255
	# The number of a packet yet to come under the ICV of an old one.
	inject "spi=${SPI[$t-gw1]}" last=1 seq=4000000000
	until_equal 1 sa_drops gw2 $t-in bad-icv
done
expect_counter gw2 replay-duplicate 40
expect_counter gw2 replay-old 200
expect_counter gw2 no-sa 14
expect_counter gw2 bad-spi 12
expect_counter gw2 bad-icv 2
expect_equal "all drops" "$(all_drops gw2)" 268
stop_capture hostB b0
expect_equal "packets delivered to hostB" "$(wire count "$CAPTURE" | jq '.ip // 0')" 0

# The forged number did not move the window: the tunnel goes on.
pings hostA 20 10.2.0.2
pings hostA 20 2001:db8:2::2
expect_equal "packets authenticated" "$(sa_field gw2 t4-in .packets)" 220
say "268 frames sent again or forged, 268 counted, none delivered"
