#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `fallback: kernel`: both daemons are killed under 100 pings a second, the kernel goes on under the same
# SAs, and the daemons take it back when they return. Few pings are lost, no sequence number is on the
# wire twice, and what the kernel received meanwhile is not received again.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/xfrm.sh"

REPLAY_WINDOW=4096 # nothing that is repeated is refused for its age
xfrm_gateways kernel
gateway_up gw1
pings hostA 20 10.2.0.2
expect_served gw1 0x1001 20
run gw1 sh -c 'for i in in0 out0; do echo 1 >/proc/sys/net/ipv4/conf/$i/forwarding; done'

esp_on_wire() { wire seqs "$1" "spi=$2" | wc -l; }

capture wire w1 200
load away hostA 10.2.0.2 1500 0.01
pause 3
# keyd tells the kernel twice a second how far xesp is: what it had no time to tell is not received again either.
kill -STOP "$(pid_of gw1 xesp-keyd)"
pause 0.7
cp "$TMP/wire-w1.pcap" "$TMP/xespds.pcap" # but for the last ones perhaps xespd has accepted all of it
kill -KILL "$(pid_of gw1 xespd)" "$(pid_of gw1 xesp-keyd)"
kill_daemon gw1 xespd
kill_daemon gw1 xesp-keyd
run wire "$PYTHON" "$HERE/wire.py" inject w1 "$TMP/xespds.pcap" spi=0x2001 last=200 >"$TMP/injected"
load_end away
grep -q duplicates "$TMP/load-away.log" && die "the kernel received again what xesp had: $(grep transmitted "$TMP/load-away.log")"
[ "$(counter gw1 handover)" -ge $(($(<"$TMP/injected") - 20)) ] || die "of $(<"$TMP/injected") packets that were repeated $(counter gw1 handover) were refused before the kernel"
say "xespd's last packets repeated: $(counter gw1 handover) refused before the kernel, none received again"
lost=$(load_lost away)
[ -n "$lost" ] || die "$(cat "$TMP/load-away.log")"
say "both daemons killed: $lost of 1500 pings lost"
[ "$lost" -lt 20 ] || die "both daemons killed: $lost pings of 1500 at 100 a second lost"
xesp gw1 sa >/dev/null 2>&1 && die "keyd still answers"

before=$(esp_on_wire "$TMP/wire-w1.pcap" 0x1001)
load back hostA 10.2.0.2 2000 0.01
pause 1
start_keyd gw1
start_xespd gw1
gateway_ready gw1
served=$(packets_of gw1 0x1001)
until_at_least $((served + 100)) packets_of gw1 0x1001
load_end back
lost=$(load_lost back)
say "both daemons back: $lost of 2000 pings lost"
[ "$lost" -lt 20 ] || die "both daemons back: $lost pings of 2000 at 100 a second lost"
pings hostB 20 10.1.0.2
stop_capture wire w1
after=$(esp_on_wire "$CAPTURE" 0x1001)
[ "$after" -ge $((before + 1900)) ] || die "$((after - before)) packets under 0x1001 while they came back"
wire unique "$CAPTURE" >"$TMP/unique" || die "$(head -n 5 "$TMP/unique")"
say "$after packets under one key, no number twice: $(wire seqs "$CAPTURE" spi=0x1001 | awk 'NR > 1 && $1 - last > 1000 { n++ } { last = $1 } END { print n + 0 }') jumps"

# An attacker repeats what the kernel had accepted: xesp knows how far it was. No more than a ring takes, for the machine may be busy.
sa_figures() { sa_by_spi gw1 0x2001 | jq "$1"; }
taken=$(sa_figures .packets) dropped=$(sa_figures '[.drops[]] | add // 0')
run wire "$PYTHON" "$HERE/wire.py" inject w1 "$CAPTURE" spi=0x2001 last=2000 >"$TMP/injected"
until_at_least $((dropped + $(<"$TMP/injected"))) sa_figures '[.drops[]] | add // 0'
expect_equal "packets accepted a second time" "$(($(sa_figures .packets) - taken))" 0
say "$(<"$TMP/injected") of its packets repeated: none accepted"
