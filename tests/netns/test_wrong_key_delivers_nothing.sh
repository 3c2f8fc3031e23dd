#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two ends with different keys: every packet is refused as bad-icv at the receiver, nothing arrives,
# and the fingerprints that `xesp sa` shows tell the operator why.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
write_config gw1
KEY[t4-gw1]=$(xxd -p -c 64 -l 36 /dev/urandom)
write_config gw2
gateways_up

capture hostB b0
run hostA ping -q -c 20 -i 0.01 -W 0.2 10.2.0.2 >/dev/null && die "answered under a wrong key"
expect_counter gw2 bad-icv 20
expect_equal "t4-in bad-icv" "$(sa_drops gw2 t4-in bad-icv)" 20
stop_capture hostB b0
expect_equal "packets delivered to hostB" "$(wire count "$CAPTURE" | jq '.ip // 0')" 0

[ "$(sa_field gw1 t4-out .fingerprint)" != "$(sa_field gw2 t4-in .fingerprint)" ] ||
	die "different keys have the same fingerprint"
[ "$(sa_field gw2 t4-out .fingerprint)" = "$(sa_field gw1 t4-in .fingerprint)" ] ||
	die "equal keys have different fingerprints"
pings hostA 10 2001:db8:2::2
say "20 packets under a wrong key, 20 counted as bad-icv, the other tunnel unharmed"
