#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Outer fragments of ESP are put together in bounded memory and for a bounded time: fragments whose rest
# never comes hold no more than the kernel's limit and are given up after its timeout, which `xesp status`
# shows; overlapping fragments are refused as a whole (RFC 5722); meanwhile whole packets pass, and
# fragmented ones again afterwards.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

LIMIT=262144
topology_up
gateways_up
run gw2 sh -c "echo 2 >/proc/sys/net/ipv4/ipfrag_time; echo 2 >/proc/sys/net/ipv6/ip6frag_time
	for f in ipv4/ipfrag ipv6/ip6frag; do
		for t in low high; do echo $LIMIT >/proc/sys/net/\${f}_\${t}_thresh; done
	done"
hold_requests
reassembly() { xesp gw2 status --json | jq ".reassembly.$1"; } # reassembly ipv4.failed

for family in 4 6; do
	t=t$family
	# Overlapping: 256 octets, then 256 that begin 8 before the end of the first.
	fragment "spi=${SPI[$t-gw1]}" first=1 size=256 overlap=8
	until_at_least 1 reassembly ipv$family.failed
	expect_equal "packets out of overlapping fragments" "$(sa_field gw2 $t-in .packets)" 0

	# A flood of first fragments, each of another datagram.
	failed=$(reassembly ipv$family.failed)
	fragment "spi=${SPI[$t-gw1]}" first=1 size=256 only=1 datagrams=3000
	memory=$(reassembly ipv$family.memory_bytes)
	[ "$memory" -le $((LIMIT + 8192)) ] || die "fragments hold $memory octets, the limit is $LIMIT"
	[ "$memory" -gt 0 ] || die "no fragment is held"
	# Time: two seconds, and the kernel's timer.
	deadline=$((SECONDS + 10))
	until [ "$(reassembly ipv$family.memory_bytes)" = 0 ]; do
		[ "$SECONDS" -lt "$deadline" ] || die "fragments are held for more than 10 s: $(reassembly ipv$family)"
		pause 0.2
	done
	[ "$(reassembly ipv$family.failed)" -gt "$failed" ] || die "what was given up is not counted"
	fragment "spi=${SPI[$t-gw1]}" size=256 last=4
	until_equal 4 sa_field gw2 $t-in .packets
	say "IPv$family: $memory octets of $LIMIT at most, given up after 2 s; then as before"
done
xesp gw2 status | grep -q "^fragments  of IPv4: the kernel gave up" || die "xesp status says nothing of it"
wire_mend
pings hostA 5 10.2.0.2
