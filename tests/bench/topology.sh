#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# topology.sh - generator, gateway, sink, in namespaces: what a packet costs the gateway, beside what it
# would cost without crypto, and what the crypto alone costs.
#
#   hostA [a0] --- [in0] gw1 [out0] --- [w1] wire      xesp as it is
#   hostB [b0] --- [in0] gw2 [out0] --- [w2] wire      the same worker without crypto (tests/bench/xespd-io)
#
# Encapsulation: hostA sends UDP in clear, what arrives at w1 is counted. Decapsulation: ESP is sent
# from w1, what arrives at a0 is counted. Generator and sink are tests/bench/traffic.c on one CPU, the
# gateway has another; the lane that is not measured is stopped meanwhile. All measurements of a round
# follow each other, so that what the machine does besides hits all of them; rounds in which others used
# more than 5% of a CPU are named.

# shellcheck source-path=SCRIPTDIR/../netns
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peers.sh"

BENCH=$XESP_BUILD/tests/bench
ROUNDS=5 SECONDS_EACH=1 SIZES="64 512 1420 9000" JSON='' PROFILE='' PEERS=yes WHICH_PEERS=() XESPD_OPTIONS=() DIRECTIONS="encap decap"
usage() {
	cat <<'U'
usage: tests/bench/topology.sh [option]...   (as root; make bench)
  --rounds N       5
  --seconds S      of each measurement, 1
  --sizes "N..."   inner IP packets in bytes: "64 512 1420 9000"
  --direction D    encap or decap; both
  --no-peers       xesp and its ceilings only
  --peers          fail when a peer is not installed
  --peer NAME      this one alone, may be given again: wireguard, libipsec, kernel
  --xespd OPTION   an option for xespd, may be given again: --xespd=--batch --xespd=128
  --profile DIR    a perf profile of the gateway's CPU for each measurement (use --seconds 3, --rounds 1)
  --json FILE      all measurements, with machine, kernel and versions
U
}
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) ROUNDS=$2; shift ;;
	--seconds) SECONDS_EACH=$2; shift ;;
	--sizes) SIZES=$2; shift ;;
	--direction) DIRECTIONS=$2; shift ;;
	--json) JSON=$2; shift ;;
	--no-peers) PEERS=no ;;
	--peers) PEERS=all ;;
	--peer) WHICH_PEERS+=("$2"); shift ;;
	--profile) PROFILE=$2; shift; need perf; mkdir -p "$PROFILE" ;;
	--xespd=*) XESPD_OPTIONS+=("${1#--xespd=}") ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
for peer in "${WHICH_PEERS[@]}"; do
	case $peer in wireguard | libipsec | kernel) ;; *) usage >&2; exit 2 ;; esac
done
need ip nsenter ethtool jq taskset
[ "$(nproc)" -ge 2 ] || skip "a generator and a gateway need a CPU each"
readonly GEN_CPU=0 GW_CPU=1
RESULTS=$TMP/results

# --- two lanes ------------------------------------------------------------------------------------

host_of() { case $1 in gw1) echo hostA a0 ;; gw2) echo hostB b0 ;; esac; }
wire_of() { case $1 in gw1) echo w1 ;; gw2) echo w2 ;; esac; }

lanes_up() {
	local ns gw host if
	for ns in "${NAMESPACES[@]}"; do
		ip netns add "$NS-$ns"
		run "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
			echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
			echo 0 >/proc/sys/net/ipv4/ip_forward'
		ip -n "$NS-$ns" link set lo up
	done
	for gw in gw1 gw2; do
		read -r host if < <(host_of $gw)
		LINK_MTU=9216 link "$host" "$if" $gw in0
		LINK_MTU=9216 link $gw out0 wire "$(wire_of $gw)"
		addr $gw in0 "$(net4 $gw).1/24"
		addr $gw out0 "$(outer4 $gw)/24"
		know $gw in0 "$(mac "$host" "$if")" "$(net4 $gw).2"
		know $gw out0 "$(mac wire "$(wire_of $gw)")" "$(outer4 "$(peer_of $gw)")"
		until_ok 5 carrier $gw in0
		until_ok 5 carrier $gw out0
	done
}

# The sender's and the receiver's tunnel, IPv4 in IPv4 alone.
policies() { policy v4 protect tunnel t4 local "$(net4 "$1").0/24" remote "$(net4 "$(peer_of "$1")").0/24"; }
write_config() { # write_config <gateway>
	local me=$1 peer; peer=$(peer_of "$1")
	{
		printf 'version: 1\ndefault: discard\nroutes: install\ninterfaces:\n'
		interfaces
		printf 'tunnels:\n  - name: t4\n    local: %s\n    remote: %s\n' "$(outer4 "$me")" "$(outer4 "$peer")"
		printf 'sas:\n'
		sa t4 "$me" out
		sa t4 "$peer" in
		printf 'policies:\n'
		policies "$me"
	} >"$TMP/$me.yaml"
	chmod 600 "$TMP/$me.yaml"
}
WINDOW=4096

start_xespd() { # start_xespd <gateway>: on its CPU, in a scheduling group of its own
	local program=$XESP_BUILD/xespd
	[ "$1" = gw1 ] || program=$BENCH/xespd-io
	start "$1-xespd.log" "$1" setsid taskset -c $GW_CPU "$program" --pins "$(pins_of "$1")" \
		--run "$TMP/$1-run" "${XESPD_OPTIONS[@]}"
	DAEMON[$1/xespd]=$STARTED
}
wide_tunnels() { [ "$(run "$1" ip -j link show dev xesp0 | jq '.[0].mtu')" -gt 9000 ]; }

# Before its neighbours in the scheduler, for as long as the bench runs.
first_in_line() { { echo -15 >"/proc/$1/autogroup"; } 2>/dev/null || true; }

other_lane() { peer_of "$1"; }

# --- one measurement ------------------------------------------------------------------------------

declare -A NEXT=([gw1]=1 [gw2]=1) # sequence number of the next ESP packet to a gateway

# traffic <lane> <encap|decap> <size> <window> <label> <seconds> [options]; one line of JSON
traffic() {
	local gw=$1 way=$2 size=$3 window=$4 label=$5 seconds=$6 peer host if pid; shift 6
	peer=$(peer_of "$gw")
	read -r host if < <(host_of "$gw")
	pid=${GATEWAY_PID:-$(pid_of "$gw" xespd)}
	local options=(-l "$label" -w "$window" -s "$seconds" -p "$pid" -c "$GEN_CPU" -C "$GW_CPU" -z "$size")
	if [ "$way" = encap ]; then
		options+=(-g "$PATH_OF_NS-$host" -i "$if" -k "$PATH_OF_NS-wire" -n "$(wire_of "$gw")"
			-D "${SINK_DST:-$(outer4 "$peer")}" -d "$(mac "$gw" in0)" -m "$(mac "$host" "$if")"
			-f "$(net4 "$gw").2" -t "$(net4 "$peer").2")
	else
		options+=(-g "$PATH_OF_NS-wire" -i "$(wire_of "$gw")" -k "$PATH_OF_NS-$host" -n "$if"
			-D "$(net4 "$gw").2" -d "$(mac "$gw" out0)" -m "$(mac wire "$(wire_of "$gw")")"
			-f "$(net4 "$peer").2" -t "$(net4 "$gw").2" -E -P "${SPI[t4-$peer]}"
			-o "$(outer4 "$peer")" -O "$(outer4 "$gw")" -q "${NEXT[$gw]}")
		[ "$gw" = gw2 ] || options+=(-K "$(key_of t4 "$peer")")
	fi
	setsid --wait sh -c 'echo -15 >/proc/self/autogroup; exec "$@"' sh \
		"$BENCH/traffic" "${options[@]}" "$@" >"$TMP/one" 2>"$TMP/one.err" || {
		show_logs
		die "traffic: $(cat "$TMP/one.err")"
	}
	[ "$way" = encap ] || NEXT[$gw]=$(jq .seq "$TMP/one")
	cat "$TMP/one"
}

# The engine that the gateway's xespd takes, on its CPU.
crypto_alone() {
	taskset -c $GW_CPU "$XESP_BUILD/xesp" bench crypto --engine auto --suite aes-gcm-16/128 \
		--sizes "${SIZES// /,}" --rounds 5 --json >"$TMP/crypto" || die "xesp bench crypto"
	jq -c '.rows[] | { label: "crypto", engine: "\(.engine) (\(.engine_version))", size: .bytes } +
		({ direction: "encap", cpu_ns: .encrypt_ns.median }, { direction: "decap", cpu_ns: .decrypt_ns.median })' \
		"$TMP/crypto"
}

window_for() { if [ "$1" -gt 3500 ]; then echo 256; else echo 1024; fi; }

# From when the generator has warmed up until before it ends: --seconds should be 2 or more.
profile() { # profile <label> <direction> <size>
	[ -n "$PROFILE" ] || return 0
	start perf.log hostA sh -c "sleep 0.7; exec perf record -q -e cpu-clock -F 4000 -C $GW_CPU -g \
		-o '$PROFILE/$1-$2-$3.perf' -- sleep $(jq -n "$SECONDS_EACH * 0.5")"
}

measure_lane() { # measure_lane <lane> <label> <direction> <size>
	local other; other=$(other_lane "$1")
	kill -STOP "$(pid_of "$other" xespd)"
	profile "$2" "$3" "$4"
	traffic "$1" "$3" "$4" "$(window_for "$4")" "$2" "$SECONDS_EACH" >>"$RESULTS"
	kill -CONT "$(pid_of "$other" xespd)"
}

# --- the whole ------------------------------------------------------------------------------------

lanes_up
gateways_up
for gw in gw1 gw2; do
	until_ok 10 wide_tunnels $gw
	first_in_line "$(pid_of $gw xespd)"
done
: >"$RESULTS"

for ((round = 0; round < ROUNDS; round++)); do
	for size in $SIZES; do
		for way in $DIRECTIONS; do
			measure_lane gw1 xesp "$way" "$size"
			measure_lane gw2 io "$way" "$size"
		done
	done
	crypto_alone >>"$RESULTS"
done
# What the generator could do: without waiting for what arrives.
for size in $SIZES; do
	for way in $DIRECTIONS; do
		kill -STOP "$(pid_of gw2 xespd)"
		traffic gw1 "$way" "$size" 0 generator 0.5 >>"$RESULTS"
		kill -CONT "$(pid_of gw2 xespd)"
	done
done
kill_daemon gw1 xespd TERM
kill_daemon gw2 xespd TERM
for gw in gw1 gw2; do
	! grep -E 'ERROR|frames, but' "$TMP/$gw-xespd.log" || die "$gw: see above"
done

if [ "$PEERS" != no ]; then
	kill_daemon gw1 xesp-keyd TERM
	xesp gw1 detach --purge >"$TMP/detach.log" 2>&1 || die "detach: $(cat "$TMP/detach.log")"
	peers "${WHICH_PEERS[@]}"
fi

[ -z "$JSON" ] || cp "$RESULTS" "$JSON.lines"
"$PYTHON" "$(dirname "$0")/report.py" "$RESULTS" "${JSON:-/dev/null}" "$XESP_BUILD" "${XESPD_OPTIONS[*]}"
