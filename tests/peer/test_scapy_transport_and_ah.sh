#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# scapy's IPsec layer as the peer: ESP in transport mode, AH in transport and tunnel mode, over IPv4 and
# IPv6, both directions. AH with IPv4 options and IPv6 extension headers, and with what routers change
# on the way; each integrity algorithm, with and without ESN, over the 2^32 edge. ESP in UDP in transport mode,
# from behind a NAT.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need "$PYTHON"
peer_needs

policies() { # policies <gateway>
	if [ "$MODE" = transport ]; then
		policy hosts4 protect tunnel t4
		policy hosts6 protect tunnel t6
	else
		local me=$1 peer; peer=$(peer_of "$1")
		policy v6-in-v4 protect tunnel t4 local "$(net6 "$me"):3/128" remote "$(net6 "$peer"):3/128"
		policy v4-in-v6 protect tunnel t6 local "$(net4 "$me").3/32" remote "$(net4 "$peer").3/32"
		policy v4-in-v4 protect tunnel t4 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24"
		policy v6-in-v6 protect tunnel t6 local "$(net6 "$me"):/64" remote "$(net6 "$peer"):/64"
	fi
}

secret() { if [ "$PROTOCOL" = ah ]; then integrity_key_of "$@"; else key_of "$@"; fi; }

spec() { # spec <tunnel> <source> <destination> [first number]
	local v=${1#t}
	jq -n --arg proto "$PROTOCOL" --arg mode "$MODE" --arg src "$2" --arg dst "$3" \
		--arg name "$([ "$PROTOCOL" = ah ] && echo "$INTEGRITY" || echo "$ALGORITHM")" \
		--argjson first "${4:-1}" --argjson esn "$([ "$ESN" = yes ] && echo true || echo false)" \
		--arg local "$("outer$v" gw1)" --arg remote "$("outer$v" gw2)" \
		--arg spi1 "${SPI[$1-gw1]}" --arg key1 "$(secret "$1" gw1)" \
		--arg spi2 "${SPI[$1-gw2]}" --arg key2 "$(secret "$1" gw2)" \
		'{proto: $proto, mode: $mode, name: $name, esn: $esn, first: $first, local: $local, remote: $remote, src: $src,
		  dst: $dst, out: {spi: $spi1, key: $key1}, back: {spi: $spi2, key: $key2}} | '"${EXTRA:-.}" >"$TMP/spec.json"
}

peer_does() { # peer_does <verb> <tunnel> <source> <destination> [first number]
	spec "$2" "$3" "$4" "${5:-1}"
	run wire "$PYTHON" "$HERE/../peer/mode_peer.py" "$1" w2 "$to_gw2" "$TMP/spec.json" >"$TMP/peer.log" 2>&1 ||
		die "$PROTOCOL $MODE $2 ESN $ESN: $(tail -n 3 "$TMP/peer.log"); drops $(xesp gw2 counters --json | jq -c .drops)"
	say "$(cat "$TMP/peer.log"), ESN $ESN"
}

one_configuration() {
	gateways_again gw2
	if [ "$MODE" = transport ]; then
		peer_does converse t4 192.0.2.1 192.0.2.2
		peer_does converse t6 2001:db8:ffff::1 2001:db8:ffff::2
	else
		peer_does converse t4 10.1.0.2 10.2.0.2
		peer_does converse t6 2001:db8:1::2 2001:db8:2::2
		peer_does converse t4 2001:db8:1::3 2001:db8:2::3 1000
		peer_does converse t6 10.1.0.3 10.2.0.3 1000
	fi
	expect_equal "drops" "$(all_drops gw2)" 0
}

topology_up
to_gw2=$(mac gw2 out0)
PROTOCOL=esp MODE=transport
for ESN in yes no; do one_configuration; done

# In UDP, from behind a NAT: RFC 3948 section 3.1.2. Original addresses told, and not.
declare -A REAL=([t4]=172.16.0.1 [t6]=fd00:16::1)
ESN=no
for ORIGINALS in known unknown; do
	tunnel_keys() {
		printf '    encap: udp\n    keepalive: 0\n'
		[ $ORIGINALS = unknown ] || printf '    nat_oa_remote: %s\n' "${REAL[$2]}"
	}
	gateways_again gw2
	run gw2 sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit'
	EXTRA='.real = "172.16.0.1"' peer_does behind-nat t4 192.0.2.1 192.0.2.2
	EXTRA='.real = "fd00:16::1"' peer_does behind-nat t6 2001:db8:ffff::1 2001:db8:ffff::2
	expect_equal "drops" "$(all_drops gw2)" 0
	say "original addresses $ORIGINALS"
done
tunnel_keys() { :; }
PROTOCOL=ah
for INTEGRITY in sha256 sha384 sha512 aes-gmac-128 aes-gmac-256; do
	for MODE in transport tunnel; do
		ESN=$([ $MODE = tunnel ] && echo yes || echo no)
		[ $INTEGRITY != sha256 ] || ESN=$([ $MODE = tunnel ] && echo no || echo yes)
		one_configuration
	done
	[ "$ESN" = no ] || { gateways_again gw2; peer_does cross t4 10.1.0.2 10.2.0.2; } # in tunnel mode
done
