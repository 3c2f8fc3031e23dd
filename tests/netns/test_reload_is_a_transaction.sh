#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A reload is a transaction (docs/configuration.md): under traffic, a wrong configuration is refused
# with file, line and key named and the old one goes on; a right one is swapped in whole, without
# a lost or repeated number, and SAs that stay keep their counters.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
gateways_up
start ping.log hostA ping -n -i 0.005 10.2.0.2
answers() { grep -c 'bytes from' "$TMP/ping.log" || true; }
goes_on() { until_at_least $(($(answers) + 40)) answers; }
reload() { xesp gw1 reload; }
generation() { xesp gw1 status --json | jq .keyd.generation; }

capture wire w1
goes_on
before=$(generation)

# refused <what> <sed expression> <pattern of the sentence>
refused() {
	local line
	cp "$TMP/gw1.yaml" "$TMP/good.yaml"
	sed -i "$2" "$TMP/gw1.yaml"
	! cmp -s "$TMP/gw1.yaml" "$TMP/good.yaml" || die "$1: the configuration was not changed"
	line=$(diff "$TMP/good.yaml" "$TMP/gw1.yaml" | sed -nE '1s/^[0-9,]*[acd]([0-9]+).*/\1/p' || true)
	reload >"$TMP/reload.log" 2>&1 && die "$1: accepted"
	grep -qE "gw1.yaml:$line\b.*$3" "$TMP/reload.log" ||
		die "$1: expected line $line and '$3', got: $(cat "$TMP/reload.log")"
	grep -qF "$(key_of t4 gw1)" "$TMP/reload.log" && die "$1: the sentence shows a key"
	say "$1: $(tail -n 1 "$TMP/reload.log" | sed "s|$TMP/||g")"
	cp "$TMP/good.yaml" "$TMP/gw1.yaml"
	expect_equal "generation after a refused reload" "$(generation)" "$before"
	goes_on
}
refused "unknown action" '0,/action: protect/s//action: protekt/' action
refused "unknown key" '0,/    action: protect/s//    acton: protect/' acton
refused "unknown tunnel" '0,/tunnel: t6\b/s//tunnel: t9/' tunnel
refused "prefix too long" '0,/10.2.0.0\/24/s//10.2.0.0\/33/' remote
refused "reserved SPI" "0,/spi: ${SPI[t4-gw1]}/s//spi: 0x10/" spi

# A good one: one more policy in front, everything else kept.
packets=$(sa_field gw1 t4-out .packets)
{ sed '/^policies:/q' "$TMP/gw1.yaml"
	policy no-telnet discard protocol tcp remote_ports 23
	sed '1,/^policies:/d' "$TMP/gw1.yaml"; } >"$TMP/next.yaml"
cp "$TMP/next.yaml" "$TMP/gw1.yaml"
reload >"$TMP/reload.log" 2>&1 || die "a good configuration was refused: $(cat "$TMP/reload.log")"
[ "$(generation)" -gt "$before" ] || die "the generation did not move"
goes_on
[ "$(sa_field gw1 t4-out .packets)" -ge "$packets" ] || die "the SA lost its counter"
expect_equal "first policy" "$(xesp gw1 policy --json | jq -r '.policies[0].name')" no-telnet
run hostA timeout --foreground 1 nc -w 1 10.2.0.2 23 </dev/null && die "the new policy does not discard"
[ "$(counter gw1 discard)" -ge 1 ] || die "the new policy does not count"

# The tunnels change places: all of it in one step, on both sides, and traffic goes on.
for gw in gw1 gw2; do
	sed -i -e 's/tunnel: t4$/tunnel: tX/' -e '/^policies:/,$s/tunnel: t6$/tunnel: t4/' \
		-e '/^policies:/,$s/tunnel: tX$/tunnel: t6/' -e 's/tunnel: tX$/tunnel: t4/' "$TMP/$gw.yaml"
done
xesp gw2 reload >/dev/null
reload >/dev/null
run hostA true
packets=$(sa_field gw1 t6-out .packets)
goes_on
[ "$(sa_field gw1 t6-out .packets)" -ge $((packets + 40)) ] || die "the new tunnel is not used"

stop_capture wire w1
wire only-esp "$CAPTURE" || die "not only ESP on the wire"
wire unique "$CAPTURE" >"$TMP/unique" || die "$(cat "$TMP/unique")"
say "reloaded under traffic: $(answers) answers, no number twice"
