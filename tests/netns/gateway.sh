# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# gateway.sh - xesp on gw1 and gw2 of topology.sh: configurations, daemons, counters; sourced after it.
#
# Each gateway has its own pins, sockets and state directory. The standard configuration has four
# policies, so that all four combinations of IP in IP are there at once, by the hosts' addresses:
#
#   10.1.0.3 <-> 10.2.0.3                  tunnel t6 (IPv4 in IPv6)
#   2001:db8:1::3 <-> 2001:db8:2::3        tunnel t4 (IPv6 in IPv4)
#   10.1.0.0/24 <-> 10.2.0.0/24            tunnel t4 (IPv4 in IPv4)
#   2001:db8:1::/64 <-> 2001:db8:2::/64    tunnel t6 (IPv6 in IPv6)
#
# What a test wants otherwise it sets before write_config: ALGORITHM, ESN, WINDOW, LEASE, DEFAULT, ROUTES,
# or functions policies() and tunnel_keys() of its own.

XESP_BUILD=$(cd "$HERE/../.." && cd "${XESP_BUILD:-build/release}" && pwd) ||
	{ echo "no build in ${XESP_BUILD:-build/release}: run make"; exit 1; }
for program in xesp xespd xesp-keyd; do
	[ -x "$XESP_BUILD/$program" ] || { echo "no $XESP_BUILD/$program: run make"; exit 1; }
done

ALGORITHM=aes-gcm-128 # or any other that keyd knows by its first name
MODE=tunnel  # of both tunnels, or transport
PROTOCOL=esp # or ah, with INTEGRITY
INTEGRITY=sha256
ESN=yes
WINDOW=64
LEASE= # sequence numbers a block; empty: the default
DEFAULT=discard
ROUTES=install
INNER=in0 # interfaces by role; equal for a one-armed gateway
OUTER=out0
ATTACH_OPTIONS=()
XESPD_OPTIONS=()
# Tunnel and sender to SPI; no two differ in one bit only.
declare -rA SPI=([t4-gw1]=0x00041012 [t4-gw2]=0x00042021 [t6-gw1]=0x00061612 [t6-gw2]=0x00062621)

# One random key a direction and tunnel, new in each run; the longest size, cut to the algorithm's.
declare -A KEY=()
for sa in t4-gw1 t4-gw2 t6-gw1 t6-gw2; do KEY[$sa]=$(xxd -p -c 64 -l 36 /dev/urandom); done

# Key and salt of the SA that this gateway sends on: key_of t4 gw1
key_of() {
	local salt=8 key
	case $ALGORITHM in
	null-*) return ;;
	aes-cbc-*) salt=0 ;;
	aes-ccm-*) salt=6 ;;
	esac
	case $ALGORITHM in
	aes-*-128*) key=32 ;;
	aes-*-192*) key=48 ;;
	aes-*-256* | chacha20poly1305*) key=64 ;;
	*) die "no key for $ALGORITHM" ;;
	esac
	printf '%.*s' $((key + salt)) "${KEY[$1-$2]}"
}
# Its integrity key: AH's, or that of HMAC; nothing where the algorithm has its own ICV.
integrity_key_of() {
	local key=${KEY[$1-$2]} name=ah-$INTEGRITY
	[ "$PROTOCOL" = ah ] || name=$ALGORITHM key=$(rev <<<"$key") # not the encryption key
	case $name in
	*-sha256) printf '%.64s' "$key" ;;
	*-sha384) printf '%.96s' "$key$key" ;;
	*-sha512) printf '%.128s' "$key$key" ;;
	ah-aes-gmac-128) printf '%.40s' "$key" ;;
	ah-aes-gmac-256) printf '%.72s' "$key" ;;
	ah-*) die "no key for $INTEGRITY" ;;
	esac
}

peer_of() { case $1 in gw1) echo gw2 ;; gw2) echo gw1 ;; esac; }

# 10.1.0 and so on: what a gateway's own side and the other's are called in selectors.
net4() { case $1 in gw1) echo 10.1.0 ;; gw2) echo 10.2.0 ;; esac; }
net6() { case $1 in gw1) echo 2001:db8:1: ;; gw2) echo 2001:db8:2: ;; esac; }
outer4() { case $1 in gw1) echo 192.0.2.1 ;; gw2) echo 192.0.2.2 ;; esac; }
remote4() { outer4 "$(peer_of "$1")"; } # where this gateway believes the other to be
remote6() { outer6 "$(peer_of "$1")"; }
tunnel_keys() { :; } # tunnel_keys <gateway> <tunnel>: more lines of a tunnel
outer6() { case $1 in gw1) echo 2001:db8:ffff::1 ;; gw2) echo 2001:db8:ffff::2 ;; esac; }

policy() { # policy <name> <action> [key value]...
	printf '  - name: %s\n    action: %s\n' "$1" "$2"; shift 2
	while [ $# -gt 0 ]; do printf '    %s: %s\n' "$1" "$2"; shift 2; done
}

policies() { # policies <gateway>: the default ones, see above
	local me=$1 peer; peer=$(peer_of "$1")
	policy v4-in-v6 protect tunnel t6 local "$(net4 "$me").3/32" remote "$(net4 "$peer").3/32"
	policy v6-in-v4 protect tunnel t4 local "$(net6 "$me"):3/128" remote "$(net6 "$peer"):3/128"
	policy v4-in-v4 protect tunnel t4 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24"
	policy v6-in-v6 protect tunnel t6 local "$(net6 "$me"):/64" remote "$(net6 "$peer"):/64"
}

interfaces() {
	if [ "$INNER" = "$OUTER" ]; then
		printf '  - name: %s\n    role: both\n' "$INNER"
	else
		printf '  - name: %s\n    role: inner\n  - name: %s\n    role: outer\n' "$INNER" "$OUTER"
	fi
}

sa() { # sa <tunnel> <sender> <direction>
	printf '  - name: %s-%s\n    tunnel: %s\n    direction: %s\n    protocol: %s\n    spi: %s\n    esn: %s\n' \
		"$1" "$3" "$1" "$3" "$PROTOCOL" "${SPI[$1-$2]}" "$ESN"
	local key integrity
	key=$(key_of "$1" "$2") integrity=$(integrity_key_of "$1" "$2")
	if [ "$PROTOCOL" = ah ]; then
		key=
		printf '    integrity: %s\n' "$INTEGRITY"
	else
		printf '    algorithm: %s\n' "$ALGORITHM"
	fi
	[ -z "$key" ] || printf '    key: %s\n' "$key"
	[ -z "$integrity" ] || printf '    integrity_key: %s\n' "$integrity"
	[ "$3" = out ] || printf '    replay_window: %s\n' "$WINDOW"
	[ "$3" = in ] || [ -z "$LEASE" ] || printf '    lease: %s\n' "$LEASE"
}


write_config() { # write_config <gateway> [file]
	local me=$1 peer t; peer=$(peer_of "$1")
	{
		printf 'version: 1\ndefault: %s\nroutes: %s\ninterfaces:\n' "$DEFAULT" "$ROUTES"
		interfaces
		printf 'tunnels:\n'
		printf '  - name: t4\n    local: %s\n    remote: %s\n' "$(outer4 "$me")" "$(remote4 "$me")"
		printf '    mode: %s\n' "$MODE"
		tunnel_keys "$me" t4
		printf '  - name: t6\n    local: %s\n    remote: %s\n' "$(outer6 "$me")" "$(remote6 "$me")"
		printf '    mode: %s\n' "$MODE"
		tunnel_keys "$me" t6
		printf 'sas:\n'
		for t in t4 t6; do sa "$t" "$me" out; sa "$t" "$peer" in; done
		printf 'policies:\n'
		policies "$me"
	} >"${2:-$TMP/$me.yaml}"
	chmod 600 "${2:-$TMP/$me.yaml}"
}

# --- programs -------------------------------------------------------------------------------------

pins_of() { echo "/sys/fs/bpf/$NS-$1"; }

xesp() { # xesp <gateway> <arguments of the command>...
	local ns=$1; shift
	run "$ns" "$XESP_BUILD/xesp" --pins "$(pins_of "$ns")" --run "$TMP/$ns-run" "$@"
}

mount_bpffs() {
	mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
}

attach() { # attach <gateway>
	mount_bpffs
	mkdir -p "$TMP/$1-run"
	xesp "$1" attach --inner "$INNER" --outer "$OUTER" "${ATTACH_OPTIONS[@]}" >>"$TMP/$1-attach.log" 2>&1 ||
		die "attach on $1: $(cat "$TMP/$1-attach.log")"
}

declare -A DAEMON=()
pid_of() { echo "${DAEMON[$1/$2]}"; } # pid_of <gateway> xespd|xesp-keyd

keyd_arguments() { # keyd_arguments <gateway>
	printf '%s\n' --config "$TMP/$1.yaml" --pins "$(pins_of "$1")" --run "$TMP/$1-run" \
		--state "$TMP/$1-state"
}

new_state() { # new_state <gateway>: declares that its keys were never used
	local arguments
	mapfile -t arguments < <(keyd_arguments "$1")
	run "$1" timeout --foreground $((20 * PATIENCE)) "$XESP_BUILD/xesp-keyd" "${arguments[@]}" --new-state \
		>>"$TMP/$1-xesp-keyd.log" 2>&1 || die "new state on $1: $(tail -n 5 "$TMP/$1-xesp-keyd.log")"
}

start_keyd() { # start_keyd <gateway>
	local arguments
	mapfile -t arguments < <(keyd_arguments "$1")
	start "$1-xesp-keyd.log" "$1" "$XESP_BUILD/xesp-keyd" "${arguments[@]}"
	DAEMON[$1/xesp-keyd]=$STARTED
}

start_xespd() { # start_xespd <gateway> [options]
	local ns=$1; shift
	start "$ns-xespd.log" "$ns" "$XESP_BUILD/xespd" --pins "$(pins_of "$ns")" --run "$TMP/$ns-run" "${XESPD_OPTIONS[@]}" "$@"
	DAEMON[$ns/xespd]=$STARTED
}

sas_active() { xesp "$1" sa --json | jq -e '(.sas | length) > 0 and all(.sas[]; .state == "active")'; }
worker_serves() { xesp "$1" status --json | jq -e '.keyd.worker.connected and (.xespd.ports | length) > 0'; }

gateway_ready() { # gateway_ready <gateway>: until both daemons are up and every SA can be used
	until_ready "$1" sas_active
	until_ready "$1" worker_serves
	forward_from_tun "$1"
}

until_ready() { # as until_ok, but shows what the daemons said
	local deadline=$((SECONDS + 15 * PATIENCE)) program
	until "$2" "$1" >/dev/null 2>&1; do
		for program in xesp-keyd xespd; do
			! gone "$(pid_of "$1" "$program")" ||
				die "$1: $program ended: $(tail -n 5 "$TMP/$1-$program.log")"
		done
		[ "$SECONDS" -lt "$deadline" ] || {
			show_logs
			die "$1 is not ready: $2"
		}
		pause 0.05
	done
}

# xesp0 may forward what the slow path hands to the kernel; the other interfaces may not, so a frame
# that the XDP programs did not take goes nowhere instead of around them. Kernels without
# force_forwarding forward IPv6 from all interfaces or from none.
forward_from_tun() { # forward_from_tun <gateway>
	run "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/xesp0/forwarding
		cd /proc/sys/net/ipv6/conf
		if [ -e lo/force_forwarding ]; then echo 1 >xesp0/force_forwarding; else echo 1 >all/forwarding; fi'
}

gateway_up() { # gateway_up <gateway>
	[ -e "$TMP/$1.yaml" ] || write_config "$1"
	attach "$1"
	[ -e "$TMP/$1-state" ] || new_state "$1"
	start_keyd "$1"
	start_xespd "$1"
	gateway_ready "$1"
}

gateways_up() { gateway_up gw1; gateway_up gw2; }

kill_daemon() { # kill_daemon <gateway> <program> [signal]
	stop "$(pid_of "$1" "$2")" "${3:-KILL}"
}

gateway_down() { # gateway_down <gateway>: daemons ended, interfaces as they were, no pins
	kill_daemon "$1" xespd TERM
	kill_daemon "$1" xesp-keyd TERM
	xesp "$1" detach --purge >>"$TMP/$1-attach.log" 2>&1 || die "detach on $1: $(tail -n 3 "$TMP/$1-attach.log")"
}

# Power loss, simulated: daemons killed, every map gone, only the state directory left.
lose_power() { # lose_power <gateway>
	kill_daemon "$1" xespd KILL
	kill_daemon "$1" xesp-keyd KILL
	xesp "$1" detach --purge >/dev/null
	[ ! -e "$(pins_of "$1")" ] || die "pins are left after detach --purge"
}
power_again() { # power_again <gateway>
	attach "$1"
	start_keyd "$1"
	start_xespd "$1"
	gateway_ready "$1"
}

# What remains of a gateway that was taken down; its keys' numbers are not forgotten without this.
forget_state() { rm -rf "$TMP/$1.yaml" "$TMP/$1-state"; } # forget_state <gateway>

# Programs must not outlive the test, whatever `xesp detach` can or cannot do by then.
remove_pins() { # called by cleanup with the exit status
	local ns
	[ "$1" -eq 0 ] || [ "$1" -eq 77 ] || [ "$1" -eq 130 ] || show_logs >&2
	for ns in "${NAMESPACES[@]}"; do
		[ -e "$(pins_of "$ns")" ] || continue
		xesp "$ns" detach --purge >/dev/null 2>&1
		rm -rf "$(pins_of "$ns")"
	done
}
CLEANERS+=(remove_pins)

show_logs() {
	local log
	for log in "$TMP"/gw?-*.log; do
		[ -s "$log" ] || continue
		echo "--- $(basename "$log")"
		tail -n "${LOG_LINES:-12}" "$log"
	done
	for log in gw1 gw2; do
		[ -e "$(pins_of $log)" ] || continue
		echo "--- $log: xesp counters"
		xesp $log counters 2>&1
	done
}

# --- figures --------------------------------------------------------------------------------------

counter() { xesp "$1" counters --json | jq ".drops[\"$2\"] // 0"; } # counter <gateway> <reason>
all_drops() { xesp "$1" counters --json | jq '[.drops[]] | add // 0'; }
sa_field() { # sa_field <gateway> <sa> <jq path>
	xesp "$1" sa --json | jq -r ".sas[] | select(.name == \"$2\") | $3"
}
sa_drops() { sa_field "$1" "$2" ".drops[\"$3\"] // 0"; }
policy_field() { # policy_field <gateway> <policy> <jq path>
	xesp "$1" policy --json | jq -r ".policies[] | select(.name == \"$2\") | $3"
}

# Waits until a counter has its value, and shows the others when it does not get there.
expect_counter() { # expect_counter <gateway> <reason> <value>
	local deadline=$((SECONDS + 5 * PATIENCE))
	until [ "$(counter "$1" "$2")" -eq "$3" ]; do
		[ "$SECONDS" -lt "$deadline" ] ||
			die "$1 counts $(counter "$1" "$2") as $2, expected $3; $(xesp "$1" counters --json | jq -c .drops)"
		pause 0.05
	done
}

expect_equal() { # expect_equal <what> <got> <expected>
	[ "$2" = "$3" ] || die "$1: $2, expected $3"
}
