#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ESP that the path cut into outer fragments (RFC 4303 section 3.4.1) is put together and delivered,
# over IPv4 and IPv6; fragments with a flipped bit are not.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
gateways_up
hold_requests
capture hostB b0
for t in t4 t6; do
	fragment "spi=${SPI[$t-gw1]}" size=256 first=4
	until_equal 4 sa_field gw2 $t-in .packets
	fragment "spi=${SPI[$t-gw1]}" size=256 last=1 flip=1000
	until_equal 1 sa_drops gw2 $t-in bad-icv
	fragment "spi=${SPI[$t-gw1]}" size=256 first=1
	until_equal 1 sa_drops gw2 $t-in replay-duplicate
done
wire_requests() { "$PYTHON" "$HERE/wire.py" count "$TMP/hostB-b0.pcap" | jq '.ip // 0'; }
until_at_least 16 wire_requests # eight requests and their answers
stop_capture hostB b0
expect_equal "packets at hostB" "$(wire count "$CAPTURE" | jq .ip)" 16
wire_mend
pings hostA 5 10.2.0.2
say "8 packets in fragments delivered, 2 altered and 2 repeated ones refused"
