#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tshark with the SAs' keys reads what else xesp sends: transport mode, bare and in UDP, with right ICVs, the pings and
# TCP inside and their checksums; dummies with next header 59, RFC 4303 section 2.6; and packets padded behind
# their inner length, section 2.7. Without ESN, of which tshark 4.0 knows nothing.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need tshark nc

ENCAP=none COVER=
tunnel_keys() {
	[ $ENCAP = none ] || printf '    encap: udp\n    keepalive: 0\n'
	[ -z "$COVER" ] || printf '    tfc: mtu\n    dummy: 50\n'
}
shown() { tshark -r "$CAPTURE" "${TSHARK[@]}" -o tcp.check_checksum:TRUE -Y "$1" -T fields -e frame.number 2>>"$TMP/tshark.log" | wc -l; }

hosts_only() { policy hosts4 protect tunnel t4; policy hosts6 protect tunnel t6; }
declare -f policies >"$TMP/networks"
topology_up
# shellcheck disable=SC2034 # for gateway.sh
ESN=no MODE=transport
policies() { hosts_only; }
head -c 30000 /dev/urandom >"$TMP/file"
for ALGORITHM in aes-gcm-128 aes-gcm-256-8 aes-cbc-256-sha256 aes-ctr-128-sha512 null-sha384; do
	for ENCAP in none udp; do
		gateways_again gw1 gw2
		capture wire w1
		pings gw1 10 192.0.2.2
		pings gw2 10 2001:db8:ffff::1
		transfer gw1 192.0.2.1 gw2 192.0.2.2 "$TMP/file"
		transfer gw2 2001:db8:ffff::2 gw1 2001:db8:ffff::1 "$TMP/file"
		stop_capture wire w1
		tshark_knows t4 t6
		all=$(shown esp) tcp=$(shown tcp)
		[ "$all" -ge 80 ] || die "$ALGORITHM, $ENCAP: $all ESP packets"
		expect_equal "$ALGORITHM, $ENCAP: right ICVs" "$(shown 'esp.icv_good == 1')" "$all"
		expect_equal "$ALGORITHM, $ENCAP: in UDP" "$(shown 'esp && udpencap')" "$([ $ENCAP = udp ] && echo "$all" || echo 0)"
		expect_equal "$ALGORITHM, $ENCAP: pings inside" "$(shown 'esp && icmp.type == 8') $(shown 'esp && icmp.type == 0')" "10 10"
		expect_equal "$ALGORITHM, $ENCAP: IPv6 pings inside" \
			"$(shown 'esp && icmpv6.type == 128') $(shown 'esp && icmpv6.type == 129')" "10 10"
		expect_equal "$ALGORITHM, $ENCAP: next headers" "$(shown 'esp.protocol == 1') $(shown 'esp.protocol == 58 && icmpv6.type < 130')" "20 20"
		expect_equal "$ALGORITHM, $ENCAP: TCP whose checksum is right" "$(shown 'esp && tcp.checksum.status == 1')" "$tcp"
		say "$ALGORITHM, transport mode, encap $ENCAP: $all packets, all ICVs right, $tcp of TCP with right checksums"
	done
done

# The control: under another key no ICV is right.
TSHARK=("${TSHARK[@]/0x$(integrity_key_of t4 gw1)/0x$(integrity_key_of t4 gw2)}")
expect_equal "right ICVs under a wrong key" "$(shown "esp.icv_good == 1 && esp.spi == ${SPI[t4-gw1]}")" 0

# Dummies and padding, in tunnel mode.
# shellcheck disable=SC2034 # for gateway.sh
MODE=tunnel ENCAP=none COVER=yes
# shellcheck source=/dev/null # the default ones
. "$TMP/networks"
for ALGORITHM in aes-gcm-128 aes-cbc-128-sha256; do
	gateways_again gw1 gw2
	capture wire w1
	pings hostA 10 10.2.0.2
	pings hostA 10 2001:db8:2::2
	pause 2
	stop_capture wire w1
	tshark_knows t4 t6
	all=$(shown esp)
	# What has no dissector tshark leaves as text: its last octet is the next header.
	dummies=$(tshark -r "$CAPTURE" "${TSHARK[@]}" -Y 'esp && !icmp && !icmpv6' -T fields -e esp.decrypted_data \
		2>>"$TMP/tshark.log" | grep -c '3b$') || true
	expect_equal "$ALGORITHM: right ICVs" "$(shown 'esp.icv_good == 1')" "$all"
	[ "$dummies" -ge 200 ] || die "$ALGORITHM: tshark sees $dummies dummies of four SAs in 2 s and more"
	expect_equal "$ALGORITHM: all but dummies" $((all - dummies)) 40
	expect_equal "$ALGORITHM: pings inside, padded to the path" \
		"$(shown 'icmp && ip.len == 84 && frame.len > 1490') $(shown 'icmpv6 && ipv6.plen == 64 && frame.len > 1490')" "20 20"
	lengths=$(tshark -r "$CAPTURE" -Y esp -T fields -e frame.len 2>/dev/null | sort -nu | wc -l)
	[ "$lengths" -le 2 ] || die "$ALGORITHM: $lengths lengths: dummies can be told from the others"
	say "$ALGORITHM: tshark reads $dummies dummies, 40 pings of 84 and 104 octets in frames of $lengths lengths"
done
