# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# peer.sh - the SAs of gateway.sh for tests with peers that are not ours; sourced after it.

esp_peer() { "$PYTHON" "$(dirname "${BASH_SOURCE[0]}")/esp_peer.py" "$@"; }

peer_needs() { "$PYTHON" -c 'import scapy.layers.ipsec, cryptography' 2>/dev/null || skip "no python3-scapy; make deps installs it"; }

# Every algorithm: each key length, each ICV.
# shellcheck disable=SC2034 # for the tests
ALGORITHMS=(aes-gcm-128 aes-gcm-192 aes-gcm-256 aes-gcm-128-12 aes-gcm-256-12 aes-gcm-128-8
	aes-gcm-192-8 chacha20poly1305 aes-gcm-128-iiv aes-gcm-256-iiv chacha20poly1305-iiv
	aes-ccm-128-8-iiv aes-ccm-128 aes-ccm-192-12 aes-ccm-256-8 aes-gmac-128 aes-gmac-256
	null-sha256 null-sha384 null-sha512 aes-cbc-128-sha256 aes-cbc-192-sha384 aes-cbc-256-sha512
	aes-ctr-128-sha256 aes-ctr-192-sha384 aes-ctr-256-sha512)

# ESN off and on where it could matter: once for each cipher; the rest in turns, for time.
esn_of() { # esn_of <algorithm>
	case $1 in
	aes-gcm-128 | chacha20poly1305 | *-128-iiv | aes-ccm-128 | aes-gmac-128 | *-sha256) echo no yes ;;
	*-12 | aes-*-192-sha384 | null-sha512) echo no ;;
	*) echo yes ;;
	esac
}

# write_sas <file> <tunnel>...: both directions of each, gateway 1's own first
write_sas() {
	local file=$1 tunnel gw v; shift
	for tunnel; do
		v=${tunnel#t}
		for gw in gw1 gw2; do
			jq -n --arg spi "${SPI[$tunnel-$gw]}" --arg key "$(key_of "$tunnel" "$gw")" --arg esn "$ESN" \
				--arg integrity_key "$(integrity_key_of "$tunnel" "$gw")" \
				--arg algorithm "${ALGORITHM:?}" --arg local "$("outer$v" "$gw")" \
				--arg remote "$("outer$v" "$(peer_of $gw)")" --argjson udp "${UDP:-false}" \
				'{spi: $spi, key: $key, integrity_key: $integrity_key, algorithm: $algorithm, esn: $esn, local: $local, remote: $remote, udp: $udp}'
		done
	done | jq -s . >"$file"
}

# Other SAs on both gateways: set ALGORITHM and ESN first.
gateways_again() { # gateways_again <gateway>...
	local gw
	for gw; do
		[ ! -e "$(pins_of "$gw")" ] || gateway_down "$gw"
		forget_state "$gw"
		gateway_up "$gw"
	done
}

# tshark_knows <tunnel>...: TSHARK becomes options with which tshark decrypts the SAs of both directions.
# tshark 4.0 has no ChaCha20-Poly1305, AES-CCM, AES-GMAC or implicit IV for ESP, and no ESN.
tshark_knows() {
	local icv=16 cipher integrity key integrity_key t v gw
	case $ALGORITHM in *-12) icv=12 ;; *-8) icv=8 ;; esac
	case $ALGORITHM in
	null-*) cipher=NULL ;;
	aes-cbc-*) cipher='AES-CBC [RFC3602]' ;;
	aes-ctr-*) cipher='AES-CTR [RFC3686]' ;;
	*) cipher="AES-GCM with $icv octet ICV [RFC4106]" ;;
	esac
	case $ALGORITHM in
	*-sha256) integrity='HMAC-SHA-256-128 [RFC4868]' ;;
	*-sha384) integrity='HMAC-SHA-384-192 [RFC4868]' ;;
	*-sha512) integrity='HMAC-SHA-512-256 [RFC4868]' ;;
	*) integrity=NULL ;;
	esac
	TSHARK=(-o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE)
	for t; do
		for gw in gw1 gw2; do
			v=${t#t}
			key=$(key_of "$t" $gw) integrity_key=$(integrity_key_of "$t" $gw)
			TSHARK+=(-o "uat:esp_sa:\"IPv$v\",\"$("outer$v" $gw)\",\"$("outer$v" "$(peer_of $gw)")\",\"${SPI[$t-$gw]}\",\"$cipher\",\"${key:+0x$key}\",\"$integrity\",\"${integrity_key:+0x$integrity_key}\"")
		done
	done
}
