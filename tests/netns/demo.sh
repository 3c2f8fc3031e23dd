#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# demo.sh - xesp's main job, shown: two hosts talk through two gateways over a wire that sees only
# ciphertext. `make demo` builds everything and calls this; it prints real commands and their real
# output, checks what it claims, and removes all it made, also on Ctrl-C.
#
# Usage: demo.sh [BUILD], for example demo.sh build/release

export XESP_BUILD=${1:-${XESP_BUILD:-build/release}}
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc xxd iperf3 sha256sum tar

readonly MARKER="this-is-in-clear" # 16 octets, as many as ping repeats
readonly FILE_BYTES=$((128 << 20))
passed=0 failed=0 skipped=0

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
heading() { printf '\n%s== %s ==%s\n' "$bold" "$*" "$plain"; }
text() { printf '%s\n' "$*"; }

# Shows a command as the reader would type it and its output, indented.
show() { # show <ns> <command...>
	local ns=$1; shift
	printf '%s%s# %s%s\n' "$bold" "$ns" "$*" "$plain"
	run "$ns" "$@" 2>&1 | sed 's/^/    /'
}
show_xesp() { # show_xesp <gateway> <arguments>...
	local gw=$1; shift
	printf '%s%s# xesp %s%s\n' "$bold" "$gw" "$*" "$plain"
	xesp "$gw" "$@" 2>&1 | sed "s/^/    /; s|$TMP/||g; s|/sys/fs/bpf/$NS-gw|/sys/fs/bpf/xesp-gw|g"
}

# A claim and whether it holds: check <sentence> <command...>
check() {
	local what=$1; shift
	if "$@"; then
		printf '  %sok%s    %s\n' "$bold" "$plain" "$what"
		passed=$((passed + 1))
	else
		printf '  %sFAIL%s  %s\n' "$bold" "$plain" "$what"
		failed=$((failed + 1))
	fi
}
equal() { [ "$1" = "$2" ]; }
nonzero() { [ "$1" -gt 0 ]; }

epilogue() { # the last line, whatever happened; called at the end of cleanup with the exit status
	[ "$1" -eq 0 ] || [ "$failed" -gt 0 ] || failed=$((failed + 1))
	[ "$1" -ne 130 ] || echo "interrupted; everything was removed"
	echo
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}

# --- 1 --------------------------------------------------------------------------------------------
heading "Two hosts, two gateways, an untrusted wire"
sed -n 's/^#   \(host\| *\[\| *2001\)/   \1/p' "$HERE/topology.sh"
topology_up
for ns in hostA gw1 gw2 hostB; do show $ns ip -br addr show up; done

# --- 2 --------------------------------------------------------------------------------------------
heading "xesp attaches its XDP programs to both gateways"
for gw in gw1 gw2; do
	write_config $gw
	attach $gw
	printf '%s%s# xesp attach --inner in0 --outer out0%s\n' "$bold" $gw "$plain"
	sed "s/^/    /; s|$NS-|xesp-|g" "$TMP/$gw-attach.log"
done
text "and its two daemons start: xesp-keyd with the policies and keys, xespd with the workers"
for gw in gw1 gw2; do
	new_state $gw
	start_keyd $gw
	start_xespd $gw
	gateway_ready $gw
done
text "gw1's configuration (keys left out):"
sed 's/\(key:\).*/\1 .../; s/^/    /' "$TMP/gw1.yaml"
check "both gateways are up" true

# --- 3 --------------------------------------------------------------------------------------------
# One capture of the first octets of every frame, for counting, from here to the last of the transfer.
capture wire w2 128
heading "Ping, IPv4 and IPv6"
capture wire w1
capture hostA a0
show hostA ping -n -c 3 -i 0.2 10.2.0.2
check "IPv4 answers" grep -q ' 0% packet loss' <(run hostA ping -n -c 3 -l 3 -i 1 10.2.0.2)
show hostA ping -n -c 3 -i 0.2 2001:db8:2::2
check "IPv6 answers" grep -q ' 0% packet loss' <(run hostA ping -n -c 3 -l 3 -i 1 2001:db8:2::2)

heading "What the wire sees while the hosts send \"$MARKER\""
pings hostA 5 10.2.0.2 -p "$(printf %s "$MARKER" | xxd -p)"
pings hostA 5 2001:db8:2::2 -p "$(printf %s "$MARKER" | xxd -p)"
yes "$MARKER" | head -c 20000 >"$TMP/marked" || true
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/marked"
stop_capture hostA a0
stop_capture wire w1
text "first and last packets of: tcpdump on the wire"
tcpdump -nn -r "$TMP/wire-w1.pcap" 2>/dev/null | grep -v 'ethertype Unknown' |
	sed -n -e '1,3{s/^/    /;p}' -e '4s/.*/    .../p' >"$TMP/shown"
tcpdump -nn -r "$TMP/wire-w1.pcap" 2>/dev/null | grep ESP | tail -n 3 | sed 's/^/    /' >>"$TMP/shown"
cat "$TMP/shown"
inside=$(wire grep "$TMP/hostA-a0.pcap" "$MARKER")
outside=$(wire grep "$TMP/wire-w1.pcap" "$MARKER")
text "frames that hold the marker: $inside at host A, $outside on the wire"
check "the search finds the marker where it is in clear" nonzero "$inside"
check "it is not on the wire" equal "$outside" 0
check "nothing but ESP is on the wire (and what links need: ARP, neighbour discovery)" \
	wire only-esp "$TMP/wire-w1.pcap"

# --- 4 --------------------------------------------------------------------------------------------
heading "A file of $((FILE_BYTES >> 20)) MB over TCP"
{ tar -cf - -C / usr/bin usr/lib 2>/dev/null || true; } | head -c "$FILE_BYTES" >"$TMP/file" || true
begin=$EPOCHREALTIME
TRANSFER_TIMEOUT=240 transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
end=$EPOCHREALTIME
sent=$(sha256sum <"$TMP/file")
received=$(sha256sum <"$TMP/received")
text "    hostA  $(stat -c %s "$TMP/file") bytes  sha256 ${sent%% *}"
text "    hostB  $(stat -c %s "$TMP/received") bytes  sha256 ${received%% *}"
awk -v b="$begin" -v e="$end" -v n="$FILE_BYTES" \
	'BEGIN { printf "    in %.1f s, %.0f Mbit/s (with a tcpdump on the wire)\n", e - b, n * 8 / (e - b) / 1e6 }'
check "at least 100 MB, and SHA-256 is equal at both ends" \
	equal "$(stat -c %s "$TMP/received") $received" "$FILE_BYTES $sent"
rm -f "$TMP/file" "$TMP/received"

# --- 5 --------------------------------------------------------------------------------------------
heading "Counters against the wire"
stop_capture wire w2
tail -n 3 "$TMP/tcpdump-wire-w2.log" | sed 's/^/    tcpdump: /'
repeats=0
wire unique "$CAPTURE" >"$TMP/unique" || repeats=1
sed 's/^/    /' "$TMP/unique"
check "no sequence number is on the wire twice" equal "$repeats" 0
for t in t4 t6; do
	for gw in gw1 gw2; do
		peer=$(peer_of $gw)
		seen=$(wire seqs "$CAPTURE" "spi=${SPI[$t-$gw]}" | wc -l)
		sent=$(sa_field "$gw" "$t-out" .packets)
		received=$(sa_field "$peer" "$t-in" .packets)
		check "$t from $gw: $seen packets on the wire, $sent sent, $received received" \
			equal "$sent $received" "$seen $seen"
	done
done
rm -f "$CAPTURE"

# --- 6 --------------------------------------------------------------------------------------------
heading "iperf3"
start iperf3.log hostB iperf3 -s
until_ok 5 listening hostB 5201
for to in 10.2.0.2 2001:db8:2::2; do
	printf '%shostA# iperf3 -c %s -t 3%s\n' "$bold" $to "$plain"
	run hostA iperf3 -c $to -t 3 --json >"$TMP/iperf3.json" || true
	jq -r '.end | "    sent \(.sum_sent.bits_per_second / 1e6 | round) Mbit/s, received \(.sum_received.bits_per_second / 1e6 | round) Mbit/s, \(.sum_sent.retransmits) retransmissions"' "$TMP/iperf3.json" || true
	check "TCP over $to moved data" \
		nonzero "$(jq '.end.sum_received.bytes // 0' "$TMP/iperf3.json" 2>/dev/null || echo 0)"
done
text "(namespaces and veth pairs on one machine of $(nproc) cores, copy mode: not what a NIC would do)"

# --- 7 --------------------------------------------------------------------------------------------
heading "What an operator sees"
show_xesp gw1 status
show_xesp gw1 sa
show_xesp gw2 sa
show_xesp gw1 policy
show_xesp gw1 counters

# --- 8 --------------------------------------------------------------------------------------------
heading "And when the worker dies"
capture wire w1
kill_daemon gw1 xespd KILL
text "gw1# kill -9 xespd"
show hostA ping -n -q -c 10 -i 0.02 -W 0.2 -p "$(printf %s "$MARKER" | xxd -p)" 10.2.0.2 || true
stop_capture wire w1
check "the wire is silent: no cleartext" wire only-esp "$CAPTURE"
check "each packet was counted: no-worker $(counter gw1 no-worker)" equal "$(counter gw1 no-worker)" 10
start_xespd gw1
gateway_ready gw1
show hostA ping -n -q -c 10 -i 0.02 10.2.0.2
check "restarted, traffic goes on" grep -q ' 0% packet loss' <(run hostA ping -n -c 3 -l 3 -i 1 10.2.0.2)

heading "Cleaning up"
gateway_down gw1
gateway_down gw2
check "the interfaces are as they were: no XDP program" \
	equal "$(run gw1 ip -d link | grep -c xdp)$(run gw2 ip -d link | grep -c xdp)" 00
