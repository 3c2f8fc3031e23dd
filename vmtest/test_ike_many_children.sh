#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# One IKE_SA without a child (RFC 6023), then several CHILD_SAs one by one, each with an algorithm of its
# own and selectors that overlap: xesp carries each packet under the SA of the most specific policy, as
# the kernel at the far end does; one child goes and the others carry on, then its traffic is the wider one's.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

children() { # children <gateway>
	local me=$1 peer; peer=$(peer_of "$1")
	ESP_PROPOSALS=aes128gcm16-esn
	child v4 "$(net4 "$me").0/24" "$(net4 "$peer").0/24"
	ESP_PROPOSALS=chacha20poly1305-noesn
	child v6 "$(net6 "$me"):/64" "$(net6 "$peer"):/64"
	ESP_PROPOSALS=aes256-sha256-esn
	child host "$(net4 "$me").3/32" "$(net4 "$peer").3/32"
}

ike_gateways
IKE_MORE="childless = force"
ike_start gw1
ike_start gw2
swan gw1 --initiate --ike site >"$TMP/initiate.log" 2>&1 || die "childless: $(tail -n 5 "$TMP/initiate.log")"
expect_equal "SAs of a childless IKE_SA" "$(spis_of gw1 | wc -w)" 0
declare -A SENDS=() # child to the SPI that gw1 sends under
for child in v4 v6 host; do
	before=$(spis_of gw1)
	ike_initiate gw1 $child
	SENDS[$child]=$(comm -13 <(sort <<<"$before") <(spis_of gw1 | sort))
	until_ok 10 is_active gw1 "${SENDS[$child]}"
done

counts() { # counts: packets that gw1 sent under each, by xesp
	local child
	for child in v4 v6 host; do printf '%s=%s ' $child "$(packets_of gw1 "${SENDS[$child]}")"; done
}
pings hostA 10 10.2.0.2 -I 10.1.0.2
pings hostA 20 2001:db8:2::2
pings hostA 30 10.2.0.3 -I 10.1.0.3
pings hostB 5 10.1.0.3 -I 10.2.0.3
expect_equal "packets by child" "$(counts)" "v4=10 v6=20 host=35 "
for child in v4 v6 host; do
	expect_equal "$child: packets in the far kernel" "$(kernel_packets gw2 "${SENDS[$child]}")" \
		"$(packets_of gw1 "${SENDS[$child]}")"
done
say "a childless IKE_SA, then three children: $(counts)"

swan gw2 --terminate --child host >"$TMP/terminate.log" 2>&1 || die "$(tail -n 3 "$TMP/terminate.log")"
until_ok 10 sh -c "! $(printf '%q ' "$XESP_BUILD/xesp") --pins $(pins_of gw1) --run $TMP/gw1-run sa --json | grep -q ${SENDS[host]}"
pings hostA 10 10.2.0.3 -I 10.1.0.3
pings hostA 10 2001:db8:2::2
expect_equal "v4 carries the host's" "$(packets_of gw1 "${SENDS[v4]}")" 20
expect_equal "v6 undisturbed" "$(packets_of gw1 "${SENDS[v6]}")" 30
say "one child ended: its traffic is the wider child's, the third is undisturbed"
