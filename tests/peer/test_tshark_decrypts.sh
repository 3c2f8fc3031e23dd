#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tshark with the SAs' keys decrypts a capture of the wire, finds every ICV right and shows the pings
# inside. Without ESN: tshark 4.0 knows no upper half of a number and would call each ICV bad.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need tshark

topology_up
# tshark 4.0 has no ChaCha20-Poly1305, AES-CCM, AES-GMAC or implicit IV for ESP.
for ALGORITHM in null-sha256 aes-cbc-128-sha256 aes-cbc-256-sha512 aes-ctr-128-sha256 aes-ctr-192-sha384 \
	aes-gcm-128 aes-gcm-192 aes-gcm-256 aes-gcm-256-12 aes-gcm-128-8; do
	case $ALGORITHM in *-12) icv=12 ;; *-8) icv=8 ;; *) icv=16 ;; esac
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
	ESN=no
	gateways_again gw1 gw2
	capture wire w1
	pings hostA 10 10.2.0.2
	pings hostA 10 2001:db8:2::2
	pings hostA 10 10.2.0.3 -I 10.1.0.3
	pings hostA 10 2001:db8:2::3 -I 2001:db8:1::3
	stop_capture wire w1

	options=(-o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE)
	for t in t4 t6; do
		for gw in gw1 gw2; do
			v=${t#t}
			key=$(key_of $t $gw) integrity_key=$(integrity_key_of $t $gw)
			options+=(-o "uat:esp_sa:\"IPv$v\",\"$("outer$v" $gw)\",\"$("outer$v" "$(peer_of $gw)")\",\"${SPI[$t-$gw]}\",\"$cipher\",\"${key:+0x$key}\",\"$integrity\",\"${integrity_key:+0x$integrity_key}\"")
		done
	done
	shown() { tshark -r "$CAPTURE" "${options[@]}" -Y "$1" -T fields -e frame.number 2>>"$TMP/tshark.log" | wc -l; }
	expect_equal "ESP packets" "$(shown esp)" 80
	expect_equal "right ICVs" "$(shown 'esp.icv_good == 1')" 80
	expect_equal "inner IPv4 requests" "$(shown 'icmp.type == 8 && ip.dst == 10.2.0.0/24')" 20
	expect_equal "inner IPv4 answers" "$(shown 'icmp.type == 0 && ip.dst == 10.1.0.0/24')" 20
	expect_equal "inner IPv6 requests" "$(shown 'icmpv6.type == 128 && ipv6.dst == 2001:db8:2::/64')" 20
	expect_equal "inner IPv6 answers" "$(shown 'icmpv6.type == 129 && ipv6.dst == 2001:db8:1::/64')" 20
	say "$ALGORITHM: 80 packets, 80 ICVs right, 40 requests and 40 answers inside"
done

# The control: under another key no ICV is right.
options=("${options[@]/0x$(key_of t4 gw1)/0x$(key_of t4 gw2)}")
expect_equal "right ICVs under a wrong key" "$(shown "esp.icv_good == 1 && esp.spi == ${SPI[t4-gw1]}")" 0
