#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The ground under the other tests: a capture holds every frame that crossed the wire, cleartext in
# it is found, and a packet sent twice is noticed. Kernel forwarding stands in for the gateways, so
# all three checks of "nothing in clear" are seen to fail here.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
need nc xxd cmp

readonly MARKER="xesp-in-clear"
topology_up
kernel_routes gw1 10.2.0.0/24 192.0.2.2
kernel_routes gw2 10.1.0.0/24 192.0.2.1

capture wire w1
before=$(frames_over wire w1)
pings hostA 20 10.2.0.2 -p "$(printf %s "$MARKER" | xxd -p)"
head -c 4000000 /dev/urandom >"$TMP/file"
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
crossed=$(($(frames_over wire w1) - before))
stop_capture wire w1

captured=$(wire count "$CAPTURE" | jq .frames)
[ "$captured" -ge "$crossed" ] || die "$crossed frames crossed the wire, $captured were captured"
wire only-esp "$CAPTURE" >/dev/null && die "cleartext in the capture was taken for ESP"
marked=$(wire grep "$CAPTURE" "$MARKER")
expect_marked=$((20 * 2))
[ "$marked" -eq "$expect_marked" ] || die "$expect_marked packets hold the marker, $marked were found"
wire unique "$CAPTURE" >/dev/null && die "a capture without any ESP passed for one without a repeat"
say "$crossed frames crossed, $captured captured, $marked with the marker found"
