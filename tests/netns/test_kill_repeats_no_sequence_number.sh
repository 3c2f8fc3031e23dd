#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# kill -9 of xespd, of keyd and of both, on the sender and on the receiver, under traffic in both
# directions: traffic goes on after the restart, no sequence number is on the wire twice (with
# AES-GCM that would give the key away, RFC 4106 section 3.1), and a packet that was accepted before
# the kill is refused after it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
LEASE=300 # a block lasts about half a second, so that kills fall between request and grant
gateways_up

traffic_start() {
	start ping-a.log hostA ping -n -i 0.002 10.2.0.2
	start ping-b.log hostB ping -n -i 0.002 2001:db8:1::2
}
answers() { grep -c 'bytes from' "$TMP/$1" || true; }
# Answers after now, in both directions.
traffic_goes_on() {
	local a b
	a=$(($(answers ping-a.log) + 50))
	b=$(($(answers ping-b.log) + 50))
	until_at_least "$a" answers ping-a.log
	until_at_least "$b" answers ping-b.log
}

# Every frame of the whole test is in the capture of w1; that of w2 holds early packets, to be replayed.
capture wire w1
capture wire w2
traffic_start
traffic_goes_on
stop_capture wire w2
for gw in gw1 gw2; do
	for programs in xespd xesp-keyd "xespd xesp-keyd"; do
		for p in $programs; do kill_daemon "$gw" "$p" KILL; done
		for p in $programs; do
			case $p in
			xespd) start_xespd "$gw" ;;
			xesp-keyd) start_keyd "$gw" ;;
			esac
		done
		gateway_ready "$gw"
		traffic_goes_on

		# What this gateway accepted before is refused.
		before=$(all_drops "$gw")
		spi=${SPI[t4-$(peer_of "$gw")]}
		port=w1; [ "$gw" = gw1 ] || port=w2
		sent=$(run wire "$PYTHON" "$HERE/wire.py" inject $port "$TMP/wire-w2.pcap" "spi=$spi" first=40)
		[ "$sent" -eq 40 ] || die "replayed $sent instead of 40"
		until_at_least $((before + 40)) all_drops "$gw"
		say "$gw: kill -9 $programs: traffic goes on, 40 replays refused"
	done
done
stop_capture wire w1
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
wire unique "$CAPTURE" >"$TMP/unique" || die "$(grep -m 10 . "$TMP/unique")"
sed 's/^/  /' "$TMP/unique"
