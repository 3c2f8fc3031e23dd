#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Ordered policies (RFC 4301 section 4.4.1): protect, bypass and discard by prefix, protocol and
# port, the first match wins, and what matches none falls to the default. Each verdict is seen on
# the wire, at the host and in the policy's counter.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc

topology_up
# Host 3 of each side speaks in clear (bypass), TCP 7001 is discarded, TCP 7000-7010 and ICMP are
# protected; all else, TCP 8000 among it, has no policy.
policies() {
	local me=$1 peer ports other; peer=$(peer_of "$1")
	ports=remote_ports other=local_ports
	[ "$me" = gw1 ] || { ports=local_ports; other=remote_ports; }
	policy in-clear bypass local "$(net4 "$me").3/32" remote "$(net4 "$peer").3/32"
	policy not-7001 discard local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" protocol tcp \
		$ports 7001
	policy tcp-7000 protect tunnel t4 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" \
		protocol tcp $ports 7000-7010
	policy back-7020 protect tunnel t6 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" \
		protocol tcp $other 7020
	policy icmp protect tunnel t4 local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" \
		protocol icmp
}
gateways_up
kernel_routes gw1 10.2.0.3/32 192.0.2.2
kernel_routes gw2 10.1.0.3/32 192.0.2.1

serve() { start "serve-$1.log" hostB nc -l -k "$1"; until_ok 5 listening hostB "$1"; }
connects() { run hostA timeout --foreground 2 nc -z -w 1 "$@"; }
for port in 7000 7001 7010 8000; do serve $port; done

# Protected: ESP only.
capture wire w1
connects 10.2.0.2 7000 || die "a protected port does not connect"
connects 10.2.0.2 7010 || die "the last port of a range does not connect"
pings hostA 5 10.2.0.2
stop_capture wire w1
wire only-esp "$CAPTURE" || die "protected traffic in clear"
[ "$(policy_field gw1 tcp-7000 .packets)" -gt 0 ] || die "policy tcp-7000 did not count"
expect_equal "policy icmp" "$(policy_field gw1 icmp .packets)" 5

# Discarded and without a policy: nothing at all on the wire.
capture wire w1
connects 10.2.0.2 7001 && die "a discarded port connects"
connects 10.2.0.2 8000 && die "a port without a policy connects"
run hostA ping -q -c 3 -i 0.01 -W 0.2 2001:db8:2::2 >/dev/null && die "no policy, but answered"
stop_capture wire w1
expect_equal "ESP for discarded packets" "$(wire count "$CAPTURE" | jq '.esp // 0')" 0
wire only-esp "$CAPTURE" || die "discarded traffic in clear"
[ "$(counter gw1 discard)" -ge 1 ] || die "discard was not counted"
expect_equal "discard of the policy" "$(policy_field gw1 not-7001 '.drops.discard')" "$(counter gw1 discard)"
[ "$(counter gw1 no-policy)" -ge 4 ] || die "no-policy was not counted"

# Bypass: in clear, and counted as such.
capture wire w1
pings hostA 5 10.2.0.3 -I 10.1.0.3
stop_capture wire w1
expect_equal "packets in clear" "$(wire count "$CAPTURE" | jq '.ip // 0')" 10
[ "$(policy_field gw1 in-clear .packets)" -ge 5 ] || die "policy in-clear did not count"
say "protect, discard, bypass and default as configured"

# The same with bypass as the default: what has no policy passes in clear, what has one does not.
gateway_down gw1
rm "$TMP/gw1.yaml"
DEFAULT=bypass
gateway_up gw1
kernel_routes gw1 10.2.0.0/24 192.0.2.2
capture wire w1
run hostA timeout --foreground 2 nc -z -w 1 10.2.0.2 8000 && die "gw2 has no policy for this port"
connects 10.2.0.2 7000 || die "a protected port does not connect"
stop_capture wire w1
[ "$(wire count "$CAPTURE" | jq '.ip // 0')" -ge 1 ] || die "default bypass did not pass the packet"
[ "$(wire count "$CAPTURE" | jq '.esp // 0')" -ge 4 ] || die "default bypass took precedence"
