#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# scapy's IPsec layer, and the ciphers of python3-cryptography, open every packet that xesp sends: each
# algorithm, with and without ESN, IPv4 and IPv6 in each other. What is inside is, octet for octet but for
# the TTL, what a host sent.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need "$PYTHON"
peer_needs

topology_up
for ALGORITHM in "${ALGORITHMS[@]}"; do
	for ESN in $(esn_of "$ALGORITHM"); do
		gateways_again gw1 gw2
		write_sas "$TMP/sas.json" t4 t6
		capture wire w1
		capture hostA a0
		capture hostB b0
		for size in 0 1 2 3 56 1000; do
			pings hostA 2 10.2.0.2 -s $size
			pings hostA 2 2001:db8:2::2 -s $size
			pings hostB 2 10.1.0.3 -I 10.2.0.3 -s $size
			pings hostB 2 2001:db8:1::3 -I 2001:db8:2::3 -s $size
		done
		stop_capture hostA a0
		stop_capture hostB b0
		stop_capture wire w1
		esp_peer decrypt "$TMP/wire-w1.pcap" "$TMP/sas.json" "$TMP/hostA-a0.pcap" "$TMP/hostB-b0.pcap" \
			>"$TMP/peer.log" 2>&1 || die "$ALGORITHM, ESN $ESN: $(tail -n 3 "$TMP/peer.log")"
		say "$ALGORITHM, ESN $ESN: $(tr '\n' ';' <"$TMP/peer.log")"
		esp_peer wrong-key "$TMP/wire-w1.pcap" "$TMP/sas.json" >"$TMP/peer.log" 2>&1 ||
			die "$ALGORITHM, ESN $ESN: $(cat "$TMP/peer.log")"
	done
done
