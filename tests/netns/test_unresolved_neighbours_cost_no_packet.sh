#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The first packet to a neighbour that nobody has resolved yet arrives: the slow path hands it to the
# kernel, which asks; afterwards the fast path knows the neighbour. Also when a neighbour changes its
# MAC address under way.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
for ns in gw1 gw2 hostA hostB; do forget_neighbours "$ns"; done
gateways_up
for gw in gw1 gw2; do forget_neighbours $gw; done

pings hostA 20 10.2.0.2
pings hostA 20 2001:db8:2::2
pings hostA 20 10.2.0.3 -I 10.1.0.3
slow() { xesp "$1" counters --json | jq .packets.slow; }
[ "$(slow gw2)" -ge 1 ] || die "no packet took the slow path though no neighbour was known"

# From now on the fast path.
before=$(slow gw2)
pings hostA 50 10.2.0.2
after=$(slow gw2)
[ $((after - before)) -le 2 ] || die "$((after - before)) of 50 packets still took the slow path"

# hostB gets another network card.
run hostB ip link set b0 down
run hostB ip link set b0 address 02:00:00:00:0b:0b
run hostB ip link set b0 up
run hostB ip route replace default via 10.2.0.1
run gw2 ip neigh flush dev in0
until_ok 10 run hostA ping -q -c 1 -W 1 10.2.0.2
pings hostA 20 10.2.0.2
say "unresolved and changed neighbours cost no packet"
