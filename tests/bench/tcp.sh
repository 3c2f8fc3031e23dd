#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tcp.sh - iperf3 between the demo's hosts: through xesp's tunnel, and by plain forwarding beside it.
#
# The topology of tests/netns/topology.sh: client, server and both gateways share the machine's CPUs, so this is
# what users see of the whole, not what a gateway can do (tests/bench/topology.sh is for that). In each round follow:
#
#   forward            both gateways forward in clear, by the kernel
#   xesp               the tunnel
#   forward, offloads  in clear with checksum and segmentation offload, which never leave this machine's memory:
#                      what a veth can do, and no wire; XDP, and so xesp, must go without
#
# The first two have the hosts' offloads off, as frames from a wire have.

# shellcheck source-path=SCRIPTDIR/../netns
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"

ROUNDS=5 SECONDS_EACH=3 STREAMS="1 8" JSON=''
usage() {
	cat <<'U'
usage: tests/bench/tcp.sh [option]...   (as root; make bench-tcp)
  --rounds N        5
  --seconds S       of each measurement, 1 to 60 (3); the first half second is left out
  --streams "N..."  TCP connections at once: "1 8"
  --json FILE       all measurements, with machine, kernel and versions
U
}
whole() { # whole <option> <value> <least> <most>
	[[ $2 =~ ^[0-9]+$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] && return
	printf '%s %s: a number from %s to %s is expected\n' "$1" "$2" "$3" "$4" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) ROUNDS=${2-}; whole "$1" "$ROUNDS" 1 100; shift ;;
	--seconds) SECONDS_EACH=${2-}; whole "$1" "$SECONDS_EACH" 1 60; shift ;;
	--streams) STREAMS=${2-}; for n in $STREAMS; do whole "$1" "$n" 1 64; done; shift ;;
	--json) JSON=${2-}; shift ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
need iperf3 jq

readonly RESULTS=$TMP/results
readonly MODES=(forward xesp forward-offloads)

forward_up() {
	kernel_routes gw1 10.2.0.0/24 192.0.2.2
	kernel_routes gw2 10.1.0.0/24 192.0.2.1
}
forward_down() {
	run gw1 ip route flush exact 10.2.0.0/24
	run gw2 ip route flush exact 10.1.0.0/24
	local gw
	for gw in gw1 gw2; do run $gw sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'; done
}
offloads() { # offloads on|off: of all ends of all links
	local end
	for end in "hostA a0" "gw1 in0" "gw1 out0" "wire w1" "wire w2" "gw2 out0" "gw2 in0" "hostB b0"; do
		# shellcheck disable=SC2086 # two words: namespace and interface
		run ${end% *} ethtool -K ${end#* } tx "$1" tso "$1" gro "$1" >/dev/null
	done
}
mode_up() {
	case $1 in
	forward) forward_up ;;
	xesp) gateways_up; first_in_line "$(pid_of gw1 xespd)"; first_in_line "$(pid_of gw2 xespd)" ;;
	forward-offloads) offloads on; forward_up ;;
	esac
}
mode_down() {
	case $1 in
	forward) forward_down ;;
	xesp) gateway_down gw1; gateway_down gw2; run gw1 ip link del xesp0; run gw2 ip link del xesp0 ;;
	forward-offloads) forward_down; offloads off ;;
	esac
}

# Client, server and gateways alike stand before all else that the machine does.
first_in_line() { { echo -15 >"/proc/$1/autogroup"; } 2>/dev/null || true; }
start_xespd() { # start_xespd <gateway>
	start "$1-xespd.log" "$1" setsid "$XESP_BUILD/xespd" --pins "$(pins_of "$1")" --run "$TMP/$1-run"
	DAEMON[$1/xespd]=$STARTED
}

# Nanoseconds that both gateways' worker processes have had; 0 without them.
gateways_ns() {
	[ "$1" = xesp ] || { echo 0; return; }
	local gw
	for gw in gw1 gw2; do cat /proc/"$(pid_of $gw xespd)"/task/*/schedstat; done | awk '{ n += $1 } END { printf "%.0f\n", n }'
}

# What both gateways have dropped, for whatever reason.
gateways_drops() {
	[ "$1" = xesp ] || { echo 0; return; }
	echo $(($(all_drops gw1) + $(all_drops gw2)))
}

measure() { # measure <mode> <streams>: a line of JSON
	local before after drops
	start iperf3-server.log hostB setsid iperf3 -s -1 -p 5201
	until_ok 5 listening hostB 5201
	first_in_line "$STARTED"
	before=$(gateways_ns "$1")
	drops=$(gateways_drops "$1")
	# shellcheck disable=SC2016 # $@ is the inner shell's
	run hostA setsid --wait sh -c '{ echo -15 >/proc/self/autogroup; } 2>/dev/null; exec timeout "$@"' sh \
		$((SECONDS_EACH + 20)) iperf3 -c 10.2.0.2 -p 5201 -P "$2" -t "$SECONDS_EACH" -O 0.5 -J \
		>"$TMP/iperf3.json" || die "iperf3, $1: $(jq -r '.error // empty' "$TMP/iperf3.json")"
	after=$(gateways_ns "$1")
	drops=$(($(gateways_drops "$1") - drops))
	jq -ce --arg mode "$1" --argjson streams "$2" --argjson ns $((after - before)) \
		--argjson drops "$drops" '{ mode: $mode, streams: $streams,
		mbps: (.end.sum_received.bits_per_second / 1e6), retransmits: .end.sum_sent.retransmits, dropped: $drops,
		gateways_cpu: ($ns / 1e9 / .end.sum_sent.seconds) }' "$TMP/iperf3.json"
}

topology_up
: >"$RESULTS"
for ((round = 0; round < ROUNDS; round++)); do
	for mode in "${MODES[@]}"; do
		mode_up "$mode"
		for streams in $STREAMS; do measure "$mode" "$streams" >>"$RESULTS"; done
		[ "$mode" != xesp ] || [ "$(sa_field gw2 t4-in .packets)" -gt 0 ] || die "nothing came through the tunnel"
		mode_down "$mode"
	done
done

[ "$(wc -l <"$RESULTS")" -eq $((ROUNDS * ${#MODES[@]} * $(wc -w <<<"$STREAMS"))) ] || die "measurements are missing"

"$XESP_BUILD/xesp" bench about --json >"$TMP/about"
jq -s --slurpfile about "$TMP/about" '$about[0] + { bench: "tcp", measurements: . }' "$RESULTS" >"$TMP/all.json"
[ -z "$JSON" ] || cp "$TMP/all.json" "$JSON"

"$XESP_BUILD/xesp" bench about
echo "iperf3 from host to host over two gateways, $ROUNDS rounds of $SECONDS_EACH s; MTU 1500, AES-128-GCM-16, ESN."
echo "All four share the machine's CPUs; xespd is CPU seconds a second of both gateways' daemons, dropped what they dropped."
echo
printf '%-20s %7s  %8s %8s %8s  %7s %7s %6s  %s\n' "" streams "Mbit/s" median max retrans dropped xespd "of plain forwarding"
jq -r '
	def three: sort | [.[0], .[length / 2 | floor], .[-1]];
	.measurements | group_by(.streams)[] | (map(select(.mode == "forward").mbps) | three[1]) as $plain |
	group_by(.mode | {forward: 0, xesp: 1}[.] // 2)[] | (map(.mbps) | three) as $m |
	[.[0].mode, .[0].streams, $m[0], $m[1], $m[2], (map(.retransmits) | add), (map(.dropped) | add),
	 (map(.gateways_cpu) | three[1]),
	 ($m[1] / $plain * 100)] | @tsv' "$TMP/all.json" |
	while IFS=$'\t' read -r mode streams least mid most retransmits dropped cpu share; do
		printf '%-20s %7d  %8.0f %8.0f %8.0f  %7d %7d %6.2f  %.0f%%\n' "${mode/-/, }" "$streams" "$least" "$mid" "$most" \
			"$retransmits" "$dropped" "$cpu" "$share"
	done
