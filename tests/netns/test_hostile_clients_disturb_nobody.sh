#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Clients of the control socket that are malformed, too long, too slow, deaf, too many or of another user
# (tests/netns/hostile.py): traffic goes on, transactions of a good client are made in time meanwhile, and
# nothing of theirs is in force.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need jq

topology_up
write_config gw1 "$TMP/full.yaml"
{ sed '/^tunnels:/,$d' "$TMP/full.yaml"; echo 'source: control'; } >"$TMP/gw1.yaml"
chmod 600 "$TMP/gw1.yaml"
attach gw1
new_state gw1
start_keyd gw1
start_xespd gw1
until_ready gw1 worker_serves
"$PYTHON" "$HERE/to_set.py" <"$TMP/full.yaml" >"$TMP/set.json"
xesp gw1 set "$TMP/set.json" >/dev/null
until_ready gw1 sas_active
forward_from_tun gw1
gateway_up gw2
start ping.log hostA ping -n -i 0.01 10.2.0.2
ping=$STARTED
answers() { grep -c 'bytes from' "$TMP/ping.log" || true; }
until_at_least 40 answers
start hostile.log gw1 "$PYTHON" "$HERE/hostile.py" "$TMP/gw1-run/keyd.sock" 12
hostile=$STARTED
start hostile2.log gw1 "$PYTHON" "$HERE/hostile.py" "$TMP/gw1-run/keyd.sock" 12

# A good client beside them: a policy comes and goes.
made=0 worst=0
while ! gone "$hostile"; do
	for what in '{"set": {"policies": [{"name": "extra", "action": "discard", "protocol": "tcp", "remote_ports": 9, "before": "v4-in-v6"}]}}' \
		'{"delete": {"policies": ["extra"]}}'; do
		echo "$what" >"$TMP/one.json"
		took=$(xesp gw1 set --json "$TMP/one.json" | jq .took_us) || die "a good transaction was refused"
		[ "$took" -le "$worst" ] || worst=$took
		made=$((made + 1))
	done
done
wait "$hostile" || die "the hostile client got what it must not: $(cat "$TMP/hostile.log")"
[ "$made" -ge 20 ] || die "only $made transactions were made beside the hostile clients"
stop "$ping" INT
lost() { sed -nE 's/.*icmp_seq=([0-9]+) .*/\1/p' "$TMP/ping.log" | sort -nu | awk 'NR > 1 { n += $1 - last - 1 } { last = $1 } END { print n + 0 }'; }
expect_equal "pings lost" "$(lost)" 0
expect_equal "tunnels in force" "$(xesp gw1 sa --json | jq '[.sas[].tunnel] | unique | length')" 2
expect_equal "policies in force" "$(xesp gw1 policy --json | jq '.policies | length')" 4
! gone "$(pid_of gw1 xesp-keyd)" || die "xesp-keyd has ended"
say "$(cat "$TMP/hostile.log")"
say "$(answers) pings answered, none lost; $made good transactions, the longest $worst us"
