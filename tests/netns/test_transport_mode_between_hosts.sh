#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Transport mode between two machines, ESP and then AH, IPv4 and IPv6: pings, TCP, datagrams that are
# fragmented behind ESP, VXLAN under it. On the wire is nothing else; keys may be exchanged in clear,
# and a bypass policy holds for what this machine sends. What was made for it is gone afterwards.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp tcpdump

policies() { # policies <gateway>
	policy ssh bypass local "$(outer4 "$1")" remote "$(outer4 "$(peer_of "$1")")" protocol tcp \
		"$([ "$1" = gw1 ] && echo remote_ports || echo local_ports)" 2222
	policy hosts4 protect tunnel t4
	policy hosts6 protect tunnel t6
}

# What is neither this protocol, in whole packets or pieces, nor of the link, nor as the filter says.
in_clear() { # in_clear <protocol number> [more that is allowed]
	tcpdump -r "$CAPTURE" -nn "(ip and not ip proto $1 ${2:+and not ($2)}) or \
		(ip6 and not ip6 proto $1 and not (ip6 proto 44 and ip6[40] = $1) \
		and not (ip6 proto 58 and ip6[40] >= 130 and ip6[40] <= 143) and not ip6 proto 0)" 2>/dev/null
}

# Routes and rules of ours, and the real way of what is marked.
rules_of() { run "$1" ip -j rule show; run "$1" ip -j -6 rule show; }
no_rules() { [ "$(rules_of "$1" | jq -s 'add | map(select(.priority >= 119 and .priority <= 121)) | length')" = 0 ]; }

expect_far_end() { # expect_far_end <gateway>
	expect_equal "$1's own way" "$(run "$1" ip -j route get "$(outer4 "$(peer_of "$1")")" | jq -r '.[0].dev')" xesp0
	expect_equal "$1's way for ESP" \
		"$(run "$1" ip -j route get "$(outer4 "$(peer_of "$1")")" mark 0x65730000 | jq -r '.[0].dev')" out0
}

converse() { # converse <protocol number>
	capture wire w1
	pings gw1 20 192.0.2.2
	pings gw2 20 192.0.2.1
	pings gw1 20 2001:db8:ffff::2
	pings gw2 20 2001:db8:ffff::1
	# Larger than the path takes: cut behind ESP, put together before it.
	pings gw1 3 192.0.2.2 -s 4000 -M dont
	pings gw2 3 192.0.2.1 -s 40000 -M dont
	pings gw1 3 2001:db8:ffff::2 -s 4000
	pings gw2 3 2001:db8:ffff::1 -s 40000
	# A sender that forbids it is told what fits.
	run gw1 ping -c 1 -W 1 -M "do" -s 1472 192.0.2.2 >"$TMP/big.log" 2>&1 && die "1500 bytes fit with $PROTOCOL"
	grep -q 'mtu' "$TMP/big.log" || die "nobody was told of the MTU: $(cat "$TMP/big.log")"
	head -c 300000 /dev/urandom >"$TMP/file"
	transfer gw1 192.0.2.1 gw2 192.0.2.2 "$TMP/file"
	transfer gw2 2001:db8:ffff::2 gw1 2001:db8:ffff::1 "$TMP/file"
	stop_capture wire w1
	[ -z "$(in_clear "$1")" ] || die "in clear: $(in_clear "$1" | head -n 5)"
	expect_equal "bad ICVs" "$(counter gw1 bad-icv)$(counter gw2 bad-icv)" 00
	[ "$(sa_field gw2 t4-in .packets)" -gt 40 ] || die "t4 carried nothing"
	expect_equal "mode shown" "$(sa_field gw2 t4-in .mode)" transport
}

vxlan() { # vxlan <protocol number>: an overlay whose outer packets policy protects
	local gw
	for gw in gw1 gw2; do
		run "$gw" ip link add vx0 type vxlan id 7 local "$(outer4 $gw)" remote "$(outer4 "$(peer_of $gw)")" \
			dstport 4789 nolearning 2>/dev/null || { say "no vxlan device here"; return; }
		run "$gw" ip link set vx0 mtu 1300 up
		run "$gw" ip addr add "172.30.0.${gw#gw}/24" dev vx0
	done
	capture wire w1
	pings gw1 20 172.30.0.2
	transfer gw2 172.30.0.2 gw1 172.30.0.1 "$TMP/file"
	stop_capture wire w1
	[ -z "$(in_clear "$1")" ] || die "VXLAN in clear: $(in_clear "$1" | head -n 5)"
	for gw in gw1 gw2; do run "$gw" ip link del vx0; done
}

in_clear_by_policy() { # what bypass names, and IKE, though the far end's address leads into xesp0
	capture wire w1
	nsenter --net="$PATH_OF_NS-gw2" nc -l -N 192.0.2.2 2222 >"$TMP/received" </dev/null &
	PIDS+=($!)
	until_ok 5 listening gw2 2222
	echo hello | run gw1 timeout --foreground 5 nc -N 192.0.2.2 2222 || die "bypass does not connect"
	until_ok 5 grep -q hello "$TMP/received"
	nsenter --net="$PATH_OF_NS-gw2" timeout --foreground 20 nc -u -l -W 1 192.0.2.2 500 >"$TMP/ike" </dev/null &
	PIDS+=($!)
	until_ok 5 sh -c "nsenter --net=$PATH_OF_NS-gw2 ss -Hlun 'sport = :500' | grep -q ."
	echo ike | run gw1 nc -u -w 1 -p 500 192.0.2.2 500
	until_ok 5 grep -q ike "$TMP/ike"
	stop_capture wire w1
	[ -z "$(in_clear 50 'tcp port 2222 or udp port 500')" ] || die "in clear: $(in_clear 50 'tcp port 2222 or udp port 500')"
	[ "$(tcpdump -r "$CAPTURE" -nn 'udp port 500' 2>/dev/null | wc -l)" -ge 1 ] || die "IKE went somewhere else"
}

topology_up
MODE=transport
gateways_up
expect_far_end gw1
converse 50
vxlan 50
in_clear_by_policy
expect_equal "drops of what nobody should have sent" "$(counter gw1 not-own)$(counter gw2 not-own)" 00

for gw in gw1 gw2; do gateway_down $gw; forget_state $gw; done
PROTOCOL=ah
for INTEGRITY in sha256 sha512 aes-gmac-128; do
	gateways_up
	converse 51
	[ $INTEGRITY != sha256 ] || vxlan 51
	for gw in gw1 gw2; do gateway_down $gw; forget_state $gw; done
done

# Without transport mode in the configuration the rules go.
PROTOCOL=esp MODE=tunnel
policies() { policy net protect tunnel t4 local "$(net4 "$1").0/24" remote "$(net4 "$(peer_of "$1")").0/24"; }
no_rules gw1 && die "rules did not stay while keyd was away"
gateways_up
until_ok 5 no_rules gw1
pings gw1 5 192.0.2.2

say "ESP and AH between two hosts, both families, whole and in pieces, VXLAN under them"
