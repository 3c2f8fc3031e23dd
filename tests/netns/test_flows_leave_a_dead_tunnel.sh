#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two tunnels to one place: flows are spread over them and keep their order; when the far end of one
# no longer takes its packets, its flows go by the other within a second, and come back afterwards.
# The far end loses the SAs of t6 here, as one does that was restarted without them.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

FLOWS=64

policies() {
	local me=$1 peer; peer=$(peer_of "$1")
	policy lan protect tunnel both local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24"
}

# As write_config, with the group and the probes; `without` names a tunnel whose SAs are left out.
write_group() { # write_group <gateway> [without]
	local me=$1 peer; peer=$(peer_of "$1")
	write_config "$me"
	"$PYTHON" - "$TMP/$me.yaml" "$(net4 "$me").1" "$(net4 "$peer").1" "${2:-}" <<'PY'
import re, sys
path, local, remote, without = sys.argv[1:]
text = open(path).read()
probe = f"    dpd: yes\n    probe_local: {local}\n    probe_remote: {remote}\n"
head, rest = text.split("sas:\n")
head = re.sub(r"(    remote: .*\n)", r"\1" + probe, head)
sas, policies = rest.split("policies:\n")
if without:
    sas = "".join(s for s in re.split(r"(?=  - name: )", sas) if f"tunnel: {without}\n" not in s)
open(path, "w").write(f"{head}groups:\n  - name: both\n    tunnels: [t4, t6]\nsas:\n{sas}policies:\n{policies}")
PY
}

peer_is() { # peer_is <gateway> <tunnel> <up|down>
	[ "$(xesp "$1" status --json | jq -r ".xespd.peers[] | select(.tunnel == \"$2\") | .peer")" = "$3" ]
}
rtt_known() { [ "$(xesp "$1" status --json | jq '[.xespd.peers[] | select(.rtt_us > 0)] | length')" = 2 ]; }

receive_on_b() { start flows.log hostB "$PYTHON" "$HERE/flows.py" receive 10.2.0.2; RECEIVER=$STARTED
	until_ok 5 grep -q ready "$TMP/flows.log"; }
received() { # received <jq path>: after stop_receiver
	tail -n 1 "$TMP/flows.log" | jq "$1"
}
stop_receiver() { stop "$RECEIVER" TERM; until_ok 5 grep -q longest_gap "$TMP/flows.log"; }

topology_up
write_group gw1
write_group gw2
gateways_up
for gw in gw1 gw2; do until_ok 10 rtt_known $gw; done

# Spread, all of it there, in order.
receive_on_b
before4=$(sa_field gw1 t4-out .packets) before6=$(sa_field gw1 t6-out .packets)
run hostA "$PYTHON" "$HERE/flows.py" send 10.2.0.2 $FLOWS 20 10
until_ok 5 test "$(($(sa_field gw1 t4-out .packets) + $(sa_field gw1 t6-out .packets)))" -ge $((before4 + before6 + FLOWS * 20))
pause 0.3
stop_receiver
expect_equal "flows at host B" "$(received .flows)" $FLOWS
expect_equal "packets lost" "$(received .lost)" 0
expect_equal "packets reordered" "$(received .reordered)" 0
for t in t4 t6; do
	n=$(sa_field gw1 $t-out .packets)
	[ "$n" -gt 300 ] || die "$t took only $n packets of $((FLOWS * 20)): flows are not spread"
done
say "64 flows spread over two tunnels, none lost, none reordered"

# The far end forgets t6. Probes and flows that take it are dropped there.
receive_on_b
run hostA "$PYTHON" "$HERE/flows.py" send 10.2.0.2 $FLOWS 200 25 &
PIDS+=($!)
sender=$!
pause 1
write_group gw2 t6
xesp gw2 reload >/dev/null || die "reload on gw2"
until_ok 5 peer_is gw1 t6 down
peer_is gw1 t4 up || die "t4 is down too"
down_ms=$(sed -n 's/.*tunnel t6: no answer from behind the peer for \([0-9]*\) ms: down.*/\1/p' "$TMP/gw1-xespd.log" | tail -n 1)
[ "$down_ms" -lt 1000 ] || die "t6 was found dead only after $down_ms ms"
wait "$sender"
pause 0.3
stop_receiver
expect_equal "flows at host B" "$(received .flows)" $FLOWS
expect_equal "packets reordered" "$(received .reordered)" 0
gap=$(received .longest_gap_ms)
# A second, and the interval of the sender, and what a busy machine takes to get to it.
[ "$gap" -lt 1500 ] || die "a flow was without a packet for $gap ms"
say "t6 dead after $down_ms ms; the longest silence of a flow: $gap ms"

# It comes back, and so do its flows.
write_group gw2
xesp gw2 reload >/dev/null || die "reload on gw2"
until_ok 5 peer_is gw1 t6 up
before6=$(sa_field gw1 t6-out .packets)
run hostA "$PYTHON" "$HERE/flows.py" send 10.2.0.2 $FLOWS 20 5
[ "$(sa_field gw1 t6-out .packets)" -gt $((before6 + 300)) ] || die "no flow came back to t6"
say "t6 is back, and has its flows"
