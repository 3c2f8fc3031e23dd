#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sockets.sh - one queue over two cores, in the ways there are (tests/bench/sockets.c), on a veth pair each side:
#
#   hostA [a0] --- [in0] gw1 [out0, two queues] --- [w1] wire
#
# Generator and sink are on CPU 0, where the gateway's second thread is, too: so the generator sleeps when it may send
# nothing, and packets a second are what both CPUs can do together. Ways take turns within each round.

# shellcheck source-path=SCRIPTDIR/../netns
. "$(dirname "$0")/../netns/topology.sh"

BENCH=$(cd "$HERE/../.." && cd "${XESP_BUILD:-build/release}" && pwd)/tests/bench
ROUNDS=5 SECONDS_EACH=1 SIZES="64 1420" ENGINES="ipsec-mb openssl" JSON=''
usage() {
	cat <<'U'
usage: tests/bench/sockets.sh [option]...   (as root; make bench-sockets)
  --rounds N        5
  --seconds S       of each measurement, 1
  --sizes "N..."    inner IP packets in bytes, below 1430: "64 1420"
  --engines "E..."  "ipsec-mb openssl"
  --json FILE       all measurements
U
}
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) ROUNDS=$2; shift ;;
	--seconds) SECONDS_EACH=$2; shift ;;
	--sizes) SIZES=$2; shift ;;
	--engines) ENGINES=$2; shift ;;
	--json) JSON=$2; shift ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
need ip nsenter jq
[ "$(nproc)" -ge 2 ] || skip "two threads need a CPU each"
RESULTS=$TMP/results

ground() {
	local ns
	trap cleanup EXIT
	for ns in "${NAMESPACES[@]}"; do
		ip netns add "$NS-$ns"
		run "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
			echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
		ip -n "$NS-$ns" link set lo up
	done
	link hostA a0 gw1 in0
	ip link add name out0 numtxqueues 2 numrxqueues 2 netns "$NS-gw1" type veth \
		peer name w1 numtxqueues 2 numrxqueues 2 netns "$NS-wire"
	ip -n "$NS-gw1" link set out0 up
	ip -n "$NS-wire" link set w1 up
	until_ok 5 carrier gw1 in0
	until_ok 5 carrier gw1 out0
}

# In a scheduling group of its own, before the rest of the machine.
FIRST=(sh -c 'echo -15 >/proc/self/autogroup 2>/dev/null; exec "$@"' sh)

measure() { # measure <way> <engine> <size>; false: the engine is not here
	local pid status=0
	: >"$TMP/sockets.log"
	start sockets.log gw1 setsid "${FIRST[@]}" "$BENCH/sockets" "$1" "$2" in0 out0 "$(mac wire w1)"
	pid=$STARTED
	until_ok 10 ready_or_gone "$pid"
	gone "$pid" && { wait "$pid" || status=$?; [ $status = 77 ] || die "sockets: $(cat "$TMP/sockets.log")"; return 1; }
	setsid --wait "${FIRST[@]}" "$BENCH/traffic" -l "$1" -w 1024 -S 20 -s "$SECONDS_EACH" -p "$pid" -c 0 -C 1 -z "$3" \
		-g "$PATH_OF_NS-hostA" -i a0 -k "$PATH_OF_NS-wire" -n w1 -D 192.0.2.2 -d "$(mac gw1 in0)" \
		-m "$(mac hostA a0)" -f 10.1.0.2 -t 10.2.0.2 >"$TMP/one" 2>"$TMP/one.err" || die "traffic: $(cat "$TMP/one.err")"
	jq -c --arg engine "$2" '. + { way: .label, engine: $engine }' "$TMP/one" >>"$RESULTS"
	kill -TERM "$pid"
	wait "$pid" || die "sockets $1: $(cat "$TMP/sockets.log")"
}
ready_or_gone() { grep -q '^ready' "$TMP/sockets.log" || gone "$1"; }

ground
: >"$RESULTS"
for ((round = 0; round < ROUNDS; round++)); do
	for engine in $ENGINES; do
		for size in $SIZES; do
			for way in alone dispatch flow turn; do
				measure $way "$engine" "$size" || { say "engine $engine: not here"; continue 3; }
			done
		done
	done
done

echo "One queue of a veth over two CPUs, ESP out of one tunnel, AES-128-GCM, ESN, 64 flows. alone: one thread; dispatch: one socket, and a"
echo "thread that does crypto (xespd's way); flow, turn: two sockets, by flow and in turn. ns CPU is of both threads, a packet; late is ESP behind"
echo "a higher number, latest by how many. kpps of the best and the median round, ns of the least and the median."
echo
jq -rs 'def mid: sort | .[length / 2 | floor];
	group_by(.engine, .size, .way)[] |
	[.[0].engine, .[0].size, .[0].way, (map(.pps) | max / 1000, mid / 1000), (map(.cpu_ns) | min, mid),
	 (100 * (map(.late) | add) / (map(.received) | add)), (map(.latest) | max), (map(.lost) | add)] | @tsv' "$RESULTS" |
	awk -F'\t' 'BEGIN { printf "%-9s %5s  %-9s %6s %7s %7s %7s %7s %7s %6s\n", "engine", "bytes", "way", "kpps", "median", "ns CPU", "median", "late", "latest", "lost" }
		{ printf "%-9s %5d  %-9s %6.0f %7.0f %7.0f %7.0f %6.1f%% %7d %6d\n", $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 }'
[ -z "$JSON" ] || jq -s '{ bench: "sockets", rows: . }' "$RESULTS" >"$JSON"
