#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What scapy's IPsec layer makes, xesp accepts: scapy is gateway 1 and holds a conversation with host B
# behind gw2, in sizes that need every length of padding. Each algorithm, with and without ESN, IPv4
# and IPv6. scapy knows no number beyond 2^32, so those are made with python3-cryptography.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need "$PYTHON"
peer_needs

topology_up
to_gw2=$(mac gw2 out0)
for ALGORITHM in "${ALGORITHMS[@]}"; do
	for ESN in $(esn_of "$ALGORITHM"); do
		gateways_again gw2
		for t in t4 t6; do
			src=10.1.0.2 dst=10.2.0.2
			[ $t = t4 ] || { src=2001:db8:1::2 dst=2001:db8:2::2; }
			write_sas "$TMP/sas.json" $t
			run wire "$PYTHON" "$HERE/../peer/esp_peer.py" converse w2 "$to_gw2" "$TMP/sas.json" \
				$src $dst 12 >"$TMP/peer.log" 2>&1 ||
				die "$ALGORITHM, ESN $ESN, $t: $(tail -n 3 "$TMP/peer.log"); drops $(xesp gw2 counters --json | jq -c .drops)"
			say "$(cat "$TMP/peer.log"), ESN $ESN"
			expect_equal "$t-in packets" "$(sa_field gw2 $t-in .packets)" 12
		done
	done
done
expect_equal "drops" "$(all_drops gw2)" 0

gateways_again gw2
write_sas "$TMP/sas.json" t4
run wire "$PYTHON" "$HERE/../peer/esp_peer.py" esn w2 "$to_gw2" "$TMP/sas.json" 10.1.0.2 10.2.0.2 \
	>"$TMP/peer.log" 2>&1 || die "$(tail -n 3 "$TMP/peer.log"); drops $(xesp gw2 counters --json | jq -c .drops)"
say "$(cat "$TMP/peer.log")"
