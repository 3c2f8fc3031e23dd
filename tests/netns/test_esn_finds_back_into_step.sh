#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4303 appendix A3: more than 2^32 numbers of gw1 were never seen by gw2, which then takes each packet for forged, finds
# back into step by itself, and says so. The numbers get there by leases lost with the memory in power losses.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

in_step() { grep -q 'in step again' "$TMP/gw2-xespd.log"; }
shoot() { run hostA ping -q -n -c 40 -i 0.01 -W 0.1 10.2.0.2 >/dev/null 2>&1 || true; }

topology_up
LEASE=4294967290
gateways_up
pings hostA 10 10.2.0.2
for _ in 1 2 3; do
	kill_daemon gw1 xespd KILL
	kill_daemon gw1 xesp-keyd KILL
	xesp gw1 detach --purge >/dev/null
	attach gw1
	start_keyd gw1
	start_xespd gw1
	gateway_ready gw1
done
next=$(sa_field gw1 t4-out .sequence.next)
[ "$next" -gt $((2 ** 33)) ] || die "gw1's next number is $next"
expect_equal "highest at gw2" "$(sa_field gw2 t4-in .sequence.highest)" 10

shoot
in_step && die "in step after 40 packets"
# Some have a lower half that was seen before: those are taken for replays.
[ "$(sa_drops gw2 t4-in bad-icv)" -ge 20 ] || die "$(sa_drops gw2 t4-in bad-icv) of 40 packets were bad-icv"
deadline=$((SECONDS + 20 * PATIENCE))
until in_step; do
	[ "$SECONDS" -lt "$deadline" ] || die "never in step again: $(xesp gw2 counters --json | jq -c .drops)"
	shoot
done
refused=$(sa_drops gw2 t4-in bad-icv)
pings hostA 50 10.2.0.2
pings hostB 50 10.1.0.2
expect_equal "highest at gw2" "$(sa_field gw2 t4-in .sequence.highest)" $(($(sa_field gw1 t4-out .sequence.next) - 1))
expect_equal "refused since" "$(sa_drops gw2 t4-in bad-icv)" "$refused"
say "out of step by $((next >> 32)) * 2^32 numbers: $refused packets refused, then in step; $(grep -o 'SA with SPI.*' "$TMP/gw2-xespd.log")"
