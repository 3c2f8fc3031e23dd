#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tunnels.sh - what a packet costs a gateway with many tunnels, beside what it costs one with one tunnel.
#
#   hostA [a1] --- [in0] gw1 [out0] --- [w1] wire      1 tunnel
#   hostA [a2] --- [in0] gw2 [out0] --- [w2] wire      1 000
#   hostA [a3] --- [in0] gw3 [out0] --- [w3] wire      100 000: each an outbound SA, an inbound SA, a policy, a peer
#
# As topology.sh, but the packets are spread over all tunnels: each tunnel has one before any has a second, and
# neighbours lie far apart (source.h), so that whatever belongs to a tunnel has left the caches when its next packet comes.
# There are 64 flows, or one of each tunnel if those are more. The gateways take turns on one CPU, all but the one that is
# measured are stopped. What XDP takes is measured by the kernel's clock around the program, for
# on a veth it runs on the generator's CPU.

# shellcheck source-path=SCRIPTDIR/../netns
BENCH_DIR=$(dirname "$0")
ROUNDS=5 SECONDS_EACH=1 SIZES="64 512 1420" TUNNELS=1,1000,100000 JSON='' XESPD_OPTIONS=() DIRECTIONS="encap decap"
usage() {
	cat <<'U'
usage: tests/bench/tunnels.sh [option]...   (as root; make bench-tunnels)
  --tunnels N,...  1,1000,100000: up to five, of 131072 at most; the first is what the others are held against.
                   N@DIR: by the programs of another build, to hold two against each other
  --rounds N       5
  --seconds S      of each measurement, 1
  --sizes "N..."   inner IP packets in bytes: "64 512 1420"
  --direction D    encap or decap; both
  --xespd=OPTION   an option for xespd, may be given again: --xespd=--batch --xespd=128
  --json FILE      all measurements, with machine, kernel and versions
U
}
while [ $# -gt 0 ]; do
	case $1 in
	--tunnels) TUNNELS=$2; shift ;;
	--rounds) ROUNDS=$2; shift ;;
	--seconds) SECONDS_EACH=$2; shift ;;
	--sizes) SIZES=$2; shift ;;
	--direction) DIRECTIONS=$2; shift ;;
	--json) JSON=$2; shift ;;
	--xespd=*) XESPD_OPTIONS+=("${1#--xespd=}") ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
IFS=, read -ra TUNNELS <<<"$TUNNELS"
for n in "${TUNNELS[@]}"; do
	[[ $n =~ ^[1-9][0-9]{0,5}(@.+)?$ ]] && [ "${n%%@*}" -le 131072 ] || { usage >&2; exit 2; }
done
[ "${#TUNNELS[@]}" -le 5 ] || { usage >&2; exit 2; }
MORE_NAMESPACES=(gw3 gw4 gw5)

. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
need ip nsenter ethtool jq taskset
[ "$(nproc)" -ge 2 ] || skip "a generator and a gateway need a CPU each"
readonly GEN_CPU=0 GW_CPU=1 AES_KEY=00112233445566778899aabbccddeeff
RESULTS=$TMP/results

# --- a lane: a gateway, an interface of hostA's and one of the wire's --------------------------------------

lane_link() { # lane_link <lane>
	local gw=gw$1
	link hostA "a$1" $gw in0
	link $gw out0 wire "w$1"
	addr $gw in0 10.1.0.1/24
	addr $gw out0 192.0.2.1/24
	know $gw in0 "$(mac hostA "a$1")" 10.1.0.2
	know $gw out0 "$(mac wire "w$1")" 192.0.2.2
	until_ok 5 carrier $gw in0
	until_ok 5 carrier $gw out0
	ip -n "$NS-$gw" route add 198.18.0.0/15 via 192.0.2.2
}

installed() { # installed <gateway> <SAs>
	xesp "$1" status --json | jq -e ".keyd.sas == $2 and .keyd.worker.connected and (.xespd.ports | length) > 0"
}

build_of() { # build_of <tunnels[@build]>
	case $1 in *@*) echo "${1#*@}" ;; *) echo "$XESP_BUILD" ;; esac
}

lane_up() { # lane_up <lane> <tunnels[@build]>
	local gw=gw$1 n=${2%%@*} began=$SECONDS XESP_BUILD=$XESP_BUILD; XESP_BUILD=$(build_of "$2")
	lane_link "$1"
	ATTACH_OPTIONS=(--max-sas $((2 * n + 64)) --max-policies $((n + 64)))
	"$PYTHON" "$BENCH_DIR/tunnels_config.py" "$TMP/$gw.yaml" "$n"
	attach $gw
	new_state $gw
	start_keyd $gw
	start "$gw-xespd.log" $gw setsid taskset -c $GW_CPU "$XESP_BUILD/xespd" --pins "$(pins_of $gw)" \
		--run "$TMP/$gw-run" "${XESPD_OPTIONS[@]}"
	DAEMON[$gw/xespd]=$STARTED
	until_ok $((20 + n / 1000)) installed $gw $((2 * n))
	# Before its neighbours in the scheduler, for as long as the bench runs.
	{ echo -15 >"/proc/$STARTED/autogroup"; } 2>/dev/null || true
	say "$gw: $n tunnels after $((SECONDS - began)) s" >&2
}

# --- one measurement ----------------------------------------------------------------------------------------

declare -A NEXT=() # lane to the next number of each of its inbound SAs

measure() { # measure <lane> <tunnels[@build]> <encap|decap> <size>
	local gw=gw$1 n=${2%%@*} way=$3 size=$4 pid; pid=$(pid_of "$gw" xespd)
	local options=(-l "$2" -N "$n" -w 1024 -s "$SECONDS_EACH" -p "$pid" -c "$GEN_CPU" -C "$GW_CPU" -z "$size"
		-x "$PATH_OF_NS-$gw")
	if [ "$way" = encap ]; then
		options+=(-g "$PATH_OF_NS-hostA" -i "a$1" -k "$PATH_OF_NS-wire" -n "w$1" -X in0 -D 198.18.0.0/15
			-d "$(mac "$gw" in0)" -m "$(mac hostA "a$1")" -f 10.1.0.2 -t 172.16.0.0)
	else
		options+=(-g "$PATH_OF_NS-wire" -i "w$1" -k "$PATH_OF_NS-hostA" -n "a$1" -X out0 -D 10.1.0.2
			-d "$(mac "$gw" out0)" -m "$(mac wire "w$1")" -f 172.16.0.0 -t 10.1.0.2
			-E -K "${AES_KEY}00000000" -P 4096 -o 198.18.0.0 -O 192.0.2.1 -q "${NEXT[$1]:-1}")
	fi
	kill -CONT "$pid"
	setsid --wait sh -c 'echo -15 >/proc/self/autogroup; exec "$@"' sh \
		"$BENCH/traffic" "${options[@]}" >"$TMP/one" 2>"$TMP/one.err" || {
		show_logs
		die "traffic: $(cat "$TMP/one.err")"
	}
	kill -STOP "$pid"
	[ "$way" = encap ] || NEXT[$1]=$(jq .seq "$TMP/one")
	cat "$TMP/one" >>"$RESULTS"
}

# --- the whole ----------------------------------------------------------------------------------------------

BENCH=$XESP_BUILD/tests/bench
for ns in "${NAMESPACES[@]}"; do
	ip netns add "$NS-$ns"
	run "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
		echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
		echo 0 >/proc/sys/net/ipv4/ip_forward'
	ip -n "$NS-$ns" link set lo up
done
for i in "${!TUNNELS[@]}"; do
	lane_up $((i + 1)) "${TUNNELS[i]}"
	kill -STOP "$(pid_of "gw$((i + 1))" xespd)"
done
: >"$RESULTS"
for ((round = 0; round < ROUNDS; round++)); do
	for size in $SIZES; do
		for way in $DIRECTIONS; do
			for i in "${!TUNNELS[@]}"; do measure $((i + 1)) "${TUNNELS[i]}" "$way" "$size"; done
		done
	done
done
lane_down() { # lane_down <lane> <tunnels[@build]>
	local gw=gw$1 drops XESP_BUILD=$XESP_BUILD; XESP_BUILD=$(build_of "$2")
	kill -CONT "$(pid_of "$gw" xespd)"
	drops=$(xesp "$gw" counters --json | jq -c '.drops | with_entries(select(.value > 0))')
	[ "$drops" = '{}' ] || say "$gw dropped: $drops"
	kill_daemon "$gw" xespd TERM
	! grep -E 'ERROR|frames, but' "$TMP/$gw-xespd.log" || die "$gw: see above"
}
for i in "${!TUNNELS[@]}"; do lane_down $((i + 1)) "${TUNNELS[i]}"; done
"$PYTHON" "$BENCH_DIR/tunnels_report.py" "$RESULTS" "${JSON:-/dev/null}" "$XESP_BUILD" "${XESPD_OPTIONS[*]}"
