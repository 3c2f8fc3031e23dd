#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4303 sections 2.2.1, 3.3.3 and appendix A2: extended sequence numbers go over 2^32 in both
# directions, also when the packets at the edge are lost; without ESN an SA sends number 2^32 - 1 and
# then nothing, also after a restart. The numbers get there as they do in life: a lease of nearly all of
# them is lost with the memory in a power loss, and the next one begins behind it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

shoot() { run "$1" ping -q -n -c "$2" -i 0.01 -W 0.1 "$3" >"$TMP/ping.log" 2>&1 || true; }
seqs() { wire seqs "$CAPTURE" "spi=${SPI[$1]}"; }

topology_up
LEASE=4294967290
gateways_up
pings hostA 10 10.2.0.2
for gw in gw1 gw2; do lose_power $gw; done
for gw in gw1 gw2; do power_again $gw; done

# 4294967291 and 2 go through; then the wire is cut while numbers step over the edge.
for sender in gw1 gw2; do
	from=hostA to=10.2.0.2
	[ $sender = gw1 ] || from=hostB to=10.1.0.2
	capture wire w1
	run $from ping -q -c 2 -i 0.01 -W 2 $to >/dev/null || die "no answer before the edge"
	expect_equal "highest at the peer" "$(sa_field "$(peer_of $sender)" t4-in .sequence.highest)" \
		"$(sa_field $sender t4-out '.sequence.next - 1')"
	[ "$(sa_field $sender t4-out .sequence.next)" -lt 4294967296 ] || [ $sender = gw2 ] || die "too early over the edge"
	wire_cut
	shoot $from 7 $to
	wire_mend
	pings $from 20 $to
	stop_capture wire w1
	next=$(sa_field $sender t4-out .sequence.next)
	[ "$next" -gt 4294967297 ] || die "$sender: next is $next"
	expect_equal "highest at the peer" "$(sa_field "$(peer_of $sender)" t4-in .sequence.highest)" $((next - 1))
	say "$sender: $(seqs t4-$sender | head -n 1) ... $((next - 1)), with 7 lost at the edge"
done
for gw in gw1 gw2; do
	expect_equal "drops of $gw" "$(all_drops $gw)" 0
	[ "$(sa_field $gw t4-in .lost)" -ge 0 ] || die "lost"
done

# A receiver's xespd that dies beyond the edge goes on there.
kill_daemon gw2 xespd KILL
start_xespd gw2
gateway_ready gw2
pings hostA 20 10.2.0.2
expect_equal "bad ICV after a restart" "$(counter gw2 bad-icv)" 0

# What was captured before the edge is not taken again behind it.
held=$(counter gw2 replay-duplicate)
run wire "$PYTHON" "$HERE/wire.py" inject w2 "$TMP/wire-w1.pcap" "spi=${SPI[t4-gw1]}" last=5 >/dev/null
replayed() { echo $(($(counter gw2 replay-duplicate) + $(counter gw2 bad-icv) - held)); }
until_equal 5 replayed

# Without ESN: five numbers are left.
gateway_down gw1
gateway_down gw2
forget_state gw1
forget_state gw2
ESN=no
gateways_up
pings hostA 10 10.2.0.2
lose_power gw1
power_again gw1
expect_equal "numbers left" "$(sa_field gw1 t4-out .sequence.left)" 5
capture wire w1
pings hostA 5 10.2.0.2
shoot hostA 10 10.2.0.2
stop_capture wire w1
expect_equal "numbers on the wire" "$(seqs t4-gw1 | tr '\n' ' ')" "4294967291 4294967292 4294967293 4294967294 4294967295 "
expect_equal "exhausted" "$(sa_drops gw1 t4-out seq-exhausted)" 10
expect_equal "numbers left" "$(sa_field gw1 t4-out .sequence.left)" 0
xesp gw1 status --json | jq -r '.keyd.config.problems[]' | grep -q "'t4-out': its sequence numbers are used up" ||
	die "xesp status does not say it: $(xesp gw1 status --json | jq -c .keyd.config.problems)"
kill_daemon gw1 xespd KILL
kill_daemon gw1 xesp-keyd KILL
start_keyd gw1
start_xespd gw1
until_ready gw1 worker_serves
refused() { [ "$(sa_field gw1 t4-out .state)" = refused ]; }
until_ok 5 refused
case $(sa_field gw1 t4-out .reason) in *"new key"*) ;; *) die "$(sa_field gw1 t4-out .reason)" ;; esac
capture wire w1
shoot hostA 10 10.2.0.2
stop_capture wire w1
expect_equal "numbers after a restart" "$(seqs t4-gw1 | wc -l)" 0
expect_equal "IPv6's tunnel goes on" "$(run hostA ping -q -c 2 -i 0.01 2001:db8:2::2 | grep -c '2 received')" 1
say "without ESN: 4294967295 was the last; $(sa_field gw1 t4-out .reason)"
