# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# topology.sh - two hosts, two gateways, one untrusted wire; sourced by tests.
#
#   hostA                    gw1                       wire                      gw2                     hostB
#   [a0 10.1.0.2,3]---[in0 10.1.0.1  out0 192.0.2.1]---[w1 =bridge= w2]---[out0 192.0.2.2  in0 10.2.0.1]---[b0 10.2.0.2,3]
#    2001:db8:1::2,3   2001:db8:1::1  2001:db8:ffff::1                     ::ffff::2  2001:db8:2::1         2001:db8:2::2,3
#
# The wire is a namespace of its own with a bridge in it: AF_XDP frames can be captured there like
# any others, the link can be cut without touching a gateway, and frames can be put on it as an
# attacker would. Every name holds the process id, so that runs do not meet. Nothing is made
# outside the namespaces, a temporary directory and this run's pin directories; the trap removes
# all of it however we leave, and fails the test when something stays behind.

set -o errexit -o errtrace -o nounset -o pipefail

NS="xesp-$$"
readonly NS
readonly NAMESPACES=(hostA gw1 wire gw2 hostB "${MORE_NAMESPACES[@]}") # a test may want one more
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
readonly PYTHON=/usr/bin/python3
TMP=$(mktemp -d "${TMPDIR:-/tmp}/$NS-XXXXXX")
readonly TMP
PIDS=()       # what cleanup ends: daemons, captures, servers
FAILURE=
SIGNALLED=
CLEANERS=()   # functions that cleanup calls before the namespaces go
readonly PATH_OF_NS=/run/netns/$NS

# nsenter and not `ip netns exec`: that one makes a mount namespace too, where pinned maps are not.
run() { local ns=$1; shift; nsenter --net="$PATH_OF_NS-$ns" "$@"; }
wire() { "$PYTHON" "$HERE/wire.py" "$@"; }
say() { printf '  %s\n' "$*"; }
# The sentence is said by cleanup, after the logs; in a subshell, where cleanup is not, at once.
die() {
	FAILURE="FAIL: $*"
	[ "$BASHPID" = $$ ] || printf '%s\n' "$FAILURE" >&2
	exit 1
}
skip() { printf 'SKIP: %s\n' "$*"; exit 77; }

need() {
	local tool
	[ "$(id -u)" = 0 ] || skip "network namespaces and BPF need root; run it as root"
	for tool; do
		command -v "$tool" >/dev/null || skip "no $tool here; make deps installs it"
	done
}

# A process, though `read -t` would need none: bash 5.2 crashes when a trap exits out of that.
pause() { sleep "$1" || true; }

# Every deadline is this many times as long: emulated processors are slow (vmtest/).
readonly PATIENCE=${XESP_PATIENCE:-1}

# Waits for a condition instead of sleeping: until_ok <seconds> <command...>
until_ok() {
	local deadline=$((SECONDS + $1 * PATIENCE)); shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || die "after the deadline still false: $*"
		pause 0.05
	done
}

# Waits until a command prints a number: until_equal|until_at_least <number> <command...>
until_equal() { until_within "$1" "$1" "${@:2}"; }
until_at_least() { until_within "$1" 9223372036854775807 "${@:2}"; }
until_within() {
	local least=$1 most=$2 deadline=$((SECONDS + 10 * PATIENCE)) got=; shift 2
	while :; do
		got=$("$@" 2>/dev/null) || got=
		if [ -n "$got" ] && [ "$got" -ge "$least" ] && [ "$got" -le "$most" ]; then return 0; fi
		[ "$SECONDS" -lt "$deadline" ] || die "$*: ${got:-nothing}, expected $least or more"
		pause 0.05
	done
}

# A process in a namespace, ended by cleanup. Its pid is in $STARTED; output goes to $TMP/<log>.
start() { # start <log> <ns> <command...>
	local log=$1 ns=$2; shift 2
	nsenter --net="$PATH_OF_NS-$ns" "$@" >>"$TMP/$log" 2>&1 </dev/null &
	STARTED=$!
	PIDS+=("$STARTED")
}

# Ended, though perhaps not yet waited for: in a trap bash does not reap by itself.
gone() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ $stat == *") Z "* ]]
}

# Ends one process and waits for it, so that bash does not report it later.
stop() { # stop <pid> [signal]
	kill -"${2:-TERM}" "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# Ends all of PIDS; who does not listen to TERM within three seconds is killed.
end_processes() {
	local pid deadline=$((SECONDS + 3 * PATIENCE))
	for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${PIDS[@]}"; do
		while ! gone "$pid"; do
			[ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null
			pause 0.02
		done
	done
	wait
}

left_behind() {
	local ns pid dir
	for ns in "${NAMESPACES[@]}"; do
		[ ! -e "$PATH_OF_NS-$ns" ] || echo "namespace $NS-$ns"
	done
	for pid in "${PIDS[@]}"; do gone "$pid" || echo "process $pid"; done
	for dir in /sys/fs/bpf/"$NS"-*; do [ ! -e "$dir" ] || echo "pins $dir"; done
	[ ! -e "$TMP" ] || echo "directory $TMP"
}

# What the kernel complained of since the test began: a test that passes over a splat is not passed.
kernel_complaints() {
	dmesg 2>/dev/null | tail -n +"$((KERNEL_LOG_MARK + 1))" |
		grep -E 'WARNING:|BUG:|Oops|general protection|refcount_t|suspicious RCU' || true
}

exec {STDOUT}>&1 {STDERR}>&2
readonly STDOUT STDERR
cleanup() {
	local status=$?
	trap - EXIT ERR
	trap '' INT TERM HUP
	[ -z "$SIGNALLED" ] || status=$SIGNALLED
	# It may have been a redirected command that was interrupted. Not by `exec`: bash, which has yet
	# to undo that redirection, was seen to crash.
	{ clean "$status" >&"$STDOUT"; } 2>&"$STDERR"
	exit $?
}

# Returns the exit status that the script shall have.
clean() { # clean <status>
	local status=$1 f ns left
	set +o errexit
	for f in "${CLEANERS[@]}"; do "$f" "$status"; done
	end_processes
	for ns in "${NAMESPACES[@]}"; do
		[ ! -e "$PATH_OF_NS-$ns" ] || ip netns del "$NS-$ns"
	done
	rm -rf "$TMP"
	if [ -n "$FAILURE" ]; then
		printf '%s\n' "$FAILURE" >&2
	elif [ "$status" -ne 0 ] && [ "$status" -ne 77 ] && [ "$status" -lt 128 ]; then
		echo "FAIL: exit status $status: ${FAILED_AT:-}" >&2
	fi
	left=$(left_behind; kernel_complaints)
	if [ -n "$left" ]; then
		printf 'FAIL: left behind:\n%s\n' "$left" >&2
		[ "$status" -ne 0 ] || status=1
	fi
	! declare -F epilogue >/dev/null || epilogue "$status" || [ "$status" -ne 0 ] || status=1
	return "$status"
}

KERNEL_LOG_MARK=$(dmesg 2>/dev/null | wc -l) || true
trap cleanup EXIT
trap 'FAILED_AT="${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
trap 'SIGNALLED=130; exit 130' INT
trap 'SIGNALLED=143; exit 143' TERM HUP

# Checksums stay with the sender: AF_XDP would see only the pseudo-header's sum.
link() { # link <ns> <if> <ns> <if>
	local mtu=${LINK_MTU:-1500}
	ip link add name "$2" address "$(mac "$1" "$2")" mtu "$mtu" netns "$NS-$1" type veth \
		peer name "$4" address "$(mac "$3" "$4")" mtu "$mtu" netns "$NS-$3"
	run "$1" ethtool -K "$2" tx off >/dev/null
	run "$3" ethtool -K "$4" tx off >/dev/null
	ip -n "$NS-$1" link set "$2" up
	ip -n "$NS-$3" link set "$4" up
}

# Fixed, so that neighbours can be entered without asking: 02, then the names' octets.
mac() { printf '02:%02x:%02x:%02x:%02x:%02x' "'${1:0:1}" "'${1: -1}" "'${2:0:1}" "'${2: -2}" "'${2: -1}"; }

addr() { # addr <ns> <if> <address/len>...
	local ns=$1 dev=$2 a; shift 2
	for a; do
		case $a in
		*:*) echo "addr add $a dev $dev nodad" ;;
		*) echo "addr add $a dev $dev" ;;
		esac
	done | ip -n "$NS-$ns" -batch -
}

carrier() { # carrier <ns> <if>
	ip -n "$NS-$1" link show dev "$2" up | grep -q 'state UP'
}

wire_up() {
	run wire ip link add name wire0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	run wire sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
	run wire ip link set wire0 up
	link gw1 out0 wire w1
	link gw2 out0 wire w2
	wire_mend
}

# Cut: what a gateway sends still reaches its own end of the wire and is captured, but goes no further.
wire_cut() { run wire ip link set w2 nomaster; }
wire_mend() {
	run wire ip link set w1 master wire0
	run wire ip link set w2 master wire0
	until_ok 5 wire_forwards w1
	until_ok 5 wire_forwards w2
}
# Cuts the wire and keeps what a gateway sends of five requests of each family: wire.py makes pieces of them.
hold_requests() {
	local to
	wire_cut
	capture wire w1
	for to in 10.2.0.2 2001:db8:2::2; do
		! run hostA ping -q -c 5 -i 0.01 -W 0.1 -s 600 $to >/dev/null || die "answered over a cut wire"
	done
	stop_capture wire w1
	cp "$CAPTURE" "$TMP/held.pcap"
}
fragment() { run wire "$PYTHON" "$HERE/wire.py" fragment w2 "$TMP/held.pcap" "$@"; } # of what is held

wire_forwards() { bridge -n "$NS-wire" link show dev "$1" | grep -q 'state forwarding'; }

# Makes a namespace route a prefix in clear, whatever routes were there before.
kernel_routes() { # kernel_routes <ns> <prefix> <next hop>
	run "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	local family=-4
	case $2 in *:*) family=-6 ;; esac
	run "$1" ip $family route flush exact "$2"
	run "$1" ip $family route add "$2" via "$3"
}

# Neighbours are entered, so that every packet of a test takes the fast path from the first one;
# tests of the slow path remove them with forget_neighbours.
know() { # know <ns> <if> <mac> <address>...
	local ns=$1 dev=$2 lladdr=$3 a; shift 3
	for a; do echo "neigh replace $a lladdr $lladdr dev $dev nud permanent"; done |
		ip -n "$NS-$ns" -batch -
}

neighbours_known() {
	know gw1 in0 "$(mac hostA a0)" 10.1.0.2 10.1.0.3 2001:db8:1::2 2001:db8:1::3
	know gw2 in0 "$(mac hostB b0)" 10.2.0.2 10.2.0.3 2001:db8:2::2 2001:db8:2::3
	know gw1 out0 "$(mac gw2 out0)" 192.0.2.2 2001:db8:ffff::2
	know gw2 out0 "$(mac gw1 out0)" 192.0.2.1 2001:db8:ffff::1
	know hostA a0 "$(mac gw1 in0)" 10.1.0.1 2001:db8:1::1
	know hostB b0 "$(mac gw2 in0)" 10.2.0.1 2001:db8:2::1
}

forget_neighbours() { # forget_neighbours <ns>
	run "$1" ip neigh flush nud permanent
	run "$1" ip neigh flush all
}

topology_up() {
	local ns
	need ip nsenter ethtool bridge jq ping tcpdump
	for ns in "${NAMESPACES[@]}"; do
		ip netns add "$NS-$ns"
		run "$ns" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad
			echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
			echo 0 >/proc/sys/net/ipv6/conf/default/accept_ra
			echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitations
			echo 0 >/proc/sys/net/ipv4/ip_forward'
		ip -n "$NS-$ns" link set lo up
	done
	wire_up
	link hostA a0 gw1 in0
	link hostB b0 gw2 in0

	addr hostA a0 10.1.0.2/24 10.1.0.3/24 2001:db8:1::2/64 2001:db8:1::3/64
	addr gw1 in0 10.1.0.1/24 2001:db8:1::1/64
	addr gw1 out0 192.0.2.1/24 2001:db8:ffff::1/64
	addr gw2 out0 192.0.2.2/24 2001:db8:ffff::2/64
	addr gw2 in0 10.2.0.1/24 2001:db8:2::1/64
	addr hostB b0 10.2.0.2/24 10.2.0.3/24 2001:db8:2::2/64 2001:db8:2::3/64
	run hostA ip route add default via 10.1.0.1
	run hostB ip route add default via 10.2.0.1
	run hostA ip -6 route add default via 2001:db8:1::1
	run hostB ip -6 route add default via 2001:db8:2::1
	for ns in "gw1 in0" "gw1 out0" "gw2 in0" "gw2 out0" "hostA a0" "hostB b0"; do
		# shellcheck disable=SC2086 # two words: namespace and interface
		until_ok 5 carrier $ns
	done
	neighbours_known
}

# --- what goes over an interface ------------------------------------------------------------------

# A capture ends when a sentinel frame, put on the interface last, has reached the file: nothing that
# was on the wire before it can be missing. Its EtherType is one for experiments; wire.py skips it.
# The kernel's ring has slots of the snap length: a generous one means few slots and lost frames.
declare -A CAPTURE_OF=()
capture() { # capture <ns> <if> [snaplen]; the file is $TMP/<ns>-<if>.pcap, stop with stop_capture
	local file="$TMP/$1-$2.pcap"
	rm -f "$file" "$TMP/tcpdump-$1-$2.log"
	start "tcpdump-$1-$2.log" "$1" tcpdump -i "$2" -nn -B 65536 -s "${3:-2048}" --immediate-mode -U \
		-Z root -w "$file"
	CAPTURE_OF[$1-$2]=$STARTED
	until_ok 10 grep -q 'listening on' "$TMP/tcpdump-$1-$2.log"
}

stop_capture() { # stop_capture <ns> <if>; sets CAPTURE
	CAPTURE="$TMP/$1-$2.pcap"
	run "$1" "$PYTHON" "$HERE/wire.py" sentinel "$2" "sentinel-$NS-$1-$2"
	until_ok 20 grep -q "sentinel-$NS-$1-$2" "$CAPTURE"
	stop "${CAPTURE_OF[$1-$2]}" INT
	grep -q '^0 packets dropped by kernel' "$TMP/tcpdump-$1-$2.log" ||
		die "tcpdump on $1 $2 lost packets: $(tail -n 3 "$TMP/tcpdump-$1-$2.log")"
}

# Frames over an interface so far, both directions.
frames_over() { # frames_over <ns> <if>
	run "$1" ip -s -j link show dev "$2" | jq '.[0].stats64 | .rx.packets + .tx.packets'
}

# All of the requests must be answered. They are sent twenty at once (-l): after the last one ping
# waits only for the longer of an interval and two round trips, so a short interval would lose late
# answers; and more than that at once is more than its socket's buffer holds.
pings() { # pings <ns> <count> <destination> [ping's options]
	local ns=$1 left=$2 to=$3 n; shift 3
	while [ "$left" -gt 0 ]; do
		n=$((left < 20 ? left : 20))
		left=$((left - n))
		run "$ns" ping -q -n -l "$n" -c "$n" -i 2 -W $((2 * PATIENCE)) "$@" "$to" >"$TMP/ping.log" 2>&1 ||
			die "ping from $ns to $to: $(tail -n 3 "$TMP/ping.log" | tr '\n' ' ')"
		grep -q "$n packets transmitted, $n received" "$TMP/ping.log" ||
			die "ping from $ns to $to: $(grep transmitted "$TMP/ping.log")"
	done
}

# A TCP transfer whose bytes are compared at the end.
listening() { [ -n "$(run "$1" ss -Hltn "sport = :$2")" ]; }
transfer() { # transfer <from-ns> <from-address> <to-ns> <to-address> <file> [address that listens]
	local to=$3 server
	rm -f "$TMP/received"
	nsenter --net="$PATH_OF_NS-$to" nc -l -N "${6:-$4}" 9000 >"$TMP/received" </dev/null 2>"$TMP/nc.log" &
	server=$!
	PIDS+=("$server")
	until_ok 5 listening "$to" 9000
	run "$1" timeout --foreground $((${TRANSFER_TIMEOUT:-60} * PATIENCE)) nc -N -s "$2" "$4" 9000 <"$5" ||
		die "TCP from $2 to $4 did not end well ($(stat -c %s "$TMP/received") of $(stat -c %s "$5") bytes arrived)"
	wait "$server" || die "the receiver of TCP from $2 failed: $(cat "$TMP/nc.log")"
	cmp -s "$5" "$TMP/received" || die "TCP from $2 to $4: the file arrived altered"
}
