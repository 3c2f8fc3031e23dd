#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Power loss, simulated: daemons killed, every map gone, only the state directory left. Numbers go on
# above all that were on the wire. Without the state directory outbound SAs are refused, with a
# sentence that says what to do, and nothing leaves.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
WINDOW=1024
gateways_up

captures=()
for round in 1 2 3; do
	capture wire w1
	pings hostA 50 10.2.0.2
	pings hostB 50 10.1.0.2
	stop_capture wire w1
	mv "$CAPTURE" "$TMP/round$round.pcap"
	captures+=("$TMP/round$round.pcap")
	lose_power gw1
	power_again gw1
done
pings hostA 50 10.2.0.2
wire unique "${captures[@]}" >"$TMP/unique" || die "$(cat "$TMP/unique")"
for round in 2 3; do
	last=$(wire seqs "$TMP/round$((round - 1)).pcap" "spi=${SPI[t4-gw1]}" | sort -n | tail -n 1)
	first=$(wire seqs "$TMP/round$round.pcap" "spi=${SPI[t4-gw1]}" | sort -n | head -n 1)
	[ "$first" -gt "$last" ] || die "numbers went on at $first, $last was used before"
	say "after power loss $((round - 1)): up to $last used, goes on at $first"
done

refused_out() { xesp gw1 sa --json | jq '[.sas[] | select(.name == "t4-out" and .state == "refused")] | length'; }

# The record is lost.
lose_power gw1
rm -rf "$TMP/gw1-state"
attach gw1
: >"$TMP/gw1-xesp-keyd.log"
start_keyd gw1
start_xespd gw1
until_equal 1 refused_out
reason=$(sa_field gw1 t4-out .reason)
case $reason in
*key*--new-state* | *--new-state*key*) ;;
*) die "the reason does not say what to do: $reason" ;;
esac
capture wire w1
run hostA ping -q -c 10 -i 0.01 -W 0.2 10.2.0.2 >/dev/null && die "an SA without a lease record sent"
stop_capture wire w1
expect_equal "ESP from gw1" "$(wire seqs "$CAPTURE" "spi=${SPI[t4-gw1]}" | wc -l)" 0
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
say "state lost: $reason"
