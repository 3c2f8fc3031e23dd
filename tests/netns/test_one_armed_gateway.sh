#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A one-armed gateway: gw1 has one attached interface, with the hosts' network and the wire on it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp

topology_up
# hostA moves to the wire; gw1 has both of its addresses on out0.
run hostA ip link del a0
link hostA a0 wire w3
run wire ip link set w3 master wire0
until_ok 5 wire_forwards w3
addr hostA a0 10.1.0.2/24 10.1.0.3/24 2001:db8:1::2/64 2001:db8:1::3/64
addr gw1 out0 10.1.0.1/24 2001:db8:1::1/64
run hostA ip route add default via 10.1.0.1
run hostA ip -6 route add default via 2001:db8:1::1
know hostA a0 "$(mac gw1 out0)" 10.1.0.1 2001:db8:1::1
know gw1 out0 "$(mac hostA a0)" 10.1.0.2 10.1.0.3 2001:db8:1::2 2001:db8:1::3

INNER=out0
gateway_up gw1
INNER=in0
gateway_up gw2

capture wire w2
pings hostA 20 10.2.0.2
pings hostB 20 10.1.0.2
pings hostA 20 2001:db8:2::2
pings hostA 20 10.2.0.3 -I 10.1.0.3
head -c 1000000 /dev/urandom >"$TMP/file"
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
stop_capture wire w2
wire only-esp "$CAPTURE" || die "not only ESP towards gw2"
wire unique "$CAPTURE" >"$TMP/unique" || die "$(cat "$TMP/unique")"
say "ping and TCP through one interface"
