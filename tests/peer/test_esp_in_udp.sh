#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ESP in UDP (RFC 3948) against peers that are not ours, IPv4 and IPv6: scapy opens what xesp sends and
# xesp answers what scapy makes; tshark names it UDPENCAP, decrypts it and finds the checksums as they
# are configured: zero on IPv4, right on IPv6, zero on IPv6 where asked (RFC 6935); and on another port.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need "$PYTHON" tshark
peer_needs

PORT=4500 CHECKSUM=auto UDP=true
tunnel_keys() {
	printf '    encap: udp\n    keepalive: 0\n    udp_checksum: %s\n' $CHECKSUM
	printf '    local_port: %s\n    remote_port: %s\n' $PORT $PORT
}
shown() { tshark -r "$CAPTURE" "${options[@]}" -Y "$1" -T fields -e frame.number 2>>"$TMP/tshark.log" | wc -l; }

traffic() { # 80 packets of both families in both
	capture wire w1
	pings hostA 10 10.2.0.2
	pings hostA 10 2001:db8:2::2
	pings hostA 10 10.2.0.3 -I 10.1.0.3
	pings hostA 10 2001:db8:2::3 -I 2001:db8:1::3
	stop_capture wire w1
}

topology_up
ESN=no
for ALGORITHM in aes-gcm-128 aes-gcm-256-12; do
	gateways_again gw1 gw2
	write_sas "$TMP/sas.json" t4 t6
	traffic
	esp_peer decrypt "$CAPTURE" "$TMP/sas.json" >"$TMP/peer.log" 2>&1 ||
		die "$ALGORITHM: $(tail -n 3 "$TMP/peer.log")"
	say "$ALGORITHM: $(tr '\n' ';' <"$TMP/peer.log")"
	for t in t4 t6; do
		write_sas "$TMP/sas-$t.json" $t
		src=10.1.0.2 dst=10.2.0.2 before=$(sa_field gw2 $t-in .packets)
		[ $t = t4 ] || { src=2001:db8:1::2 dst=2001:db8:2::2; }
		# scapy counts from 1 like a gateway that was set up anew.
		gateways_again gw2
		run wire "$PYTHON" "$HERE/../peer/esp_peer.py" converse w2 "$(mac gw2 out0)" "$TMP/sas-$t.json" \
			$src $dst 12 >"$TMP/peer.log" 2>&1 ||
			die "$ALGORITHM, $t: $(tail -n 3 "$TMP/peer.log"); drops $(xesp gw2 counters --json | jq -c .drops)"
		say "in UDP, after $before packets of gw1: $(cat "$TMP/peer.log")"
	done
done

ALGORITHM=aes-gcm-128
for CHECKSUM in auto zero compute; do
	for PORT in 4500 31337; do
		gateways_again gw1 gw2
		traffic
		options=(-o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE
			-o udp.check_checksum:TRUE)
		[ $PORT = 4500 ] || options+=(-d "udp.port==$PORT,udpencap")
		for t in t4 t6; do
			for gw in gw1 gw2; do
				v=${t#t}
				options+=(-o "uat:esp_sa:\"IPv$v\",\"$("outer$v" $gw)\",\"$("outer$v" "$(peer_of $gw)")\",\"${SPI[$t-$gw]}\",\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x$(key_of $t $gw)\",\"NULL\",\"\"")
			done
		done
		expect_equal "packets in UDP" "$(shown "udpencap && esp && udp.port == $PORT")" 80
		expect_equal "right ICVs" "$(shown 'esp.icv_good == 1')" 80
		expect_equal "bare ESP" "$(shown 'ip.proto == 50 || ipv6.nxt == 50')" 0
		four=40 six=0 # zeroes
		[ $CHECKSUM != zero ] || six=40
		[ $CHECKSUM != compute ] || four=0
		expect_equal "zero checksums, IPv4" "$(shown 'ip && udpencap && udp.checksum == 0 && ip.dst == 192.0.2.0/24')" $four
		expect_equal "zero checksums, IPv6" "$(shown 'udpencap && udp.checksum == 0 && ipv6.dst == 2001:db8:ffff::/64')" $six
		expect_equal "right checksums" "$(shown 'udpencap && udp.checksum.status == 1')" $((80 - four - six))
		say "udp_checksum $CHECKSUM, port $PORT: 80 packets in UDP, 80 ICVs right, $((four + six)) checksums zero and the others right"
	done
done
expect_equal "drops" "$(($(all_drops gw1) + $(all_drops gw2)))" 0
