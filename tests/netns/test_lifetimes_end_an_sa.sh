#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4301 section 4.4.2.1: packets, bytes and seconds end an SA at its hard limit, to the packet and in
# both directions; the soft limit is said before. What comes after is dropped as `lifetime`, the keys
# are gone, forged packets count for nothing, and no restart begins a life anew; a new key does.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

declare -A LIFE=()
sa() { # sa <tunnel> <sender> <direction>, with a lifetime from LIFE[<name>]
	printf '  - name: %s-%s\n    tunnel: %s\n    direction: %s\n    spi: %s\n    algorithm: %s\n' \
		"$1" "$3" "$1" "$3" "${SPI[$1-$2]}" "$ALGORITHM"
	printf '    key: %s\n    esn: %s\n' "$(key_of "$1" "$2")" "$ESN"
	[ "$3" = out ] || printf '    replay_window: %s\n' "$WINDOW"
	[ -z "${LIFE[$1-$3]:-}" ] || printf '    lifetime: {%s}\n' "${LIFE[$1-$3]}"
}

esp_packets() { wire seqs "$CAPTURE" "spi=${SPI[$1]}" | wc -l; }
problem_of() { xesp "$1" status --json | jq -r '.keyd.config.problems[]'; }
state_is() { [ "$(sa_field "$1" "$2" .state)" = "$3" ]; }
said() { problem_of "$1" | grep -q "$2"; }
shoot() { run "$1" ping -q -n -c "$2" -i 0.002 -W 0.2 -s "${4:-56}" "$3" >"$TMP/ping.log" 2>&1 || true; }

topology_up

# Packets, outbound at gw1: soft at 60, hard at 100.
LIFE=([t4-out]='soft_packets: 60, hard_packets: 100')
write_config gw1
LIFE=()
write_config gw2
gateways_up
capture wire w1
pings hostA 60 10.2.0.2
until_ok 5 said gw1 "'t4-out': its soft limit of 60 packets is reached"
expect_equal "lifetime" "$(sa_field gw1 t4-out .lifetime.state)" soft
expect_equal "state" "$(sa_field gw1 t4-out .state)" active
until_ok 5 grep -q "'t4-out': its soft limit of 60 packets" "$TMP/gw1-xesp-keyd.log"
shoot hostA 50 10.2.0.2
until_ok 5 state_is gw1 t4-out expired
shoot hostA 20 10.2.0.2
stop_capture wire w1
expect_equal "packets before the end" "$(esp_packets t4-gw1)" 100
expect_equal "packets counted" "$(sa_field gw1 t4-out .packets)" 100
expect_equal "lifetime drops" "$(sa_drops gw1 t4-out lifetime)" 30
expect_counter gw1 lifetime 30
said gw1 "'t4-out': its hard limit of 100 packets is reached: give it a new key" || die "$(problem_of gw1)"
grep -q "'t4-out': its hard limit of 100 packets" "$TMP/gw1-xesp-keyd.log" || die "not logged"
say "packets: 100 left, 30 were dropped as lifetime; $(sa_field gw1 t4-out .reason)"

# No restart of a daemon, and no higher limit, brings it back.
kill_daemon gw1 xespd KILL
kill_daemon gw1 xesp-keyd KILL
LIFE=([t4-out]='hard_packets: 100000')
write_config gw1
start_keyd gw1
start_xespd gw1
until_ready gw1 worker_serves
until_ok 5 state_is gw1 t4-out expired
capture wire w1
shoot hostA 10 10.2.0.2
stop_capture wire w1
expect_equal "packets after a restart" "$(esp_packets t4-gw1)" 0
expect_equal "lifetime drops after a restart" "$(sa_drops gw1 t4-out lifetime)" 40
say "restart and a higher limit: still over"

# A new key does.
KEY[t4-gw1]=$(xxd -p -c 64 -l 36 /dev/urandom)
write_config gw1
LIFE=([t4-in]='hard_bytes: 10000')
write_config gw2
for gw in gw1 gw2; do
	xesp $gw reload >/dev/null || die "reload of $gw"
	until_ready $gw sas_active
done
pings hostA 20 10.2.0.2
expect_equal "state with a new key" "$(sa_field gw1 t4-out .lifetime.state)" good

# Bytes, inbound at gw2: each echo request of 56 bytes is 84 of IP and 88 of ciphertext. 20 went; forged
# ones, however many, count for nothing.
capture wire w1
wire_cut
shoot hostA 1 10.2.0.2
wire_mend
stop_capture wire w1
run wire "$PYTHON" "$HERE/wire.py" flips w2 "$CAPTURE" "spi=${SPI[t4-gw1]}" "window=$WINDOW" top=20 esn=yes \
	from=64 >/dev/null
expect_equal "bytes after forged packets" "$(sa_field gw2 t4-in .lifetime.bytes.used)" $((20 * 88))
[ "$(sa_drops gw2 t4-in bad-icv)" -gt 100 ] || die "no forged packet arrived"
shoot hostA 120 10.2.0.2
until_ok 5 state_is gw2 t4-in expired
expect_equal "packets accepted" "$(sa_field gw2 t4-in .packets)" $((10000 / 88))
expect_equal "lifetime drops" "$(sa_drops gw2 t4-in lifetime)" $((20 + 120 - 10000 / 88))
said gw2 "'t4-in': its hard limit of 10000 bytes is reached" || die "$(problem_of gw2)"
say "bytes: $((10000 / 88)) packets of 88 accepted, forged ones counted for nothing"

# Seconds, both directions at once, on SAs that idle: they end by themselves.
gateway_down gw1
gateway_down gw2
forget_state gw1
forget_state gw2
LIFE=([t4-out]='soft_seconds: 2, hard_seconds: 5' [t4-in]='soft_seconds: 2, hard_seconds: 5')
gateway_up gw1
born=$SECONDS
LIFE=()
gateway_up gw2
pings hostA 10 10.2.0.2
until_ok 5 said gw1 "'t4-in': its soft limit of 2 seconds"
for sa in t4-out t4-in; do until_ok 10 state_is gw1 $sa expired; done
[ $((SECONDS - born)) -ge 4 ] || die "ended after $((SECONDS - born)) s"
capture wire w1
shoot hostA 10 10.2.0.2
shoot hostB 10 10.1.0.2
stop_capture wire w1
expect_equal "packets out" "$(esp_packets t4-gw1)" 0
expect_equal "packets in" "$(esp_packets t4-gw2)" 10
expect_equal "drops out" "$(sa_drops gw1 t4-out lifetime)" 10
expect_equal "drops in" "$(sa_drops gw1 t4-in lifetime)" 10
pings hostA 5 10.2.0.3 -I 10.1.0.3
say "seconds: both directions ended, the other tunnel goes on"

# Its keys are nowhere in the memory that xespd and keyd could be dumped from.
for program in xespd xesp-keyd; do
	for sender in gw1 gw2; do
		hex=$(key_of t4 $sender)
		! "$PYTHON" "$HERE/memory.py" "$(pid_of gw1 $program)" "${hex:0:32}" || die "$program still holds the key of t4-$sender"
	done
	# The control: a key that is in use is found there.
	"$PYTHON" "$HERE/memory.py" "$(pid_of gw1 $program)" "$(key_of t6 gw1 | cut -c1-32)" >/dev/null ||
		die "memory.py does not find a key that must be there"
done
say "the keys of what has ended are wiped"
