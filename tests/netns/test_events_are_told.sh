#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A subscriber of the control socket (docs/control.md, `xesp events`) hears of each thing that it is to hear of,
# as it happens: a peer that dies and comes back, a worker that goes and comes, SAs that come up, end and go,
# a spike of drops, another configuration.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need jq

tunnel_keys() { # tunnel_keys <gateway> <tunnel>
	[ "$1/$2" = gw1/t4 ] || return 0
	printf '    dpd: yes\n    probe_local: 10.1.0.1\n    probe_remote: 10.2.0.1\n'
}
topology_up
gateways_up
xesp gw1 events nonsense >"$TMP/nonsense.log" 2>&1 && die "an unknown event was taken"
grep -q "no event is called 'nonsense'" "$TMP/nonsense.log" || die "$(cat "$TMP/nonsense.log")"
start events.log gw1 "$XESP_BUILD/xesp" --run "$TMP/gw1-run" --json events
events() { jq -s "[.[] | select($1)] | length" "$TMP/events.log"; }
pause 1
peer_is() { [ "$(xesp gw1 status --json | jq -r '.xespd.peers[0].peer')" = "$1" ]; }
until_ok 10 peer_is up

# The wire is cut, and mended.
ip -n "$NS-wire" link set w2 down
until_at_least 1 events '.event == "peer-dead" and .tunnel == "t4"'
ip -n "$NS-wire" link set w2 up
until_at_least 1 events '.event == "peer-alive" and .tunnel == "t4"'

# A worker that is killed, and the next one.
kill_daemon gw1 xespd KILL
until_at_least 1 events '.event == "worker-gone"'
start_xespd gw1
until_ready gw1 sas_active
until_at_least 1 events '.event == "worker-up"'
until_at_least 4 events '.event == "sa-up"'

# Another configuration: a lifetime that ends soon, and traffic that is discarded.
sed -i '/^policies:/a\  - {name: none, action: discard, local: 10.1.0.3/32, protocol: icmp}' "$TMP/gw1.yaml"
sed -i '/name: t6-out/a\    lifetime: {soft_packets: 5, hard_packets: 100}' "$TMP/gw1.yaml"
xesp gw1 reload >/dev/null
until_at_least 1 events '.event == "changed" and .by == "reload" and .policies == 5'
run hostA ping -q -c 20 -i 0.01 -W 1 2001:db8:2::2 >/dev/null 2>&1 || true
until_at_least 1 events '.event == "soft-expiry" and .sa == "t6-out"'
run hostA ping -q -c 150 -i 0.01 -W 1 2001:db8:2::2 >/dev/null 2>&1 || true
until_at_least 1 events '.event == "hard-expiry" and .sa == "t6-out"'
run hostA timeout --foreground 20 ping -q -I 10.1.0.3 -l 1000 -i 0.01 -c 1500 -W 1 10.2.0.3 >"$TMP/flood.log" 2>&1 || true
[ "$(counter gw1 discard)" -ge 500 ] || die "not discarded: $(cat "$TMP/flood.log")"
until_at_least 1 events '.event == "drops" and .reason == "discard" and .per_s >= 100'

# An SA that goes.
"$PYTHON" - "$TMP/gw1.yaml" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
head, rest = text.split("sas:\n")
sas, policies = rest.split("policies:\n")
sas = "".join(s for s in re.split(r"(?=  - name: )", sas) if s.startswith("  - name: ") and "t6-out" not in s)
open(sys.argv[1], "w").write(head + "sas:\n" + sas + "policies:\n" + policies)
PY
xesp gw1 reload >"$TMP/reload.log" 2>&1 || die "$(cat "$TMP/reload.log")"
until_at_least 1 events '.event == "sa-deleted" and .sa == "t6-out"'
expect_equal "events missed" "$(events '.event == "missed"')" 0
expect_equal "events without a time" "$(events '.time | test("^20[0-9-]+T[0-9:.]+Z$") | not')" 0
say "$(jq -r .event "$TMP/events.log" | sort | uniq -c | awk '{printf "%s%s %s", (NR > 1 ? ", " : ""), $1, $2}')"
