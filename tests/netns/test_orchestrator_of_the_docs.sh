#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The Python example of docs/control.md, taken out of the page and run: it hears that a soft lifetime has
# ended, and gives the SA a new key, again and again, while traffic flows.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need jq

topology_up
DEFAULT=discard
write_config gw1 "$TMP/full.yaml"
{ sed '/^tunnels:/,$d' "$TMP/full.yaml"; echo 'source: control'; } >"$TMP/gw1.yaml"
chmod 600 "$TMP/gw1.yaml"
attach gw1
new_state gw1
start_keyd gw1
start_xespd gw1
until_ready gw1 worker_serves
sed -n '/^```python$/,/^```$/p' "$HERE/../../docs/control.md" | grep -v '^```' |
	sed "s|/run/xesp/keyd.sock|$TMP/gw1-run/keyd.sock|" >"$TMP/orchestrator.py"
[ "$(wc -l <"$TMP/orchestrator.py")" -ge 30 ] || die "the example is not in docs/control.md"
start orchestrator.log gw1 "$PYTHON" "$TMP/orchestrator.py"
until_ready gw1 sas_active
first=$(sa_field gw1 t1-out .fingerprint)
forward_from_tun gw1
# Nobody answers at the other end: what counts is what leaves.
start ping.log hostA ping -n -i 0.01 10.2.0.2
changes() { grep -c soft-expiry "$TMP/orchestrator.log" || true; }
until_at_least 2 changes
until_ready gw1 sas_active
[ "$(sa_field gw1 t1-out .fingerprint)" != "$first" ] || die "the key is the first one still"
! gone "$STARTED" || die "ping has ended"
expect_equal "SAs" "$(xesp gw1 status --json | jq .keyd.sas)" 1
expect_equal "drops for want of an SA" "$(counter gw1 no-sa-out)" 0
grep -q Traceback "$TMP/orchestrator.log" && die "$(cat "$TMP/orchestrator.log")"
say "$(changes) soft expiries, as many new keys; the example is as it stands in docs/control.md"
