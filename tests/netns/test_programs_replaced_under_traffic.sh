#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The loader beside running daemons: replacing the programs under traffic loses no packet and keeps
# sockets, SAs and counters; detach leaves the interfaces as they were although both daemons were
# killed, and --purge leaves no pin.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
link_state() {
	run gw1 ip -j link show |
		jq -S 'map(select(.ifname == "in0" or .ifname == "out0") | {ifname, mtu, xdp, flags})'
}
programs() { link_state | jq '[.[].xdp.prog.id]'; }
clean=$(link_state)
gateways_up
old=$(programs)

start ping.log hostA ping -n -O -i 0.005 10.2.0.2
answers() { grep -c 'bytes from' "$TMP/ping.log" || true; }
until_at_least 40 answers
packets=$(sa_field gw1 t4-out .packets)
xesp gw1 attach --replace --inner in0 --outer out0 >"$TMP/replace.log" 2>&1 ||
	die "replace: $(cat "$TMP/replace.log")"
until_at_least $(($(answers) + 100)) answers
stop "$STARTED" INT
[ "$(programs)" != "$old" ] || die "the programs were not replaced: $old"
[ "$(sa_field gw1 t4-out .packets)" -ge $((packets + 100)) ] || die "the SA lost its counter"
lost=$(sed -nE 's/^([0-9]+) packets transmitted, ([0-9]+) received.*/\1 \2/p' "$TMP/ping.log" |
	awk '{ print $1 - $2 }')
[ "${lost:-9}" -le 1 ] || die "replacing the programs lost $lost packets" # the last is under way

kill_daemon gw1 xespd KILL
kill_daemon gw1 xesp-keyd KILL
xesp gw1 detach --purge >"$TMP/detach.log" 2>&1 || die "detach after kill -9: $(cat "$TMP/detach.log")"
expect_equal "interfaces after kill -9 and detach" "$(link_state)" "$clean"
[ ! -e "$(pins_of gw1)" ] || die "detach --purge left pins"
say "replaced under $(answers) answered pings; detached after kill -9: interfaces as before"
