#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# strongSwan rekeys the CHILD_SA every few seconds while xesp carries its traffic: not one ping of either
# direction is lost, no sequence number is on the wire twice, and old SAs go.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../tests/netns/topology.sh"
. "$(dirname "$0")/../tests/netns/gateway.sh"
. "$(dirname "$0")/kernel_gateway.sh"
. "$(dirname "$0")/xfrm.sh"
. "$(dirname "$0")/ike.sh"
ike_needs

topology_up
kernel_gateway gw1
kernel_gateway gw2
xfrm_config gw1
mirror_up gw1
CHILD_REKEY=5
ike_start gw1
ike_start gw2
ike_initiate gw1
first=$(spis_of gw1)
until_ok 10 is_active gw1 "$first"

under_rekeying() { # under_rekeying <ns> <destination>: its log is $TMP/rekey-<ns>.log
	nsenter --net="$PATH_OF_NS-$1" ping -q -n -i 0.04 -c 500 -W $((2 * PATIENCE)) "$2" >"$TMP/rekey-$1.log" 2>&1 &
	PIDS+=($!)
	PINGS+=($!)
}
PINGS=()
capture wire w1 200
under_rekeying hostA 10.2.0.2
under_rekeying hostB 2001:db8:1::2
for pid in "${PINGS[@]}"; do wait "$pid" || true; done
stop_capture wire w1
for ns in hostA hostB; do
	grep -q '500 packets transmitted, 500 received' "$TMP/rekey-$ns.log" ||
		die "from $ns: $(grep transmitted "$TMP/rekey-$ns.log")"
done
wire unique "$CAPTURE" >"$TMP/unique" || die "$(head -n 5 "$TMP/unique")"
generations=$(($(grep -c '^SPI' "$TMP/unique") / 2))
[ "$generations" -ge 3 ] || die "only $generations generations of SAs on the wire: $(cat "$TMP/unique")"
[ -z "$(run gw1 ip xfrm state list spi "$first")" ] || die "the first SA is still there"
until_ok 10 sh -c "! $(printf '%q ' "$XESP_BUILD/xesp") --pins $(pins_of gw1) --run $TMP/gw1-run sa --json | grep -q $first"
say "1000 pings answered over $generations generations of SAs"
