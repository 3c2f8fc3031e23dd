#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Dead-peer detection by strongSwan on a gateway whose packets are xesp's: with traffic and without, a peer
# that answers keeps its SAs; one that is cut off loses them within its time; back again, it is asked anew.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

ike_gateways
IKE_MORE="dpd_delay = 2s"
IKE_RETRANSMIT="retransmit_timeout = 2
		  retransmit_tries = 2"
ike_start gw1
ike_start gw2
ike_initiate gw1
spi=$(spis_of gw1)
until_ok 10 is_active gw1 "$spi"
run hostA ping -q -n -i 0.1 -c 100 -W $((2 * PATIENCE)) 10.2.0.2 >"$TMP/alive.log" 2>&1 || true
grep -q '100 packets transmitted, 100 received' "$TMP/alive.log" || die "$(grep transmitted "$TMP/alive.log")"
pause 6
expect_equal "the SA of a peer that answers" "$(spis_of gw1)" "$spi"
say "a peer that answers keeps its SA, under traffic and without"
wire_cut
started=$SECONDS
until_ok 30 no_sas gw1
say "a peer that was cut off lost its SAs in $((SECONDS - started)) s"
wire_mend
ike_initiate gw1
until_ok 10 is_active gw1 "$(spis_of gw1)"
pings hostA 20 10.2.0.2
say "and is back"
