#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# IPv4 and IPv6 inside IPv4 and IPv6, RFC 4301 section 5.1.2: ping in both directions and TCP with
# the bytes compared. On the wire there is ESP only, each number once, and the counters of the SAs
# at both ends agree with the packets that were captured.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc xxd cmp

readonly MARKER="xesp-in-clear"
topology_up
gateways_up
capture wire w1
head -c 3000000 /dev/urandom >"$TMP/file"
pattern=$(printf %s "$MARKER" | xxd -p)

while read -r name a b; do
	pings hostA 25 "$b" -I "$a" -p "$pattern"
	pings hostB 25 "$a" -I "$b" -p "$pattern"
	transfer hostA "$a" hostB "$b" "$TMP/file"
	transfer hostB "$b" hostA "$a" "$TMP/file"
	say "$name: pings and 3 MB each way"
done <<-END
	v4-in-v4 10.1.0.2 10.2.0.2
	v6-in-v6 2001:db8:1::2 2001:db8:2::2
	v4-in-v6 10.1.0.3 10.2.0.3
	v6-in-v4 2001:db8:1::3 2001:db8:2::3
END

stop_capture wire w1
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
expect_equal "frames with the marker" "$(wire grep "$CAPTURE" "$MARKER")" 0
wire unique "$CAPTURE" >"$TMP/unique" || die "$(cat "$TMP/unique")"

for t in t4 t6; do
	for gw in gw1 gw2; do
		seen=$(wire seqs "$CAPTURE" "spi=${SPI[$t-$gw]}" | wc -l)
		[ "$seen" -gt 1000 ] || die "only $seen packets of $t from $gw on the wire"
		expect_equal "$gw $t-out packets" "$(sa_field "$gw" "$t-out" .packets)" "$seen"
		expect_equal "$(peer_of "$gw") $t-in packets" \
			"$(sa_field "$(peer_of "$gw")" "$t-in" .packets)" "$seen"
		expect_equal "$(peer_of "$gw") $t-in lost" "$(sa_field "$(peer_of "$gw")" "$t-in" .lost)" 0
	done
done
for policy in v4-in-v4 v6-in-v6 v4-in-v6 v6-in-v4; do
	[ "$(policy_field gw1 "$policy" .packets)" -ge 50 ] || die "policy $policy did not count"
done
say "counters of both ends agree with the capture"
