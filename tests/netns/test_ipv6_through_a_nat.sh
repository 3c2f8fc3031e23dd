#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ESP in UDP over IPv6 through a NAT (RFC 3948, RFC 6935): gw1's address and port are rewritten by nftables, and
# both families pass in tunnel mode; keepalives are absorbed; a mapping that changes port, then address, is
# followed; packets that leave in outer fragments are put together, with checksums and without.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
. "$(dirname "$0")/nat.sh"
need nft

CHECKSUM=auto MTU=
tunnel_keys() {
	printf '    encap: udp\n    pmtu: fixed\n    udp_checksum: %s\n' $CHECKSUM
	[ -z "$MTU" ] || [ "$2" = t4 ] || printf '    mtu: %s\n' "$MTU"
	case $1 in
	gw1) printf '    keepalive: 1\n' ;;
	gw2) printf '    follow_peer: yes\n    keepalive: 0\n    remote_port: 1\n' ;;
	esac
}
policies() { # everything through t6
	policy v4-in-v6 protect tunnel t6 local "$(net4 "$1").0/24" remote "$(net4 "$(peer_of "$1")").0/24"
	policy v6-in-v6 protect tunnel t6 local "$(net6 "$1"):/64" remote "$(net6 "$(peer_of "$1")"):/64"
}
# gw1 speaks first: until then nobody knows where it is.
reach() { run hostA ping -q -c 1 -W 1 2001:db8:2::2; }
both_ways() { # both_ways <count> [ping's options]
	local n=$1; shift
	pings hostA "$n" 2001:db8:2::2 "$@"
	pings hostB "$n" 2001:db8:1::2 "$@"
	pings hostA "$n" 10.2.0.2 "$@"
	pings hostB "$n" 10.1.0.2 "$@"
}
slow() { xesp "$1" status --json | jq '[.xespd.workers[] | select(.queue == null) | .decap_packets] | add'; }

topology_up
nat_up
port=31000
for CHECKSUM in auto zero; do
	gateways_up
	capture wire w2
	until_ok 10 reach
	until_ok 5 peer_at t6 "$NAT6 port $port"
	both_ways 20
	until_at_least 1 counter gw2 natt-keepalive
	stop_capture wire w2
	expect_equal "$CHECKSUM: bare ESP" "$(tcpdump -nn -r "$CAPTURE" 'ip6 proto 50' 2>/dev/null | wc -l)" 0
	expect_equal "$CHECKSUM: ESP in UDP from elsewhere" \
		"$(tcpdump -nn -r "$CAPTURE" "udp and dst host 2001:db8:ffff::2 and not (src host $NAT6 and src port $port)" 2>/dev/null | wc -l)" 0
	zeroes=$(tcpdump -nn -r "$CAPTURE" 'ip6 proto 17 and ip6[46:2] = 0 and ip6[4:2] > 40' 2>/dev/null | wc -l)
	if [ $CHECKSUM = auto ]; then [ "$zeroes" -eq 0 ]; else [ "$zeroes" -ge 160 ]; fi ||
		die "$CHECKSUM: $zeroes UDP checksums are zero"
	say "checksums $CHECKSUM: 80 pings through NAT66, $zeroes zero checksums"

	# Another port.
	nat_maps_to $((port + 1))
	run hostA ping -q -c 40 -i 0.05 -W 1 2001:db8:2::2 >"$TMP/ping.log" || true
	until_ok 5 peer_at t6 "$NAT6 port $((port + 1))"
	lost=$((40 - $(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$TMP/ping.log")))
	[ "$lost" -le 8 ] || die "$lost of 40 pings lost when the mapping changed"
	say "followed to another port: $lost of 40 pings lost"

	head -c 300000 /dev/urandom >"$TMP/file"
	transfer hostA 2001:db8:1::2 hostB 2001:db8:2::2 "$TMP/file"
	transfer hostB 10.2.0.2 hostA 10.1.0.2 "$TMP/file"
	if [ $CHECKSUM = zero ]; then # last: unlike a masquerade's, this mapping outlives its rule
		nat_maps_to 33000 192.0.2.253 2001:db8:ffff::fd
		until_ok 10 reach
		until_ok 5 peer_at t6 "2001:db8:ffff::fd port 33000"
		both_ways 10
		say "followed to another address"
	else
		port=32000 # a new one: the kernel may not have forgotten the first yet
		nat_maps_to $port
	fi
	for gw in gw1 gw2; do gateway_down $gw; forget_state $gw; done
done

# IPv6 packets of up to 1280 octets must pass, and 76 more do not fit a path of 1280: outer fragments.
for CHECKSUM in compute zero; do
	MTU=1280
	gateways_up
	until_ok 10 reach
	capture wire w2
	one=$(slow gw1) two=$(slow gw2)
	pings hostA 20 2001:db8:2::2 -s 1232
	pings hostB 20 2001:db8:1::2 -s 1232
	stop_capture wire w2
	fragments=$(tcpdump -nn -r "$CAPTURE" 'ip6 proto 44' 2>/dev/null | wc -l)
	[ "$fragments" -ge 160 ] || die "$CHECKSUM: $fragments outer fragments, 160 expected"
	[ "$(slow gw2)" -ge $((two + 40)) ] || die "$(slow gw2) packets by gw2's slow path, $two before"
	[ "$(slow gw1)" -ge $((one + 40)) ] || die "$(slow gw1) packets by gw1's slow path, $one before"
	expect_equal "drops" "$(counter gw1 bad-icv)$(counter gw2 bad-icv)" 00
	say "checksum $CHECKSUM: 40 pings of 1280 octets in $fragments outer fragments through NAT66"
	for gw in gw1 gw2; do gateway_down $gw; forget_state $gw; done
done
