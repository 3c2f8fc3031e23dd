#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4301 section 5.1: traffic that policy protects never leaves in clear. Kill the worker under
# traffic: the wire must fall silent, and each packet must be found again in one counter. The kernel
# would forward all of it, if only it saw it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need xxd

readonly MARKER="xesp-in-clear"
topology_up
gateways_up
kernel_routes gw1 10.2.0.0/24 192.0.2.2
kernel_routes gw1 2001:db8:2::/64 2001:db8:ffff::2
pattern=$(printf %s "$MARKER" | xxd -p)
pings hostA 5 10.2.0.2
pings hostA 5 2001:db8:2::2

capture wire w1
kill_daemon gw1 xespd KILL
run hostA ping -q -c 30 -i 0.01 -W 0.2 -p "$pattern" 10.2.0.2 >/dev/null &&
	die "ping was answered without a worker"
run hostA ping -q -c 30 -i 0.01 -W 0.2 -p "$pattern" 2001:db8:2::2 >/dev/null &&
	die "ping was answered without a worker"
# The other way: ESP that arrives where no worker is.
run hostB ping -q -c 30 -i 0.01 -W 0.2 -p "$pattern" 10.1.0.2 >/dev/null &&
	die "ping was answered without a worker"
stop_capture wire w1

wire only-esp "$CAPTURE" || die "not only ESP on the wire"
expect_equal "frames with the marker" "$(wire grep "$CAPTURE" "$MARKER")" 0
expect_equal "ESP from gw1" "$(wire seqs "$CAPTURE" "spi=${SPI[t4-gw1]}" | wc -l)" 0
expect_counter gw1 no-worker 90

# Neither does it leak when keyd is gone too.
kill_daemon gw1 xesp-keyd KILL
capture wire w1
run hostA ping -q -c 10 -i 0.01 -W 0.2 -p "$pattern" 10.2.0.2 >/dev/null &&
	die "ping was answered without daemons"
stop_capture wire w1
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
expect_equal "frames with the marker" "$(wire grep "$CAPTURE" "$MARKER")" 0
expect_counter gw1 no-worker 100
say "wire silent, 100 packets counted"
