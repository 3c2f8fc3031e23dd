#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two strongSwans, both on the kernel's ESP: IKEv2 with a pre-shared key, then with certificates. It shows
# what the tests of strongSwan over xesp stand on: the daemons, their configuration, what is counted.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

topology_up
kernel_gateway gw1
kernel_gateway gw2
for IKE_AUTH in psk pubkey; do
	ike_start gw1
	ike_start gw2
	ike_initiate gw1
	capture wire w1
	pings hostA 20 10.2.0.2
	pings hostB 20 2001:db8:1::2
	stop_capture wire w1
	wire only-esp "$CAPTURE" || die "not only ESP on the wire"
	for gw in gw1 gw2; do
		spi=$(spis_of $gw)
		expect_equal "SAs that $gw sends under" "$(wc -w <<<"$spi")" 1
		expect_equal "$gw: packets sent, by its kernel" "$(kernel_packets $gw "$spi")" 40
		expect_equal "$gw: packets received, by the peer's kernel" "$(kernel_packets "$(peer_of $gw)" "$spi")" 40
		expect_equal "$gw: packets on the wire" "$(wire seqs "$CAPTURE" "spi=$spi" | wc -l)" 40
	done
	say "$IKE_AUTH: 40 packets each way under SAs that IKE negotiated"
	ike_stop gw1
	ike_stop gw2
done
