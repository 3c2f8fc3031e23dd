#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Lifetimes in packets and bytes reach strongSwan although the packets are xesp's: at the soft limit it
# is told, and rekeys; nothing is lost.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

ike_gateways

# The limits are gw1's alone: gw2 must hear of them by IKE.
CHILD_LINES=
children() { # children <gateway>
	local me=$1 peer lines=; peer=$(peer_of "$1")
	[ "$me" = gw2 ] || lines=$CHILD_LINES
	child net "$(net4 "$me").0/24,$(net6 "$me"):/64" "$(net4 "$peer").0/24,$(net6 "$peer"):/64" "$lines"
}
replaced() { [ "$(spis_of gw1)" != "$1" ] && [ "$(spis_of gw1 | wc -w)" = 1 ]; }

soft_limit() { # soft_limit <what> <lines of the child>
	local first
	CHILD_LINES=$2
	ike_start gw1
	ike_start gw2
	ike_initiate gw1
	first=$(spis_of gw1)
	until_ok 10 is_active gw1 "$first"
	pings hostA 40 10.2.0.2 -s 400
	expect_equal "$1: the SA before its limit" "$(spis_of gw1)" "$first"
	run hostA ping -q -n -i 0.05 -c 200 -W $((2 * PATIENCE)) -s 400 10.2.0.2 >"$TMP/soft.log" 2>&1 || true
	grep -q '200 packets transmitted, 200 received' "$TMP/soft.log" || die "$1: $(grep transmitted "$TMP/soft.log")"
	until_ok 20 replaced "$first"
	grep -q 'rekey' "$TMP/gw1-charon.log" || true
	say "$1: rekeyed, 200 of 200 pings answered"
	ike_stop gw1
	ike_stop gw2
	until_ok 10 no_sas gw1
}
soft_limit "rekey_packets = 60" "rekey_packets = 60
        life_packets = 4000
        rand_packets = 0"
soft_limit "rekey_bytes = 40000" "rekey_bytes = 40000
        life_bytes = 4000000
        rand_bytes = 0"

