#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `xesp drops`: packets of several kinds are dropped, by XDP and by xespd, and each is found there: its reason, which is
# the counter's, its addresses, ports, SPI and number, the SA or policy, and where. Nothing of its payload; and without daemons too.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
ESN=no
policies() {
	local us peer
	us=$(net4 "$1") peer=$(net4 "$(peer_of "$1")")
	policy not-7001 discard local "$us.0/24" remote "$peer.0/24" protocol tcp remote_ports 7001
	policy v4 protect tunnel t4 local "$us.0/24" remote "$peer.0/24"
}
gateways_up
capture wire w1
pings hostA 20 10.2.0.2 -p 7365637265747061
stop_capture wire w1
expect_equal "drops before" "$(xesp gw2 drops --json | jq -c .drops)" "[]"

inject() { run wire "$PYTHON" "$HERE/wire.py" inject w2 "$CAPTURE" "spi=${SPI[t4-gw1]}" last=1 "$@" >/dev/null; }
send() { # send <ns> <interface> <mac> <arguments of packet.py>...
	local ns=$1; shift
	run "$ns" "$PYTHON" "$HERE/packet.py" "$@"
}
inject                       # replayed
inject newspi=0xdeadbeef     # no SA
inject seq=4000              # forged: another number under its ICV
send wire w2 "$(mac gw2 out0)" 10.1.0.2 10.2.0.9 udp 53 1024 # clear from outside
send hostB b0 "$(mac gw2 in0)" 10.2.0.2 10.1.0.7 tcp 1024 7001 # discarded
send hostB b0 "$(mac gw2 in0)" 10.2.0.2 10.1.0.7 tcp 1024 443 size=1490 # too big, and DF
send hostB b0 "$(mac gw2 in0)" 10.2.0.2 10.77.0.1 icmp 8 0 # no policy
for reason in replay-duplicate no-sa bad-icv clear-protected discard too-big no-policy; do expect_counter gw2 $reason 1; done

xesp gw2 drops --json >"$TMP/drops"
found() { # found <reason> <jq expression that must hold>
	jq -e "[.drops[] | select(.reason == \"$1\")] | length == 1 and (.[0] | $2)" "$TMP/drops" >/dev/null ||
		{ cat "$TMP/drops"; die "xesp drops: $1"; }
}
expect_equal "packets that are kept" "$(jq '.drops | length' "$TMP/drops")" 7
outer='.source == "192.0.2.1" and .destination == "192.0.2.2" and .protocol == "esp"'
found replay-duplicate "$outer"' and .spi == "0x00041012" and .sequence == 20 and .sa == "t4-in" and .where == "xespd" and .worker == 0 and .way == "in"'
found bad-icv "$outer"' and .spi == "0x00041012" and .sequence == 4000 and .sa == "t4-in" and .where == "xespd"'
found no-sa "$outer"' and .spi == "0xdeadbeef" and .sequence == 20 and .sa == null and .where == "xdp" and .interface == "out0" and .queue == 0'
found clear-protected '.source == "10.1.0.2" and .destination == "10.2.0.9" and .protocol == "udp" and .source_port == 53
	and .destination_port == 1024 and .policy == "v4" and .where == "xdp" and .interface == "out0" and .bytes == 84'
found discard '.source == "10.2.0.2" and .destination_port == 7001 and .policy == "not-7001" and .interface == "in0"'
found too-big '.source == "10.2.0.2" and .destination == "10.1.0.7" and .bytes == 1490 and .sa == "t4-out" and .policy == "v4" and .way == "out"'
found no-policy '.destination == "10.77.0.1" and .icmp_type == 8 and .icmp_code == 0 and .policy == null and .interface == "in0"'
jq -e '[.drops[].time] | . == sort and all(.[]; test("^20[0-9-]*T[0-9:.]*Z$"))' "$TMP/drops" >/dev/null || die "times: $(jq -c '[.drops[].time]' "$TMP/drops")"

# For people; the newest alone, one reason alone, and going on.
xesp gw2 drops >"$TMP/text"
grep -q 'bad-icv *192.0.2.1 *192.0.2.2 *esp .*SPI 0x00041012 number 4000 SA t4-in.*xespd, worker 0, in' "$TMP/text" ||
	{ cat "$TMP/text"; die "the table has no forged packet"; }
expect_equal "the newest" "$(xesp gw2 drops --last 1 --json | jq -r '.drops[].reason')" no-policy
expect_equal "one reason" "$(xesp gw2 drops --reason no-sa --json | jq -r '[.drops[].reason] | tostring')" '["no-sa"]'
xesp gw2 drops --reason nonsense >/dev/null 2>&1 && die "takes a reason that there is not"
start follow.log gw2 "$XESP_BUILD/xesp" --pins "$(pins_of gw2)" --run "$TMP/gw2-run" drops --follow --json --last 0
pause 0.5
inject newspi=0xcafe0001
until_ok 5 grep -q '"reason":"no-sa".*"spi":"0xcafe0001".*"number":' "$TMP/follow.log"
expect_equal "lines of --follow" "$(wc -l <"$TMP/follow.log")" 1
stop "$STARTED"

# A flood of one reason leaves the others where they are.
for _ in $(seq 30); do send hostB b0 "$(mac gw2 in0)" 10.2.0.2 10.77.0.1; done
until_at_least 31 counter gw2 no-policy
expect_equal "reasons that are kept" "$(xesp gw2 drops --last 1000 --json | jq '[.drops[].reason] | unique | length')" 7

# No payload anywhere, and no daemon needed.
! grep -q "$(printf 'secretpa' | xxd -p)" <(bpftool map dump pinned "$(pins_of gw2)/xesp_last_wkr" | tr -d ' \n' | sed 's/0x//g') ||
	die "payload in xesp_last_wkr"
kill_daemon gw2 xespd TERM
kill_daemon gw2 xesp-keyd TERM
expect_equal "without daemons" "$(xesp gw2 drops --reason bad-icv --json | jq -r '.drops[0].sa')" t4-in

# Maps of before have none: said, and nothing else is wrong.
rm "$(pins_of gw2)/xesp_last_wkr"
xesp gw2 counters >/dev/null || die "counters want the new maps"
xesp gw2 drops >"$TMP/refused" 2>&1 && die "drops are told out of maps that are not there"
grep -q 'attach --replace' "$TMP/refused" || die "what to do about maps of before is not said: $(cat "$TMP/refused")"
start_xespd gw2
start_keyd gw2
gateway_ready gw2
xesp gw2 attach --replace >/dev/null
xesp gw2 drops >/dev/null || die "attach --replace does not make the maps"
say "seven packets dropped, seven found"
