#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# An IPv6 link carries 1280 octets (RFC 8200 section 5), and so does a tunnel whose path carries only 1300,
# or 1280 over IPv6: the ESP packet around such a packet is cut into outer fragments after encryption (RFC
# 2473 section 7.1) and put together by the peer. Larger ones are told 1280. IPv4 is not concerned.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
. "$(dirname "$0")/router.sh"

# Hosts 3 to 3: IPv6 in IPv4. Others: IPv6 in IPv6.
tunnel_keys() { # tunnel_keys <gateway> <tunnel>
	case $2 in t4) printf '    mtu: 1300\n    df: set\n' ;; t6) printf '    mtu: 1280\n' ;; esac
}
topology_up
router_up
router_mtu 1300
gateways_up
until_equal 1300 path_mtu gw1 t4-out
until_equal 1280 path_mtu gw1 t6-out

capture wire w1
for ends in "2001:db8:1::3 2001:db8:2::3" "2001:db8:1::2 2001:db8:2::2"; do
	read -r from to <<<"$ends"
	for size in 1100 1198 1199 1200 1232; do # 40 and 8 octets of headers
		pings hostA 3 "$to" -I "$from" -s "$size"
	done
	run hostA ping -c 1 -W 0.5 -I "$from" -s 1233 "$to" >"$TMP/big.log" 2>&1 && die "1281 octets were not refused"
	grep -qE 'Packet too big: mtu=1280\b' "$TMP/big.log" || die "not told 1280: $(cat "$TMP/big.log")"
done
stop_capture wire w1
largest=$(wire largest "$CAPTURE")
[ "$largest" -le 1314 ] || die "a frame of $largest octets on a path of 1300"
fragments=$("$PYTHON" "$HERE/wire.py" count "$CAPTURE" | jq '.fragment // 0')
[ "$fragments" -ge 24 ] || die "$fragments fragments on the wire, expected 24 or more"
expect_equal "ESP that was altered or repeated" \
	"$(counter gw1 bad-icv) $(counter gw2 bad-icv) $(counter gw2 replay-duplicate)" "0 0 0"
say "1280 octets of IPv6 cross paths of 1300 and 1280, in $fragments outer fragments; 1281 are told 1280"

# TCP over it: the handshake says what fits without fragments.
head -c 300000 /dev/urandom >"$TMP/file"
transfer hostA 2001:db8:1::3 hostB 2001:db8:2::3 "$TMP/file"
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
say "TCP crosses"
