#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 6040 and RFC 4301 section 5.1.2: the outer header takes over DSCP and ECN of the inner one, the
# inner TTL goes down by one at each gateway, congestion marked on the way reaches the inner packet,
# and a mark that cannot be (CE outside, not-ECT inside) is dropped.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
gateways_up

for tos in 0x00 0xb8 0x02 0x01 0x03 0xba; do
	capture wire w1
	capture hostB b0
	pings hostA 2 10.2.0.2 -Q $tos
	pings hostA 2 2001:db8:2::2 -Q $tos
	stop_capture wire w1
	for t in t4 t6; do
		expect_equal "$t: outer DSCP and ECN of $tos" \
			"$(wire tos "$CAPTURE" "spi=${SPI[$t-gw1]}" | sort -u)" "$tos"
	done
	stop_capture hostB b0
	expect_equal "inner DSCP and ECN of $tos" "$(wire tos "$CAPTURE" | sort -u)" "$tos"
	expect_equal "inner TTL" "$(wire ttl "$CAPTURE" dst=10.2.0.2 | sort -u)" 62
	expect_equal "inner hop limit" "$(wire ttl "$CAPTURE" dst=2001:db8:2::2 | sort -u)" 62
done

# Congestion experienced on the wire: the held frame gets CE outside, which ESP does not protect.
hold() { # hold <tos>
	wire_cut
	capture wire w1
	run hostA ping -q -c 1 -W 0.1 -Q "$1" 10.2.0.2 >/dev/null && die "answered over a cut wire"
	stop_capture wire w1
	cp "$CAPTURE" "$TMP/held.pcap"
	capture hostB b0
	run wire "$PYTHON" "$HERE/wire.py" inject w2 "$TMP/held.pcap" "spi=${SPI[t4-gw1]}" last=1 tos=0x03 >/dev/null
}
hold 0x02
delivered() { wire tos "$TMP/hostB-b0.pcap" dst=10.2.0.2 | wc -l; }
until_equal 1 delivered
stop_capture hostB b0
expect_equal "CE carried inside" "$(wire tos "$CAPTURE" dst=10.2.0.2)" 0x03
wire_mend
hold 0x00
expect_counter gw2 ecn-invalid 1
stop_capture hostB b0
expect_equal "CE on not-ECT delivered" "$(wire tos "$CAPTURE" dst=10.2.0.2 | wc -l)" 0
wire_mend
say "DSCP, ECN and TTL as RFC 6040 and RFC 4301 want them"
