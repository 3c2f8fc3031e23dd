#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Remote access: strongSwan on gw1 gives virtual addresses to clients, each with policies and SAs of its own, which xesp
# serves. Three are real (charon and the kernel's ESP, in namespaces of their own); the others up to 1 000 are put
# into the kernel's tables as strongSwan would. They come and go, and the real ones lose nothing.

# shellcheck disable=SC2034 # for topology.sh
MORE_NAMESPACES=(c2 c3)
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

CLIENTS=(gw2 c2 c3)
OTHERS=997
outer4() { case $1 in gw1) echo 192.0.2.1 ;; gw2) echo 192.0.2.2 ;; c2) echo 192.0.2.12 ;; c3) echo 192.0.2.13 ;; esac; }
topology_up
kernel_gateway gw1
for c in c2 c3; do
	link $c out0 wire "w$c"
	run wire ip link set "w$c" master wire0
	addr $c out0 "$(outer4 $c)/24"
	know gw1 out0 "$(mac $c out0)" "$(outer4 $c)"
	know $c out0 "$(mac gw1 out0)" 192.0.2.1
	until_ok 5 wire_forwards "w$c"
done
for c in "${CLIENTS[@]}"; do run $c ip route replace 10.1.0.0/24 via 192.0.2.1; done
# Where the others are supposed to be: their packets are seen on the wire, and nobody answers.
run gw1 ip route add 198.18.0.0/16 via 192.0.2.2

IKE_PSK=$(xxd -p -c 64 -l 24 /dev/urandom)
ike_config() { # ike_config <gw1 or client>
	local dir="$TMP/$1-swanctl"
	mkdir -p "$dir"
	{
		printf 'connections {\n  ra {\n    version = 2\n    proposals = %s\n    local_addrs = %s\n' "$IKE_PROPOSALS" "$(outer4 "$1")"
		if [ "$1" = gw1 ]; then
			printf '    remote_addrs = %%any\n    pools = virtual\n'
		else
			printf '    remote_addrs = 192.0.2.1\n    vips = 0.0.0.0\n'
		fi
		printf '    local {\n      auth = psk\n      id = %s.test\n    }\n' "$1"
		[ "$1" = gw1 ] && printf '    remote {\n      auth = psk\n    }\n' || printf '    remote {\n      auth = psk\n      id = gw1.test\n    }\n'
		printf '    children {\n      net {\n        esp_proposals = %s\n' "$ESP_PROPOSALS"
		[ "$1" = gw1 ] && printf '        local_ts = 10.1.0.0/24\n' || printf '        remote_ts = 10.1.0.0/24\n'
		printf '      }\n    }\n  }\n}\npools {\n  virtual {\n    addrs = 10.9.0.0/22\n  }\n}\nsecrets {\n  ike-all {\n    secret = %s\n  }\n}\n' "$IKE_PSK"
	} >"$dir/swanctl.conf"
}

xfrm_config gw1
mirror_up gw1
ike_start gw1
for c in "${CLIENTS[@]}"; do
	ike_start $c
	ike_initiate $c
done
virtual() { run "$1" ip -4 -j addr show | jq -r '[.[].addr_info[].local | select(startswith("10.9."))][0]'; } # virtual <client>
sas() { xesp gw1 sa --json | jq '.sas | map(select(.state == "active")) | length'; }
until_equal 6 sas
for c in "${CLIENTS[@]}"; do
	run $c ip route replace 10.1.0.0/24 via 192.0.2.1 src "$(virtual $c)"
	pings $c 20 10.1.0.2
	pings hostA 20 "$(virtual $c)"
done
say "three clients with addresses of their own: $(for c in "${CLIENTS[@]}"; do virtual $c; done | tr '\n' ' ')"

# A client's two states and three policies, as strongSwan installs them: client add|delete <number>
client() {
	local n=$2 peer vip spi tail key
	peer=198.18.$((n / 250)).$((n % 250 + 1)) vip=10.9.$((n / 250 + 1)).$((n % 250 + 1)) spi=$((0xa0000 + n * 2))
	if [ "$1" = add ]; then
		tail="reqid $((1000 + n)) mode tunnel flag esn flag af-unspec replay-window 32 aead rfc4106(gcm(aes))"
		key=$(printf '0x%08x%s' "$n" "$KEY_TAIL")
		echo "xfrm state add src $peer dst 192.0.2.1 proto esp spi $spi $tail $key 128"
		echo "xfrm state add src 192.0.2.1 dst $peer proto esp spi $((spi + 1)) $tail ${key/0x0/0x8} 128"
	else
		echo "xfrm state delete src $peer dst 192.0.2.1 proto esp spi $spi"
		echo "xfrm state delete src 192.0.2.1 dst $peer proto esp spi $((spi + 1))"
	fi
	local dir
	for dir in out in fwd; do
		local ends="src 10.1.0.0/24 dst $vip/32" tmpl="src 192.0.2.1 dst $peer"
		[ $dir = out ] || ends="src $vip/32 dst 10.1.0.0/24" tmpl="src $peer dst 192.0.2.1"
		[ "$1" = add ] || { echo "xfrm policy delete $ends dir $dir"; continue; }
		echo "xfrm policy add $ends dir $dir priority 371327 tmpl $tmpl proto esp reqid $((1000 + n)) mode tunnel"
	done
}
KEY_TAIL=$(xxd -p -c 64 -l 16 /dev/urandom)
clients() { # clients add|delete <from> <to>
	local n
	for ((n = $2; n <= $3; n++)); do client "$1" "$n"; done >"$TMP/batch"
	run gw1 ip -batch "$TMP/batch" >"$TMP/batch.log" 2>&1 || die "ip -batch: $(head -n 2 "$TMP/batch.log")"
}

for c in "${CLIENTS[@]}"; do
	load "$c" $c 10.1.0.2 600 0.1
done
clients add 1 $OTHERS
until_at_least $((6 + 2 * OTHERS)) sas
say "1 000 clients: $(sas) SAs active, $(xesp gw1 policy --json | jq '.policies | length') policies"
capture wire w1 200
run hostA ping -q -c 3 -i 0.1 -W 0.1 10.9.1.78 >/dev/null && die "answered by nobody"
stop_capture wire w1
expect_equal "packets to client 77 on the wire" "$(wire seqs "$CAPTURE" "spi=$((0xa0000 + 77 * 2 + 1))" | wc -l)" 3
clients delete 1 300
until_equal $((6 + 2 * (OTHERS - 300))) sas
clients add 1 100
until_equal $((6 + 2 * (OTHERS - 200))) sas
for c in "${CLIENTS[@]}"; do load_end "$c"; done
for c in "${CLIENTS[@]}"; do
	expect_equal "pings of $c" "$(sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p' "$TMP/load-$c.log")" 600
	expect_equal "pings of $c lost while others came and went" "$(load_lost "$c")" 0
done
say "400 others came and went beside 1 800 pings of the real ones, none lost"
swan c3 --terminate --ike ra >"$TMP/terminate.log" 2>&1 || die "$(tail -n 3 "$TMP/terminate.log")"
until_equal $((4 + 2 * (OTHERS - 200))) sas
pings gw2 20 10.1.0.2
say "a client left; the others go on"
