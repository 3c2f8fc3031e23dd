#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Packets with a right ICV that must not be delivered all the same: inner addresses outside the SA's
# selectors (RFC 4301 section 5.2), wrong padding (RFC 4303 section 2.4), dummies (section 2.6), inner
# packets that contradict themselves. Good ones with unusual padding are delivered.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need "$PYTHON"
peer_needs

topology_up
gateway_up gw2
to_gw2=$(mac gw2 out0)
declare -A expected=()
number=0

wrong() { # wrong <what> <counter>
	number=$((number + 1))
	echo "$1 $number" >&"$PEER"
	expected[$2]=$((${expected[$2]:-0} + 1))
	expect_counter gw2 "$2" "${expected[$2]}"
	say "$t $1: $2"
}
delivered() { wire count "$TMP/hostB-b0.pcap" | jq '.ip // 0'; }
good() { # good <what>: the request and its answer are seen at hostB
	number=$((number + 1))
	echo "$1 $number" >&"$PEER"
	at_host=$((at_host + 2))
	until_equal $at_host delivered
	say "$t $1: delivered"
}

for t in t4 t6; do
	src=10.1.0.2 dst=10.2.0.2
	[ $t = t4 ] || { src=2001:db8:1::2 dst=2001:db8:2::2; }
	number=0 at_host=0
	write_sas "$TMP/sas.json" $t
	exec {PEER}> >(exec nsenter --net="$PATH_OF_NS-wire" "$PYTHON" "$HERE/../peer/esp_peer.py" \
		wrong w2 "$to_gw2" "$TMP/sas.json" $src $dst)
	capture hostB b0
	good good
	wrong selector-source selector-mismatch
	wrong selector-destination selector-mismatch
	wrong padding-octets bad-padding
	wrong padding-longer-than-packet bad-padding
	wrong dummy dummy
	wrong next-header bad-inner
	wrong other-family bad-inner
	wrong cut-inner-header bad-inner
	wrong inner-longer-than-packet bad-inner
	wrong empty bad-inner
	good long-padding
	good traffic-flow-padding
	exec {PEER}>&- # it reads the end and exits
	stop_capture hostB b0
	expect_equal "packets at hostB" "$(wire count "$CAPTURE" | jq .ip)" $at_host
	for why in selector-mismatch bad-padding dummy bad-inner; do
		[ "$(sa_drops gw2 $t-in $why)" -ge 1 ] || die "$t-in does not count $why"
	done
done
