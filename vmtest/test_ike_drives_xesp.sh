#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# strongSwan on both ends; gw1's ESP is xesp's, by `source: xfrm`, gw2's the kernel's. Pre-shared key and
# certificates, initiated from either end, AES-GCM, ChaCha20-Poly1305 and AES-CBC with HMAC. xesp, the
# kernel at the far end and the wire agree on the packets of each SA.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

ike_gateways

carry() { # carry <what>: 40 packets each way, counted in four places
	local spi gw
	for gw in gw1 gw2; do
		spi=$(spis_of $gw)
		expect_equal "SAs that $gw sends under" "$(wc -w <<<"$spi")" 1
		until_ok 10 is_active gw1 "$spi"
	done
	capture wire w1
	pings hostA 20 10.2.0.2
	pings hostB 20 2001:db8:1::2
	stop_capture wire w1
	wire only-esp "$CAPTURE" || die "$1: not only ESP on the wire"
	for gw in gw1 gw2; do
		spi=$(spis_of $gw)
		expect_equal "$1, from $gw: packets in xesp" "$(packets_of gw1 "$spi")" 40
		expect_equal "$1, from $gw: packets in the far kernel" "$(kernel_packets gw2 "$spi")" 40
		expect_equal "$1, from $gw: packets on the wire" "$(wire seqs "$CAPTURE" "spi=$spi" | wc -l)" 40
	done
	say "$1: 40 packets each way"
}

while read -r IKE_AUTH from ESP_PROPOSALS; do
	ike_start gw1
	ike_start gw2
	ike_initiate "$from"
	carry "$IKE_AUTH from $from, $ESP_PROPOSALS"
	ike_stop gw1
	ike_stop gw2
	until_ok 10 no_sas gw1
done <<-END
	psk gw1 aes128gcm16-esn
	pubkey gw2 chacha20poly1305-noesn
	psk gw2 aes256-sha256-esn
END
