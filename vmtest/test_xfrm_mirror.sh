#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `source: xfrm`: SAs and policies that `ip xfrm` puts into the kernel are served by xesp, unchanged. gw1
# is xesp beside the kernel's tables, gw2 the kernel alone. Traffic goes through xesp's SAs and is counted
# in the kernel's; a replaced SA is followed; what cannot be served is listed and stays with the kernel.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/xfrm.sh"

xfrm_gateways
gateway_up gw1
pings hostA 5 10.2.0.2
expect_served gw1 0x1001 5
expect_served gw1 0x2001 5
say "5 pings through xesp under SAs that ip xfrm made"
pings hostA 5 2001:db8:2::2
pings hostB 5 10.1.0.2
say "IPv6 inside, and from the other side"

# What is told of a packet is what the kernel's tables come to.
explained() { xesp gw1 explain --json "$@" | jq -r '.verdict + " " + (.reason // .xespd.sa.spi // "")'; }
expect_equal "explain, protected" "$(explained 10.1.0.2 10.2.0.2)" "protect 0x00001001"
expect_equal "explain, no policy of it" "$(xesp gw1 explain --json 10.1.0.2 10.99.0.2 | jq -r '[.policy, .verdict] | tostring')" \
	'[null,"kernel"]'

# The kernel's own counters of the SA follow, and its numbers are past the lease.
kernel_packets() { run gw1 ip -s xfrm state get src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 | sed -n 's/.*(bytes), \([0-9]*\)(packets).*/\1/p' | head -1; }
until_at_least 15 kernel_packets
oseq() { run gw1 ip -s xfrm state get src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 | sed -n 's/.*oseq 0x\([0-9a-f]*\).*/\1/p' | head -1; }
[ "$((16#$(oseq)))" -gt 65536 ] || die "the kernel's counter stands at $(oseq), not past the lease"
say "the kernel knows of them: 15 packets, oseq 0x$(oseq)"

# A neighbour that is not known costs nothing, though the packet goes by the kernel, which has policies.
forget_neighbours gw1
pings hostB 1 10.1.0.2
pings hostB 1 2001:db8:1::2
neighbours_known
say "unknown neighbours: the kernel forwards what xesp decapsulated"

# Policies that nobody decided between are named, once.
run gw1 ip xfrm policy add src 10.77.0.0/16 dst 10.78.1.0/24 dir out priority 9 \
	tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 78 mode tunnel
undecided() { xesp gw1 status | grep -q 'overlap and have one priority.*10.78'; }
run gw1 ip xfrm policy add src 10.77.0.0/16 dst 10.78.0.0/16 dir out priority 9 \
	tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 79 mode tunnel
until_ok 5 undecided
expect_equal "times it was said" "$(grep -c 'overlap and have one priority' "$TMP/gw1-xesp-keyd.log")" 1
say "policies that overlap without a priority between them are named"

# Rekeyed, make before break, under traffic: no ping is lost.
run hostA ping -q -n -i 0.05 -c 100 -W 2 10.2.0.2 >"$TMP/rekey.log" 2>&1 &
PIDS+=($!)
pinger=$!
for n in 2 3 4 5; do
	pause 0.7
	xfrm_pair "0x100$n" "0x200$n" "$n"
	pause 0.3
	xfrm_delete "0x100$((n - 1))" "0x200$((n - 1))"
done
wait $pinger || true
grep -q ' 0% packet loss' "$TMP/rekey.log" || die "rekeying: $(grep transmitted "$TMP/rekey.log")"
until_ok 5 is_active gw1 0x1005
say "four rekeys under traffic: $(grep transmitted "$TMP/rekey.log")"

# Four inbound SAs of one child beside the present one: the peer may send under any, and does.
for n in 6 7 8 9; do
	xfrm_pair "0x100$n" "0x200$n" "$n"
	until_ok 5 is_active gw1 "0x100$n" # the newest sends, also of one second
done
for n in 9 8 7 6; do
	until_ok 5 is_active gw1 "0x200$n"
	pings hostB 5 10.1.0.2
	expect_served gw1 "0x200$n" 5
	# shellcheck disable=SC2046 # words
	run gw2 ip xfrm state delete $(SA_OF gw2 "0x200$n") # now it sends under the one before
done
expect_equal "inbound SAs" "$(xesp gw1 sa --json | jq '[.sas[] | select(.direction == "in" and .state == "active")] | length')" 5
say "five inbound SAs at once, four of them in turn by the peer's choice"
for n in 6 7 8 9; do
	# shellcheck disable=SC2046 # words
	for gw in gw1 gw2; do run $gw ip xfrm state delete $(SA_OF gw1 "0x100$n"); done
	# shellcheck disable=SC2046 # words
	run gw1 ip xfrm state delete $(SA_OF gw2 "0x200$n")
done
until_ok 5 is_active gw1 0x1005
pings hostA 5 10.2.0.2

# What we cannot serve is said, and is the kernel's.
run gw1 ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x3001 mode tunnel reqid 77 if_id 5 \
	aead 'rfc4106(gcm(aes))' "0x$(xxd -p -c 64 -l 20 /dev/urandom)" 128
until_ok 5 sh -c "XESP=1; $(printf '%q ' "$XESP_BUILD/xesp") --pins $(pins_of gw1) --run $TMP/gw1-run sa --unserved | grep -q 'SA 0x00003001 .*if_id 5'"
pings hostA 3 10.2.0.2
say "an SA with an if_id is listed as the kernel's"

# From the kernel to xesp and back: a packet that one has received the other one refuses. keyd sleeps while the kernel has 0x2006.
repeat() { run wire "$PYTHON" "$HERE/wire.py" inject w1 "$CAPTURE" "spi=$1" last=20 | grep -qx 20 || die "nothing to repeat of $1"; }
kernel_received() { # kernel_received <spi>: packets that the kernel counts, and was told of
	run gw1 ip -s xfrm state get src 192.0.2.2 dst 192.0.2.1 proto esp spi "$1" | sed -n 's/.*(bytes), \([0-9]*\)(packets).*/\1/p' | head -1
}
capture wire w1 200
kill -STOP "$(pid_of gw1 xesp-keyd)"
xfrm_pair 0x1006 0x2006 6
pings hostB 20 10.1.0.2
expect_equal "packets that the kernel received" "$(kernel_received 0x2006)" 20
kill -CONT "$(pid_of gw1 xesp-keyd)"
until_ok 5 is_active gw1 0x2006
stop_capture wire w1
repeat 0x2006
refused() { sa_by_spi gw1 "$1" | jq '[.drops[]] | add // 0'; }
until_at_least 20 refused 0x2006
expect_equal "packets that xesp received again" "$(packets_of gw1 0x2006)" 0
capture wire w1 200
pings hostB 20 10.1.0.2
# shellcheck disable=SC2046 # words
run gw1 ip xfrm state update $(SA_OF gw2 0x2006) mode tunnel reqid 1 flag esn af-unspec replay-window 64 \
	aead 'rfc4106(gcm(aes))' "0x$(xxd -p -c 64 -l 20 /dev/urandom)" 128 output-mark 1 # the kernel keeps the key it has
unserved() { xesp gw1 sa --unserved | grep -q "$1"; }
until_ok 5 unserved 'SA 0x00002006 .*output-mark'
stop_capture wire w1
was=$(kernel_received 0x2006)
repeat 0x2006
pings hostB 5 10.1.0.2
expect_equal "packets that the kernel received, 5 new ones and 20 again" "$(($(kernel_received 0x2006) - was))" 5
say "an SA went from the kernel to xesp and back: what one had received the other one refused"
xfrm_delete 0x1006 0x2006

# An SA that goes is gone.
xfrm_delete 0x1005 0x2005
until_ok 5 no_sas gw1
expect_equal "explain, without an SA" "$(explained 10.1.0.2 10.2.0.2)" "kernel "
say "deleted SAs are gone"

# What the kernel asks and tells about what it serves. The peer of an unserved SA sends from another port; the answer finds no SA.
start natt.log gw1 "$PYTHON" -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 4500))
s.setsockopt(socket.IPPROTO_UDP, 100, 2) # UDP_ENCAP, UDP_ENCAP_ESPINUDP
time.sleep(600)'
bound() { [ -n "$(run gw1 ss -Hlun "sport = :4500")" ]; }
until_ok 5 bound
key=0x$(xxd -p -c 64 -l 20 /dev/urandom)
for at in "gw1 4500 output-mark 1" "gw2 4501"; do
	read -r gw port more <<<"$at"
	# shellcheck disable=SC2046,SC2086 # words
	run $gw ip xfrm state add $(SA_OF gw2 0x2007) mode tunnel reqid 1 flag esn af-unspec replay-window 64 \
		aead 'rfc4106(gcm(aes))' "$key" 128 encap espinudp $port 4500 0.0.0.0 $more
done
until_ok 5 unserved 'SA 0x00002007 .*output-mark'
status_has() { xesp gw1 status --json | jq -e "any(.keyd.$1[]; $2)"; }
run hostB ping -q -n -c 1 -W 1 10.1.0.2 >"$TMP/lonely.log" || true # nobody negotiates the SA for the answer
until_ok 5 status_has moved '.remote == "192.0.2.2 port 4500" and .peer == "192.0.2.2 port 4501"'
until_ok 5 status_has acquires '.by == "kernel" and .selector.local == "10.1.0.2" and .selector.remote == "10.2.0.2"'
say "the kernel saw a peer at another port, and wants an SA: both are shown"
