#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Without a word in the configuration a queue that one core does not serve is spread over the threads there are, as a
# trial at least; what a core serves is not, and when the traffic ends its worker is alone again.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
TRAFFIC=$XESP_BUILD/tests/bench/traffic
[ -x "$TRAFFIC" ] || skip "no $TRAFFIC: make bench-programs"
[ "$(nproc)" -ge 2 ] || skip "one CPU: there are no helpers"

ALGORITHM=aes-cbc-256-sha512 # as slow as can be
XESPD_OPTIONS=(--engine openssl)
topology_up
gateways_up
spread() { xesp gw1 status --json | jq ".xespd.spread.threads[] | select(.worker == 0) | .$1"; }
expect_equal "the way of gw1" "$(xesp gw1 status --json | jq -r .xespd.spread.mode)" auto
pings hostA 20 10.2.0.2
expect_equal "times that 20 pings were spread" "$(spread switches)" 0

flood() { # as fast as can be, for so many seconds
	run hostA timeout 60 "$TRAFFIC" -l flood -w 0 -s "$1" -p "$(pid_of gw1 xespd)" -c 0 -C 1 -z 1400 \
		-g "$PATH_OF_NS-hostA" -i a0 -k "$PATH_OF_NS-hostB" -n b0 -D 10.2.0.2 \
		-d "$(mac gw1 in0)" -m "$(mac hostA a0)" -f 10.1.0.2 -t 10.2.0.2 >"$TMP/flood.json" 2>"$TMP/flood.err" ||
		die "traffic: $(cat "$TMP/flood.err")"
}
for i in 1 2 3 4 5; do
	flood 2
	[ "$(spread switches)" -eq 0 ] || break
done
[ "$(spread switches)" -gt 0 ] || die "a flood of $(sa_field gw1 t4-out .packets) packets was never spread"
[ "$(spread packets)" -gt 1000 ] || die "only $(spread packets) packets went by the lane"
is_alone() { [ "$(spread now)" = false ]; }
until_ok 5 is_alone
say "spread $(spread switches) times in $i floods, $(spread packets) packets; alone again"
expect_equal "packets late at gw2" "$(sa_field gw2 t4-in '.late | length')" 0
pings hostA 20 10.2.0.2
