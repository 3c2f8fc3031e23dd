#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Packets that the wire loses are counted at the receiver, from numbers that leave the window unseen:
# as many as were lost, no sooner than the window has passed them, and late ones that still arrive in
# the window are not lost.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
WINDOW=64
gateways_up
lost() { sa_field gw2 t4-in .lost; }
into_void() { run hostA ping -q -c "$1" -i 0.002 -W 0.1 10.2.0.2 >/dev/null && die "answered over a cut wire"; true; }

pings hostA 100 10.2.0.2
expect_equal "lost at first" "$(lost)" 0
wire_cut
into_void 23
wire_mend
pings hostA 30 10.2.0.2
expect_equal "lost while the window can still take them" "$(lost)" 0
pings hostA 100 10.2.0.2
expect_equal "lost" "$(lost)" 23

# A gap larger than the window.
wire_cut
into_void 150
wire_mend
pings hostA 200 10.2.0.2
expect_equal "lost, with a gap larger than the window" "$(lost)" $((23 + 150))

# Held back, and delivered late but in the window.
wire_cut
capture wire w1
into_void 10
stop_capture wire w1
cp "$CAPTURE" "$TMP/held.pcap"
wire_mend
pings hostA 20 10.2.0.2
before=$(sa_field gw2 t4-in .packets)
run wire "$PYTHON" "$HERE/wire.py" inject w2 "$TMP/held.pcap" "spi=${SPI[t4-gw1]}" >/dev/null
until_equal $((before + 10)) sa_field gw2 t4-in .packets
pings hostA 200 10.2.0.2
expect_equal "lost, after late ones arrived" "$(lost)" $((23 + 150))
expect_equal "drops" "$(all_drops gw2)" 0
say "23 and 150 lost, 10 late: 173 counted"
