#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sas.sh - what many SAs and policies cost the control plane: both daemons, real maps, no traffic.
#
# 100 000 SAs (an inbound and an outbound one a tunnel) come by a file and go again, come by the control
# socket in one transaction and in many, are replaced one by one; and one policy of 100 000 is changed.
# Times are what the caller waits: until keyd has answered, and xespd has acknowledged each SA.

# shellcheck source-path=SCRIPTDIR/../netns
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"

SAS=100000 POLICIES=100000 ROUNDS=5 PARTS=both JSON=''
usage() {
	cat <<'U'
usage: tests/bench/sas.sh [option]...   (as root; make bench-sas)
  --sas N        100000
  --policies N   100000
  --rounds N     5
  --by W         file, socket or both
  --json FILE    all measurements
U
}
while [ $# -gt 0 ]; do
	case $1 in
	--sas) SAS=$2; shift ;;
	--policies) POLICIES=$2; shift ;;
	--rounds) ROUNDS=$2; shift ;;
	--by) PARTS=$2; shift ;;
	--json) JSON=$2; shift ;;
	--help) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
need ip nsenter jq python3

ip netns add "$NS-gw1"
ip netns add "$NS-wire"
link gw1 in0 wire w3
link gw1 out0 wire w1
addr gw1 out0 192.0.2.1/24
# Room for those that go while the next come: an SA id is not given away for 10 s.
ATTACH_OPTIONS=(--max-sas $((SAS * 2 + 64)) --max-policies $((POLICIES + 64)))
attach gw1
printf 'version: 1\n' >"$TMP/gw1.yaml"
new_state gw1
drive() { # drive <file|control> [options]
	local source=$1; shift
	local driver=("$PYTHON" "$(dirname "$0")/sas.py" --run "$TMP/gw1-run" --config "$TMP/gw1.yaml"
		--sas "$SAS" --policies "$POLICIES" --rounds "$ROUNDS")
	[ -z "$JSON" ] || driver+=(--json "$JSON-$source")
	"${driver[@]}" --write-config "$source"
	start_keyd gw1
	start_xespd gw1
	until_ready gw1 worker_serves
	run gw1 "${driver[@]}" "$@" --pids "$(pid_of gw1 xesp-keyd),$(pid_of gw1 xespd)" || {
		show_logs
		die "the driver failed"
	}
	kill_daemon gw1 xespd TERM
	kill_daemon gw1 xesp-keyd TERM
}
[ "$PARTS" = socket ] || drive file
[ "$PARTS" = file ] || drive control --socket
