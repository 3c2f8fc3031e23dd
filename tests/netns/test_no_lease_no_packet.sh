#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Without keyd traffic goes on as long as the present block of sequence numbers lasts, and not one
# packet longer: what has no number is dropped and counted as no-lease. keyd's return, by kill -9 or
# not, makes it go on behind the block; nothing is in clear meanwhile, and no number comes twice.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
LEASE=100
gateways_up
capture wire w1
last=0
for round in 1 2 3; do
	pings hostA 30 10.2.0.2
	kill_daemon gw1 xesp-keyd KILL
	before=$(counter gw1 no-lease)
	start flood.log hostA ping -q -n -l 400 -c 400 -i 1 -W 0.2 10.2.0.2
	wait "$STARTED" || true
	dropped=$(($(counter gw1 no-lease) - before))
	[ "$dropped" -ge 100 ] || die "400 packets without keyd, a block is 100, dropped for want of numbers: $dropped"
	start_keyd gw1
	gateway_ready gw1
	pings hostA 30 10.2.0.2
	sent=$(sa_field gw1 t4-out .packets)
	expect_equal "round $round: packets sent" "$sent" $((last + 30 + 400 - dropped + 30))
	last=$sent
	say "round $round: $((400 - dropped)) packets on the rest of the lease, $dropped dropped, then traffic went on"
done
stop_capture wire w1
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
wire unique "$CAPTURE" >"$TMP/unique" || die "$(cat "$TMP/unique")"
expect_equal "packets on the wire" "$(wire seqs "$CAPTURE" "spi=${SPI[t4-gw1]}" | wc -l)" "$last"
