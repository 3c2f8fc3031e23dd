#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Interfaces are detached, attached, removed and made again while xespd runs: what is attached is
# served without a restart, protected traffic never goes around, and at the end xespd accounts for
# every frame of its memory.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

ports() { xesp gw1 status --json | jq '.xespd.ports | length'; }
xespd_said() { grep -q "$1" "$TMP/gw1-xespd.log"; }

topology_up
gateways_up
pings hostA 10 10.2.0.2
worker=$(pid_of gw1 xespd)

# The first interface is the one whose socket registered the memory: it goes first.
for _ in 1 2 3; do
	for side in inner:in0 outer:out0; do
		xesp gw1 detach "${side#*:}" >/dev/null
		kill -HUP "$worker"
		until_equal 1 ports
		xesp gw1 attach "--${side%:*}" "${side#*:}" >/dev/null
		kill -HUP "$worker"
		until_equal 2 ports
		pings hostA 10 10.2.0.2
		pings hostB 10 10.1.0.2
	done
done
say "detached and attached three times each, under the same xespd"

# The interface itself goes: xespd notices, and serves its successor.
run gw1 ip link del in0
until_ok 10 xespd_said 'in0 is gone'
until_equal 1 ports
link hostA a0 gw1 in0
addr hostA a0 10.1.0.2/24
run hostA ip route add default via 10.1.0.1
addr gw1 in0 10.1.0.1/24
know hostA a0 "$(mac gw1 in0)" 10.1.0.1
know gw1 in0 "$(mac hostA a0)" 10.1.0.2
xesp gw1 attach --inner in0 >/dev/null
kill -HUP "$worker"
until_equal 2 ports
pings hostA 10 10.2.0.2
say "in0 was removed and made again"

expect_equal "xespd's process" "$(pid_of gw1 xespd)" "$worker"
kill -TERM "$worker"
status=0
wait "$worker" || status=$?
expect_equal "exit status of xespd (1: frames unaccounted for)" "$status" 0
