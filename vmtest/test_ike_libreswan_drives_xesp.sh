#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Libreswan beside xesp on gw1, strongSwan beside the kernel's ESP on gw2. The packets of each SA are the same
# in xesp, in the far kernel and on the wire; Libreswan's rekeying loses none.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
. "$(dirname "$0")/libreswan.sh"
ike_needs
pluto_needs

ike_gateways
ESP_PROPOSALS=aes128gcm16-x25519-esn-noesn
children() { child net "$(net4 "$1").0/24" "$(net4 "$(peer_of "$1")").0/24"; }
ike_start gw2
pluto_start gw1
pluto_initiate gw1
first=$(spis_of gw1)
until_ok 10 is_active gw1 "$first"
capture wire w1 200
pings hostA 20 10.2.0.2
pings hostB 20 10.1.0.2
for gw in gw1 gw2; do
	spi=$(spis_of $gw)
	expect_equal "from $gw: packets in xesp" "$(packets_of gw1 "$spi")" 40
	expect_equal "from $gw: packets in the far kernel" "$(kernel_packets gw2 "$spi")" 40
done
whack gw1 --trafficstatus | tee "$TMP/traffic"
grep -q 'inBytes=3360, outBytes=3360' "$TMP/traffic" || die "Libreswan does not see what xesp carried"
say "40 packets each way, which Libreswan counts too"

load rekey hostA 10.2.0.2 200 0.05
pause 1
whack gw1 --rekey-ipsec --name site >"$TMP/rekeyed" 2>&1 || die "rekeying: $(tail -n 3 "$TMP/rekeyed")"
replaced() { [ "$(spis_of gw1)" != "$first" ] && [ "$(spis_of gw1 | wc -w)" = 1 ]; }
until_ok 20 replaced
load_end rekey
expect_equal "pings lost over Libreswan's rekeying" "$(load_lost rekey)" 0
until_ok 10 is_active gw1 "$(spis_of gw1)"
[ "$(packets_of gw1 "$(spis_of gw1)")" -gt 20 ] || die "the new SA carried little"
stop_capture wire w1
wire unique "$CAPTURE" >"$TMP/unique" || die "$(head -n 5 "$TMP/unique")"
whack gw1 --terminate --name site >"$TMP/terminated" 2>&1 || die "termination: $(tail -n 3 "$TMP/terminated")"
until_ok 10 no_sas gw1
say "rekeyed under 200 pings, none lost; ended, and its SAs are gone"
