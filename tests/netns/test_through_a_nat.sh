#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Through a NAT, RFC 3948: gw1 behind an nftables masquerade, gw2 in the open with a wrong idea of where
# gw1 is. Traffic both ways; IKE on the same port reaches a socket of either gateway; keepalives are
# seen and absorbed; a mapping that changes under traffic is followed, also over a restart of xespd
# and of keyd; a packet that is replayed from another port moves nobody.
#
# The topology is in nat.sh.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
. "$(dirname "$0")/nat.sh"
need nft "$PYTHON"

# shellcheck disable=SC2034 # for gateway.sh
ESN=no # an old number is just that
KEEPALIVE=1
tunnel_keys() { # IPv6 has a test of its own: test_ipv6_through_a_nat.sh
	[ "$2" = t4 ] || return 0
	printf '    encap: udp\n    df: clear\n    pmtu: fixed\n'
	case $1 in
	gw1) printf '    keepalive: %s\n' $KEEPALIVE ;;
	gw2) printf '    follow_peer: yes\n    keepalive: 0\n    remote_port: 1\n' ;;
	esac
}

topology_up
nat_up
gateways_up
for gw in gw1 gw2; do
	expect_equal "$gw encapsulates" "$(sa_field $gw t4-out .encap)" udp
done

# Nobody knows where gw1 is until it has sent something: a keepalive is not authentic, so no move by it.
capture wire w2
until_at_least 1 counter gw2 natt-keepalive
expect_equal "peer before anything authentic" "$(sa_field gw2 t4-in .peer)" "$NAT port 1"
run hostA ping -q -c 1 -W 1 10.2.0.2 >/dev/null || true # the answer may go where gw2 believed gw1 to be
until_ok 5 peer_at t4 "$NAT port 31000"
pings hostA 50 10.2.0.2
pings hostB 50 10.1.0.2
expect_equal "bare ESP on the wire" "$(run wire tcpdump -nn -r "$TMP/wire-w2.pcap" ip proto 50 2>/dev/null | wc -l)" 0
say "50 pings each way through the NAT"
stop_capture wire w2
cp "$CAPTURE" "$TMP/first.pcap"

# IKE on the same port, to sockets of the gateways.
start ike-gw2.log gw2 nc -u -l 192.0.2.2 4500
until_ok 5 sh -c "nsenter --net=$PATH_OF_NS-gw2 ss -Hlun 'sport = :4500' | grep -q 4500"
printf '\0\0\0\0IKE of gw1 %s' "$NS" | run gw1 timeout 1 nc -u -p 4500 -w 1 192.0.2.2 4500 || true
until_ok 5 grep -qa "IKE of gw1 $NS" "$TMP/ike-gw2.log"
say "an IKE datagram on port 4500 reached a socket of gw2"
stop "$STARTED"

# Keepalives only while nothing else is sent; each second one, absorbed.
capture wire w2
before=$(counter gw2 natt-keepalive)
started=$(date +%s%N)
until_at_least $((before + 4)) counter gw2 natt-keepalive
took=$((($(date +%s%N) - started) / 1000000))
if [ "$took" -lt 2900 ] || [ "$took" -gt $((5500 * PATIENCE)) ]; then die "4 keepalives took $took ms"; fi
stop_capture wire w2
seen=$(run wire tcpdump -nn -r "$CAPTURE" "src host $NAT and udp[4:2] == 9 and udp[8] == 0xff" 2>/dev/null | wc -l)
[ "$seen" -ge 4 ] || die "$seen keepalives on the wire"
expect_equal "keepalives of gw2, which sends none" \
	"$(run wire tcpdump -nn -r "$CAPTURE" "src host 192.0.2.2 and udp[4:2] == 9" 2>/dev/null | wc -l)" 0
before=$(counter gw2 natt-keepalive)
run hostA ping -q -i 0.2 -c 20 10.2.0.2 >/dev/null || die "pings while no keepalive is due"
expect_equal "keepalives beside traffic" "$(counter gw2 natt-keepalive)" "$before"
say "4 keepalives in $took ms of silence, none beside traffic"

# The NAT forgets: gw2 answers to where the next authentic packet comes from, and says so.
start events.log gw2 "$XESP_BUILD/xesp" --run "$TMP/gw2-run" --json events
moves() { jq -s '[.[] | select(.event == "peer-moved")] | length' "$TMP/events.log"; }
nat_maps_to 32000
run hostA ping -q -c 40 -i 0.05 -W 1 10.2.0.2 >"$TMP/ping.log" || true
until_ok 5 peer_at t4 "$NAT port 32000"
lost=$((40 - $(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$TMP/ping.log")))
[ "$lost" -le 8 ] || die "$lost of 40 pings lost when the mapping changed"
until_at_least 1 moves
expect_equal "the event" "$(jq -c 'select(.event == "peer-moved") | [.tunnel, .from, .to]' "$TMP/events.log")" \
	"[\"t4\",\"$NAT port 31000\",\"$NAT port 32000\"]"
pings hostB 20 10.1.0.2
say "the mapping changed under traffic: $lost of 40 pings lost"

# Replayed from another port: not newer than all before, and seen before.
moves=$(grep -c 'peer moved' "$TMP/gw2-xesp-keyd.log")
run wire "$PYTHON" - "$TMP/first.pcap" "$(mac gw2 out0)" <<-'END'
	import socket, struct, sys
	sys.path.insert(0, "tests/netns")
	data = open(sys.argv[1], "rb").read()
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind(("w2", 0))
	at, sent = 24, 0
	while at + 16 <= len(data) and sent < 10:
	    n = struct.unpack_from("<I", data, at + 8)[0]
	    f = bytearray(data[at + 16:at + 16 + n])
	    at += 16 + n
	    if f[12:14] == b"\x08\x00" and f[23] == 17 and f[30:34] == bytes([192, 0, 2, 2]) and len(f) > 80:
	        struct.pack_into("!H", f, 34, 40000)  # IPv4's header has no part in ports
	        s.send(f)
	        sent += 1
	assert sent == 10
END
until_equal 10 sa_drops gw2 t4-in replay-old
peer_at t4 "$NAT port 32000" || die "a replayed packet moved the peer to $(sa_field gw2 t4-in .peer)"
expect_equal "moves" "$(grep -c 'peer moved' "$TMP/gw2-xesp-keyd.log")" "$moves"
pings hostB 10 10.1.0.2
say "10 packets replayed from another port: refused, the peer stays"

# Restarts: the peer is where it was seen last, also when gw1 says nothing.
kill_daemon gw2 xespd
start_xespd gw2
gateway_ready gw2
peer_at t4 "$NAT port 32000" || die "forgotten by xespd's restart"
pings hostB 10 10.1.0.2
kill_daemon gw2 xesp-keyd
start_keyd gw2
gateway_ready gw2
peer_at t4 "$NAT port 32000" || die "forgotten by keyd's restart"
pings hostB 10 10.1.0.2
xesp gw2 status | grep -q "t4.*$NAT port 32000" || die "xesp status does not tell that t4's peer moved"
say "the peer is known after restarts of xespd and keyd"

# A path that cuts ESP in UDP into fragments: the kernel puts them together, xespd takes the ESP out.
until_pings() { run hostA ping -q -c 1 -W 1 -M dont -s 1200 10.2.0.2; }
run wire ip route add 192.0.2.2/32 dev w2 mtu lock 600
slow() { xesp gw2 status --json | jq '[.xespd.workers[] | select(.queue == null) | .decap_packets] | add'; }
before=$(slow)
until_ok 10 until_pings
pings hostA 20 10.2.0.2 -M dont -s 1200
[ "$(slow)" -ge $((before + 20)) ] || die "$(slow) packets by the slow path, $before before"
say "20 pings in ESP in UDP that the NAT cut into fragments"
