#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# One frame with one bit inverted, for every bit of ESP from the SPI to the last of the ICV
# (RFC 4303 section 3.4): none is delivered, and each is found in the counter that it belongs to.
# The frame itself was held back at the wire and still passes at the end.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need xxd

readonly CHUNK=512 # bits a time, so that no ring is ever full
readonly BEFORE=200 # packets before the frame; more than the window, so that old numbers exist

topology_up
ESN=no
gateways_up

# The frame of one ping, held: nothing of it reached gw2.
hold_frame() { # hold_frame <tunnel> <from> <to>
	pings hostA "$BEFORE" "$3" -I "$2"
	expect_equal "packets before the frame" "$(sa_field gw2 "$1-in" .packets)" "$BEFORE"
	wire_cut
	capture wire w1
	run hostA ping -q -c 1 -W 0.1 -I "$2" "$3" >/dev/null && die "answered over a cut wire"
	stop_capture wire w1
	mv "$CAPTURE" "$TMP/held.pcap"
}

flip_all() { # flip_all <tunnel>
	local spi=${SPI[$1-gw1]} at=0 why n all=0
	local -A expected=()
	capture hostB b0
	while run wire "$PYTHON" "$HERE/wire.py" flips w2 "$TMP/held.pcap" "spi=$spi" last=1 "from=$at" \
		"until=$((at + CHUNK))" "window=$WINDOW" "top=$BEFORE" "esn=$ESN" >"$TMP/flips"; do
		[ "$(cat "$TMP/flips")" != "{}" ] || break
		while read -r why n; do
			expected[$why]=$((${expected[$why]:-0} + n))
			all=$((all + n))
			expect_counter gw2 "$why" "$((${base[$why]:-0} + expected[$why]))"
		done < <(jq -r 'to_entries[] | "\(.key) \(.value)"' "$TMP/flips")
		at=$((at + CHUNK))
	done
	for why in replay-duplicate replay-old bad-icv; do
		expect_equal "$1-in $why" "$(sa_drops gw2 "$1-in" "$why")" "${expected[$why]:-0}"
	done
	[ "${expected[no-sa]}" -eq 32 ] || die "32 bits of the SPI, ${expected[no-sa]} refused as no-sa"
	expect_equal "all drops" "$(all_drops gw2)" "$((base_all + all))"
	expect_equal "packets authenticated" "$(sa_field gw2 "$1-in" .packets)" "$BEFORE"
	stop_capture hostB b0
	expect_equal "packets delivered to hostB" "$(wire count "$CAPTURE" | jq '.ip // 0')" 0
	for why in "${!expected[@]}"; do base[$why]=$((${base[$why]:-0} + expected[$why])); done
	base_all=$((base_all + all))
	say "$1: $all bits, ESN $ESN: $(for why in "${!expected[@]}"; do printf '%s %s, ' "$why" "${expected[$why]}"; done)0 delivered"
}

# The control: what was altered above passes unaltered.
release_frame() { # release_frame <tunnel>
	run wire "$PYTHON" "$HERE/wire.py" inject w2 "$TMP/held.pcap" "spi=${SPI[$1-gw1]}" last=1 >/dev/null
	until_equal $((BEFORE + 1)) sa_field gw2 "$1-in" .packets
	wire_mend
}

declare -A base=()
base_all=0
hold_frame t4 10.1.0.2 10.2.0.2
flip_all t4
release_frame t4
hold_frame t6 2001:db8:1::2 2001:db8:2::2
flip_all t6
release_frame t6

gateway_down gw1
gateway_down gw2
forget_state gw1
forget_state gw2
ESN=yes
base=()
base_all=0
gateways_up
hold_frame t4 10.1.0.2 10.2.0.2
flip_all t4
release_frame t4
