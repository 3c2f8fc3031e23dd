#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# One worker per receive queue: with two queues on every interface two workers share the flows, and
# every packet is answered. On an interface with fewer transmit queues the worker that has none
# there sends by the slow path, and still every packet is answered.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need ethtool

queues() { # queues <count> <ns/if>...
	local n=$1 at; shift
	for at; do run "${at%/*}" ethtool -L "${at#*/}" rx "$n" tx "$n"; done
}

topology_up
queues 2 hostA/a0 gw1/in0 gw1/out0 wire/w1
gateways_up
expect_equal "workers on gw1, the slow path left out" \
	"$(xesp gw1 status --json | jq '[.xespd.workers[] | select(.queue != null)] | length')" 2
expect_equal "queues on in0" \
	"$(xesp gw1 status --json | jq '.xespd.ports[] | select(.interface == "in0") | .queues')" 2

# The host's kernel spreads flows over its transmit queues, and each ends on the queue of its number.
flows() {
	run hostA "$PYTHON" -c '
import socket
for port in range(7000, 7040):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.1.0.2", port))
    s.sendto(b"flow", ("10.2.0.2", 9))
'
}
received() { # received <gateway> <queue>
	xesp "$1" status --json | jq ".xespd.workers[] | select(.queue == $2) | .rx_packets"
}
flows
until_at_least 1 received gw1 0
until_at_least 1 received gw1 1
pings hostA 20 10.2.0.2
pings hostB 20 10.1.0.2
expect_equal "drops on gw1" "$(all_drops gw1)" 0
say "queue 0 received $(received gw1 0), queue 1 received $(received gw1 1), nothing was dropped"

# Now out0 has one queue and in0 two.
kill_daemon gw1 xespd TERM
xesp gw1 detach out0 >/dev/null
queues 1 wire/w1 gw1/out0
xesp gw1 attach --outer out0 >/dev/null
start_xespd gw1
gateway_ready gw1
before=$(sa_field gw2 t4-in .packets)
flows
slow() { xesp gw1 status --json | jq '[.xespd.workers[] | .slow_packets] | add'; }
until_at_least $((before + 40)) sa_field gw2 t4-in .packets
pings hostA 20 10.2.0.2
[ "$(slow)" -gt 0 ] || die "worker 1 has no transmit queue on out0, and sent nothing by the slow path"
expect_equal "drops on gw1" "$(all_drops gw1)" 0
expect_equal "numbers gw2 never saw" "$(sa_field gw2 t4-in .lost)" 0
say "with one queue on out0, $(slow) packets took the slow path and none was lost"
