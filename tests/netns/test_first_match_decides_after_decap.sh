#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4301 section 5.2: what comes out of a tunnel is held against the whole inbound SPD. An inner
# source that a policy before the tunnel's takes out is dropped as selector-mismatch, authentic as
# it is; with the two policies in the other order it passes; and so does what is not taken out.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
NARROW_FIRST=yes
# gw1 sends whatever hostA says; gw2 does not want host 3 of it.
policies() {
	local me=$1 peer; peer=$(peer_of "$1")
	[ "$me" = gw1 ] || [ "$NARROW_FIRST" = no ] ||
		policy not-3 discard direction in local 10.2.0.0/24 remote 10.1.0.3-10.1.0.9
	policy all protect tunnel t4 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24"
	[ "$me" = gw1 ] || [ "$NARROW_FIRST" = yes ] ||
		policy not-3 discard direction in local 10.2.0.0/24 remote 10.1.0.3-10.1.0.9
}
gateways_up

pings hostA 5 10.2.0.2
capture hostB b0
run hostA ping -q -c 7 -i 0.01 -W 0.2 -I 10.1.0.3 10.2.0.2 >/dev/null && die "a spoofed source was answered"
stop_capture hostB b0
expect_equal "packets delivered to hostB" "$(wire count "$CAPTURE" | jq '.ip // 0')" 0
expect_counter gw2 selector-mismatch 7
say "7 authentic packets from a source that is not the tunnel's: dropped"

NARROW_FIRST=no
rm "$TMP/gw2.yaml"
write_config gw2
xesp gw2 reload >/dev/null || die "gw2 does not reload"
pings hostA 5 10.2.0.2 -I 10.1.0.3
expect_counter gw2 selector-mismatch 7
say "the same policies in the other order: 5 of 5 answered"
