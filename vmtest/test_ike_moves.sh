#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# MOBIKE (RFC 4555): the address of the xesp end changes under traffic, then that of its peer. strongSwan
# moves the SAs, which keep their keys and SPIs; xesp follows. No sequence number is on the wire twice.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

topology_up
kernel_gateway gw1
kernel_gateway gw2
xfrm_config gw1
know gw1 out0 "$(mac gw2 out0)" 192.0.2.12
know gw2 out0 "$(mac gw1 out0)" 192.0.2.11
for gw in gw1 gw2; do # one address each, so that it is clear where they move to
	run $gw ip -6 addr flush dev out0 scope global
	run $gw sh -c 'echo 1 >/proc/sys/net/ipv4/conf/out0/promote_secondaries'
done
mirror_up gw1
# Each end knows the other's first address only; its own is any that it has.
ike_addresses() { printf '    local_addrs = 192.0.2.0/24\n    remote_addrs = %s, %%any\n' "$(outer4 "$(peer_of "$1")")"; }
IKE_MORE="mobike = yes"
ike_start gw1
ike_start gw2
ike_initiate gw1
spi=$(spis_of gw1)
until_ok 10 is_active gw1 "$spi"
pings hostA 20 10.2.0.2

state_towards() { run "$1" ip xfrm state list src "$2" dst "$3" | grep -q 'proto esp'; }
sa_towards() { sa_by_spi gw1 "$spi" | grep -q "$1"; }
moves() { # moves <gateway> <new address>: what a laptop that changes networks does
	run "$1" ip addr add "$2/24" dev out0
	run "$1" ip addr del "$(outer4 "$1")/24" dev out0
	run "$1" ip route replace "$(net4 "$(peer_of "$1")").0/24" via "$3"
}

capture wire w1 200
run hostA ping -q -n -i 0.1 -c 300 -W 1 10.2.0.2 >"$TMP/move.log" 2>&1 &
pinger=$!
PIDS+=("$pinger")
pause 2
moves gw1 192.0.2.11 192.0.2.2
until_ok 20 state_towards gw1 192.0.2.11 192.0.2.2
until_ok 20 state_towards gw2 192.0.2.11 192.0.2.2
until_ok 10 is_active gw1 "$spi"
until_ok 10 run hostA ping -q -c 1 -W 1 10.2.0.2
say "gw1 moved to 192.0.2.11"
outer4() { case $1 in gw1) echo 192.0.2.11 ;; gw2) echo 192.0.2.2 ;; esac; }
moves gw2 192.0.2.12 192.0.2.11
run gw1 ip route replace 10.2.0.0/24 via 192.0.2.12
until_ok 20 state_towards gw2 192.0.2.11 192.0.2.12
until_ok 20 state_towards gw1 192.0.2.11 192.0.2.12
until_ok 10 run hostA ping -q -c 1 -W 1 10.2.0.2
wait $pinger || true
stop_capture wire w1
wire unique "$CAPTURE" >"$TMP/unique" || die "$(head -n 5 "$TMP/unique")"
expect_equal "the SA is the same" "$(run gw1 ip xfrm state list src 192.0.2.11 | sed -n 's/.*spi \(0x[0-9a-f]*\).*/\1/p')" "$spi"
pings hostA 20 10.2.0.2
pings hostB 20 10.1.0.2
say "gw2 moved to 192.0.2.12; over both moves: $(grep transmitted "$TMP/move.log")"
