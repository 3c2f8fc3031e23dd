#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Traffic flow confidentiality, RFC 4303 sections 2.6 and 2.7: padded to the path's MTU every ESP packet has
# one length, padded to a size none is shorter; dummies leave at their rate while nobody speaks, have next
# header 59 for scapy and cryptography too, and the peer absorbs every one and delivers none.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/topology.sh"
. "$(dirname "$0")/../netns/gateway.sh"
. "$(dirname "$0")/peer.sh"
need "$PYTHON"
peer_needs

COVER4='tfc: mtu' COVER6='tfc: 600'
tunnel_keys() { # tunnel_keys <gateway> <tunnel>
	[ "$1" = gw2 ] || if [ "$2" = t4 ]; then printf '    %s\n' "$COVER4"; else printf '    %s\n' "$COVER6"; fi
}

topology_up
gateways_up
conversation() {
	local size
	for size in 8 56 300 700 1200 1400; do
		pings hostA 2 10.2.0.2 -s $size
		pings hostA 2 2001:db8:2::2 -s $((size < 1300 ? size : 1300))
	done
}
lengths() { wire lengths "$CAPTURE" "spi=${SPI[$1]}" | sort -nu | tr '\n' ' '; }

capture wire w1
capture hostB b0
conversation
stop_capture wire w1
mv "$CAPTURE" "$TMP/padded.pcap"
CAPTURE="$TMP/padded.pcap"
expect_equal "lengths, padded to the MTU" "$(lengths t4-gw1)" "1500 "
shortest=$(lengths t6-gw1 | cut -d' ' -f1)
# 40 outer, 8 + 8 ESP and IV, 600 padded with the trailer to 604, 16 of ICV.
expect_equal "the shortest, padded to 600" "$shortest" 676
[ "$(lengths t4-gw2 | wc -w)" -ge 5 ] || die "gw2 was not told to pad, and does"
stop_capture hostB b0
clear=$CAPTURE
write_sas "$TMP/sas.json" t4 t6
esp_peer cover "$TMP/padded.pcap" "$TMP/sas.json" >"$TMP/cover.json" || die "$(cat "$TMP/cover.json")"
spi4=$(printf '0x%08x' "${SPI[t4-gw1]}") spi6=$(printf '0x%08x' "${SPI[t6-gw1]}")
expect_equal "padded packets, t4" "$(jq ".[\"$spi4\"].padded" "$TMP/cover.json")" 12
[ "$(jq ".[\"$spi6\"].padded" "$TMP/cover.json")" -ge 6 ] || die "t6: $(cat "$TMP/cover.json")"
expect_equal "dummies so far" "$(jq "[.[].dummies] | add" "$TMP/cover.json")" 0
expect_equal "drops" "$(all_drops gw2)" 0
[ "$(wire ttl "$clear" dst=10.2.0.2 | wc -l)" -eq 12 ] || die "not all padded packets were delivered"
say "padding: t4 always 1500 octets, t6 at least $shortest, as opened by scapy"

# Dummies: 100 a second on t4, 20 on t6; nobody speaks.
COVER4=$'tfc: mtu\n    dummy: 100' COVER6='dummy: 20'
write_config gw1
xesp gw1 reload >/dev/null
until_at_least 1 counter gw2 dummy
dummies=$(counter gw2 dummy)
capture wire w1
capture hostB b0
pause 5
stop_capture wire w1
mv "$CAPTURE" "$TMP/dummies.pcap"
stop_capture hostB b0
clear=$CAPTURE
COVER4='dummy: 0' COVER6='dummy: 0'
write_config gw1
xesp gw1 reload >/dev/null
CAPTURE="$TMP/dummies.pcap"
n4=$(wire lengths "$CAPTURE" "spi=${SPI[t4-gw1]}" | wc -l) n6=$(wire lengths "$CAPTURE" "spi=${SPI[t6-gw1]}" | wc -l)
{ [ "$n4" -gt 350 ] && [ "$n4" -lt 700 ] && [ "$n6" -gt 60 ] && [ "$n6" -lt 150 ]; } || die "$n4 and $n6 dummies in 5 s"
expect_equal "lengths of dummies, padded" "$(lengths t4-gw1)" "1500 "
[ "$(lengths t6-gw1 | wc -w)" -gt 20 ] || die "dummies of t6 have few lengths: $(lengths t6-gw1)"
esp_peer cover "$TMP/dummies.pcap" "$TMP/sas.json" >"$TMP/cover.json" || die "$(cat "$TMP/cover.json")"
for spi in "$spi4" "$spi6"; do
	expect_equal "$spi: packets that are dummies" "$(jq ".[\"$spi\"].dummies" "$TMP/cover.json")" "$(jq ".[\"$spi\"].packets" "$TMP/cover.json")"
done
wire unique "$TMP/padded.pcap" "$TMP/dummies.pcap" >"$TMP/unique" || die "$(cat "$TMP/unique")"
expect_equal "delivered to the host" "$(wire count "$clear" | jq '.ip // 0')" 0

# All of them arrive, as nothing else does; the lease and the window go on.
settled() { local n; n=$(counter gw2 dummy); pause 0.3; [ "$n" = "$(counter gw2 dummy)" ]; }
until_ok 5 settled
[ "$(counter gw2 dummy)" -ge $((dummies + n4 + n6)) ] || die "$(counter gw2 dummy) absorbed of $((n4 + n6)) and more"
expect_equal "other drops at gw2" "$(xesp gw2 counters --json | jq '.drops | del(.dummy) | [.[]] | add // 0')" 0
expect_equal "drops at gw1" "$(all_drops gw1)" 0
expect_equal "sent and absorbed" "$(sa_field gw1 t6-out .packets)" $(($(sa_field gw2 t6-in .packets) + $(sa_drops gw2 t6-in dummy)))
conversation
say "dummies: $n4 and $n6 in 5 s, $(lengths t6-gw1 | wc -w) lengths without padding, $(counter gw2 dummy) absorbed"
