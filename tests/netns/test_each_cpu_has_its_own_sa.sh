#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Outbound SAs of single CPUs (RFC 9611): with two queues on every interface each queue's packets leave under
# the SPI of its own CPU, what has none under the one for all, and all arrive. A CPU's SA that comes, is
# replaced or taken away while packets flow costs none of them, also when each queue is spread over many threads.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need ethtool tshark "$PYTHON"

queues() { # queues <count> <ns/if>...
	local n=$1 at; shift
	for at; do run "${at%/*}" ethtool -L "${at#*/}" rx "$n" tx "$n"; done
}

# SAs from gw1 to gw2 beside the usual ones: own <gateway> <name>:<cpu>...; on gw2 they are inbound, on any CPU.
declare -rA OWN_SPI=([a]=0x00051012 [b]=0x00061012 [c]=0x00071012)
declare -A OWN_KEY=()
for sa in a b c; do OWN_KEY[$sa]=$(xxd -p -c 64 -l 20 /dev/urandom); done
own_sas() {
	local me=$1 it; shift
	for it; do
		printf '  - name: %s\n    tunnel: t4\n    spi: %s\n    algorithm: aes-gcm-128\n    key: %s\n' \
			"${it%:*}" "${OWN_SPI[${it%:*}]}" "${OWN_KEY[${it%:*}]}"
		if [ "$me" = gw1 ]; then printf '    direction: out\n    cpu: %s\n' "${it#*:}"; else echo '    direction: in'; fi
	done
}
own() {
	write_config "$1" "$TMP/plain.yaml"
	{ sed '/^policies:/,$d' "$TMP/plain.yaml"; own_sas "$@"; sed -n '/^policies:/,$p' "$TMP/plain.yaml"; } >"$TMP/$1.yaml"
	chmod 600 "$TMP/$1.yaml"
	xesp "$1" reload >>"$TMP/reload.log" 2>&1 || die "reload on $1: $(tail -n 3 "$TMP/reload.log")"
}

topology_up
queues 2 hostA/a0 gw1/in0 gw1/out0 wire/w1
gateways_up
cpu_of() { xesp gw1 status --json | jq ".xespd.workers[] | select(.queue == $1) | .cpu"; }
zero=$(cpu_of 0) one=$(cpu_of 1)
[ "$zero" != "$one" ] || die "both workers say that they are on CPU $zero"
expect_equal "the slow path's CPU" "$(xesp gw1 status --json | jq '.xespd.workers[] | select(.queue == null) | .cpu')" null
xesp gw1 sa | grep -q CPU && die "xesp sa has a column for CPUs that no SA has"

flows() { run hostA "$PYTHON" "$HERE/flows.py" send 10.2.0.2 40 "$1" "$2"; } # 40 flows, both queues have some
packets() { local n; n=$(sa_field "$1" "$2" .packets); echo "${n:-0}"; }
encapsulated() { xesp gw1 status --json | jq ".xespd.workers[] | select(.queue == $1) | .encap_packets"; }
# What is sent meanwhile, by SA and by worker: since <name>... with before() first.
declare -A BEFORE=()
before() {
	local sa
	for sa in t4-out a b c; do BEFORE[$sa]=$(packets gw1 $sa); done
	BEFORE[0]=$(encapsulated 0) BEFORE[1]=$(encapsulated 1)
}
sent() { echo $(($(packets gw1 "$1") - BEFORE[$1])); }
worked() { echo $(($(encapsulated "$1") - BEFORE[$1])); }
all_of() { echo $(($(worked 0) + $(worked 1))); }
spis() { tshark -r "$1" -Y "esp && ip.src == 192.0.2.1" -T fields -e esp.spi 2>/dev/null | sort -u | tr '\n' ' '; }

# Somebody must listen, or ICMP errors keep the sender from sending.
receive() { # sets RECEIVER
	rm -f "$TMP/received.json"
	start received.json hostB "$PYTHON" "$HERE/flows.py" receive 10.2.0.2
	RECEIVER=$STARTED
	until_ok 10 grep -q ready "$TMP/received.json"
}
result() { tail -n 1 "$TMP/received.json" | jq "$1"; }
receive

# One CPU has its own; the other takes the one for all.
own gw2 a: b: c:
own gw1 "a:$one"
before
capture wire w1
flows 10 10
stop_capture wire w1
until_equal 400 all_of
wire only-esp "$CAPTURE" || die "protected traffic in clear"
expect_equal "SPIs on the wire" "$(spis "$CAPTURE")" "${SPI[t4-gw1]} ${OWN_SPI[a]} "
[ "$(worked 0)" -gt 0 ] && [ "$(worked 1)" -gt 0 ] || die "40 flows on one queue"
expect_equal "under the SA of CPU $one" "$(sent a)" "$(worked 1)"
expect_equal "under the SA for all" "$(sent t4-out)" "$(worked 0)"
expect_equal "CPU in xesp sa --json" "$(sa_field gw1 a .cpu) $(sa_field gw1 t4-out .cpu)" "$one null"
xesp gw1 sa | grep -qE "^a .* $one *$" || die "xesp sa does not show the CPU: $(xesp gw1 sa)"
say "CPU $one: $(sent a) packets under its own SPI, the other CPU's $(sent t4-out) under the one for all"

# Both have their own; the slow path, on no CPU, has not.
own gw1 "a:$one" "b:$zero"
before
flows 10 10
until_equal 400 all_of
expect_equal "under the SA of CPU $one" "$(sent a)" "$(worked 1)"
expect_equal "under the SA of CPU $zero" "$(sent b)" "$(worked 0)"
expect_equal "under the SA for all" "$(sent t4-out)" 0
run gw1 ping -q -n -c 3 -i 0.1 -I 10.1.0.1 10.2.0.2 >/dev/null || die "the gateway's own ping was not answered"
expect_equal "the gateway's own packets under the SA for all" "$(sent t4-out)" 3
for sa in a b; do until_equal "$(packets gw1 $sa)" packets gw2 $sa; done
say "both CPUs under their own, $(sent a) and $(sent b) packets, the gateway itself under the one for all"

# While packets flow one is replaced (another key, the same CPU), one goes, and then all.
change_meanwhile() {
	local sender rounds=400
	stop "$RECEIVER" TERM
	receive
	flows $rounds 5 &
	sender=$!
	pause 0.4; own gw1 "c:$one" "b:$zero"
	pause 0.4; own gw1 "c:$one"
	pause 0.4; own gw1
	pause 0.2; own gw1 "a:$one" "b:$zero"
	wait "$sender"
	until_equal "$(packets gw1 a)" packets gw2 a
	pause 0.3
	stop "$RECEIVER" TERM
	expect_equal "packets that arrived" "$(result .packets)" $((40 * rounds))
	expect_equal "reordered packets" "$(result .reordered)" 0
	for sa in t4-in a b c; do
		expect_equal "numbers of $sa that gw2 never saw" "$(sa_field gw2 $sa .lost)" 0
	done
	expect_equal "drops on gw1" "$(all_drops gw1)" 0
	expect_equal "drops on gw2" "$(all_drops gw2)" 0
}
change_meanwhile
[ "$(packets gw2 c)" -gt 0 ] || die "the SA that came in between was never used"
say "replaced, taken away and given back under $(result .packets) packets: all arrived, in order"

# The same with each queue spread over all threads: an SA's numbers are its worker's to take, whoever does the crypto.
kill_daemon gw1 xespd TERM
start_xespd gw1 --spread always --batch 32
gateway_ready gw1
change_meanwhile
receive
before
flows 10 10
until_equal 400 all_of
expect_equal "under the SAs of CPUs" "$(($(sent a) + $(sent b)))" 400
say "and with every queue spread over all threads"
