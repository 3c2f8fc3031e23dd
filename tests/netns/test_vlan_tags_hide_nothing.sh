#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Frames with 802.1Q and QinQ tags are classified like any others: cleartext under a tag that policy
# protects is encapsulated and arrives, ESP under a tag is decapsulated. The kernel of a test
# machine may have no VLAN devices, so the tagged frames are made by hand.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
gateways_up
capture hostA a0
capture wire w1
pings hostA 3 10.2.0.2
pings hostA 3 2001:db8:2::2
stop_capture hostA a0
cp "$CAPTURE" "$TMP/clear.pcap"
stop_capture wire w1

capture wire w1
capture hostB b0
for tags in 5 5,6; do
	run hostA "$PYTHON" "$HERE/wire.py" tagged a0 "$TMP/clear.pcap" "tags=$tags" dst=10.2.0.2 >/dev/null
	run hostA "$PYTHON" "$HERE/wire.py" tagged a0 "$TMP/clear.pcap" "tags=$tags" dst=2001:db8:2::2 >/dev/null
done
at_host() { wire count "$TMP/hostB-b0.pcap" | jq '.ip // 0'; }
until_at_least 24 at_host # twelve requests and twelve answers
stop_capture hostB b0
stop_capture wire w1
wire only-esp "$CAPTURE" || die "a tagged frame left in clear"

# ESP under a tag.
wire_cut
capture wire w1
run hostA ping -q -c 2 -i 0.01 -W 0.1 10.2.0.2 >/dev/null && die "answered over a cut wire"
stop_capture wire w1
before=$(sa_field gw2 t4-in .packets)
run wire "$PYTHON" "$HERE/wire.py" tagged w2 "$CAPTURE" tags=7 first=1 >/dev/null
until_equal $((before + 1)) sa_field gw2 t4-in .packets
run wire "$PYTHON" "$HERE/wire.py" tagged w2 "$CAPTURE" tags=7,8 last=1 >/dev/null
until_equal $((before + 2)) sa_field gw2 t4-in .packets
say "tagged and doubly tagged frames encapsulated and decapsulated"
