#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# strongSwan on both ends of a NAT, gw1 behind it: ESP goes in UDP. First xesp is behind the NAT, then in front of it;
# the NAT forgets its mapping under traffic, and the peer is found again under the same SA. No sequence number twice.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
. "$(dirname "$0")/../tests/netns/nat.sh"
ike_needs
need nft

topology_up
nat_up
next_hop4() { case $1 in gw1) echo 172.16.0.254 ;; gw2) echo $NAT ;; esac; }
next_hop6() { case $1 in gw1) echo fd00:16::fe ;; gw2) echo $NAT6 ;; esac; }
kernel_gateway gw1
kernel_gateway gw2
know gw2 out0 "$(mac wire w2)" $NAT $NAT6
know wire w2 "$(mac gw2 out0)" 192.0.2.2 2001:db8:ffff::2
# Nobody knows where gw1 is before it speaks.
ike_addresses() {
	case $1 in
	gw1) printf '    local_addrs = 172.16.0.1\n    remote_addrs = 192.0.2.2\n' ;;
	gw2) printf '    local_addrs = 192.0.2.2\n    remote_addrs = %%any\n' ;;
	esac
}
IKE_MORE="mobike = no
    dpd_delay = 2s"

towards_port() { run gw2 ip xfrm state list src 192.0.2.2 | grep -q "encap type espinudp sport 4500 dport $1"; }
told() { jq -es "any(.[]; $2)" "$TMP/$1-events.json"; } # told <gateway> <condition>: by an event
through() { # through <gateway that xesp is on>
	local me=$1 peer spi; peer=$(peer_of "$1")
	xfrm_config "$me"
	mirror_up "$me"
	start "$me-events.json" "$me" "$XESP_BUILD/xesp" --run "$TMP/$me-run" --json events
	ike_start gw1
	ike_start gw2
	ike_initiate gw1
	for gw in gw1 gw2; do
		spi=$(spis_of $gw)
		expect_equal "SAs that $gw sends under" "$(wc -w <<<"$spi")" 1
		until_ok 10 is_active "$me" "$spi"
	done
	until_ok 10 told "$me" '.event == "sa-up"'
	capture wire w2 200
	pings hostA 20 10.2.0.2
	pings hostB 20 2001:db8:1::2
	for gw in gw1 gw2; do
		spi=$(spis_of $gw)
		expect_equal "from $gw: packets in xesp" "$(packets_of "$me" "$spi")" 40
		expect_equal "from $gw: packets in the far kernel" "$(kernel_packets "$peer" "$spi")" 40
	done
	say "xesp on $me: 40 packets each way in UDP"
	load moved hostA 10.2.0.2 200 0.05
	pause 3
	nat_maps_to 32000
	load_end moved
	until_ok 20 towards_port 32000
	[ "$me" = gw1 ] || until_ok 10 told "$me" ".event == \"peer-moved\" and .to == \"$NAT port 32000\""
	[ "$me" = gw1 ] || expect_equal "times it was told" "$(jq -s '[.[] | select(.event == "peer-moved")] | length' "$TMP/$me-events.json")" 1
	pings hostB 20 10.1.0.2
	stop_capture wire w2
	! grep -q ' 0 received' "$TMP/load-moved.log" || die "nothing was answered"
	wire unique "$CAPTURE" >"$TMP/unique" || die "$(head -n 5 "$TMP/unique")"
	expect_equal "the SA is the same" "$(spis_of gw2)" "$spi"
	say "xesp on $me: the NAT's mapping changed under traffic, $(load_lost moved) of 200 pings lost"
	nat_maps_to 31000
	ike_stop gw1
	ike_stop gw2
	until_ok 10 no_sas "$me"
	gateway_down "$me"
	forget_state "$me"
}
through gw1
through gw2
