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
for ALGORITHM in null-sha256 aes-cbc-128-sha256 aes-cbc-256-sha512 aes-ctr-128-sha256 aes-ctr-192-sha384 \
	aes-gcm-128 aes-gcm-192 aes-gcm-256 aes-gcm-256-12 aes-gcm-128-8; do
	ESN=no
	gateways_again gw1 gw2
	capture wire w1
	pings hostA 10 10.2.0.2
	pings hostA 10 2001:db8:2::2
	pings hostA 10 10.2.0.3 -I 10.1.0.3
	pings hostA 10 2001:db8:2::3 -I 2001:db8:1::3
	stop_capture wire w1

	tshark_knows t4 t6
	shown() { tshark -r "$CAPTURE" "${TSHARK[@]}" -Y "$1" -T fields -e frame.number 2>>"$TMP/tshark.log" | wc -l; }
	expect_equal "ESP packets" "$(shown esp)" 80
	expect_equal "right ICVs" "$(shown 'esp.icv_good == 1')" 80
	expect_equal "inner IPv4 requests" "$(shown 'icmp.type == 8 && ip.dst == 10.2.0.0/24')" 20
	expect_equal "inner IPv4 answers" "$(shown 'icmp.type == 0 && ip.dst == 10.1.0.0/24')" 20
	expect_equal "inner IPv6 requests" "$(shown 'icmpv6.type == 128 && ipv6.dst == 2001:db8:2::/64')" 20
	expect_equal "inner IPv6 answers" "$(shown 'icmpv6.type == 129 && ipv6.dst == 2001:db8:1::/64')" 20
	say "$ALGORITHM: 80 packets, 80 ICVs right, 40 requests and 40 answers inside"
done

# The control: under another key no ICV is right.
TSHARK=("${TSHARK[@]/0x$(key_of t4 gw1)/0x$(key_of t4 gw2)}")
expect_equal "right ICVs under a wrong key" "$(shown "esp.icv_good == 1 && esp.spi == ${SPI[t4-gw1]}")" 0
