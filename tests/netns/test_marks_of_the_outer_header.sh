#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# RFC 4301 section 5.1.2, RFC 2983, RFC 6437 on the wire: TTL, DSCP and flow label of the outer header as a
# tunnel has them; and RFC 6040 section 4.2 end to end: each of the sixteen pairs of outer and inner ECN,
# with both IP versions outside and inside, gives the inner mark it must, and strange ones are said.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

MARKS4='ttl: copy
dscp: map
dscp_map: ["46:34", "8-15:8"]'
MARKS6='ttl: copy
dscp: 10
flow_label: copy'
IN=keep
tunnel_keys() { # tunnel_keys <gateway> <tunnel>
	local marks=$MARKS4
	[ "$2" = t4 ] || marks=$MARKS6
	printf '%s\n' "$marks" "dscp_in: $IN" | sed 's/^/    /'
}

topology_up
gateways_up
from4=10.1.0.2 to4=10.2.0.2 from6=2001:db8:1::2 to6=2001:db8:2::2

both() { # both <what> <tunnel> <destination> <tos> <expected outer> <expected inner>
	capture wire w1
	capture hostB b0
	pings hostA 2 "$3" -Q "$4"
	stop_capture wire w1
	expect_equal "$1: outer" "$(wire tos "$CAPTURE" "spi=${SPI[$2-gw1]}" | sort -u)" "$5"
	expect_equal "$1: outer TTL" "$(wire ttl "$CAPTURE" "spi=${SPI[$2-gw1]}" | sort -u)" 63
	stop_capture hostB b0
	expect_equal "$1: inner" "$(wire tos "$CAPTURE" "dst=$3" | sort -u)" "$6"
	expect_equal "$1: inner TTL" "$(wire ttl "$CAPTURE" "dst=$3" | sort -u)" 62
}
both "EF mapped to AF41" t4 $to4 0xb8 0x88 0xb8
both "12 mapped to CS1, ECN kept" t4 $to4 0x32 0x22 0x32
both "unnamed one copied" t4 $to4 0x50 0x50 0x50
both "DSCP set" t6 $to6 0xb8 0x28 0xb8
say "TTL copied, DSCP mapped, copied and set; kept inside"

labels() { # labels <host> <count> <destination> [ping's options]: outer flow labels
	capture wire w1
	pings "$@" >/dev/null
	stop_capture wire w1
	wire labels "$CAPTURE" "spi=${SPI[t6-gw1]}" | sort -u | tr '\n' ' '
}
expect_equal "flow label copied" "$(labels hostA 2 $to6 -F 0x12346)" "0x12346 "

apply_marks() { # apply_marks <keys of t6> <dscp_in>
	MARKS6=$1 IN=$2
	for gw in gw1 gw2; do
		write_config $gw
		xesp $gw reload >/dev/null || die "reload of $gw"
	done
}
apply_marks 'flow_label: zero
dscp: 46' copy
expect_equal "flow label zero" "$(labels hostA 2 $to6 -F 0x12347)" "0x00000 "
capture hostB b0
pings hostA 2 $to6 -Q 0x02
pings hostA 2 $to4 -Q 0xb8
stop_capture hostB b0
expect_equal "outer DSCP taken over, IPv6" "$(wire tos "$CAPTURE" dst=$to6 | sort -u)" 0xba
expect_equal "outer DSCP taken over, IPv4" "$(wire tos "$CAPTURE" dst=$to4 | sort -u)" 0x88
apply_marks 'flow_label: flow' keep
one=$(labels hostA 3 $to6 -F 0x12348) other=$(labels hostA 3 2001:db8:2::1)
expect_equal "labels of one flow" "$(wc -w <<<"$one")" 1
case $one in 0x1234* | 0x00000* | "$other") die "flow labels $one and $other" ;; esac
apply_marks 'flow_label: sa' keep
one=$(labels hostA 3 $to6 -F 0x12349) other=$(labels hostA 3 2001:db8:2::1)
expect_equal "one label of an SA" "$one" "$other"
say "flow labels of packet, flow, SA, and none; DSCP taken over at the far end"

# RFC 6040 figure 4. Packets are held at the cut wire and sent on with another mark.
apply_marks '' keep
wire_cut
ECN=(0x00 0x01 0x02 0x03) # not-ECT, ECT(1), ECT(0), CE
WANT=([0]="0x00 0x00 0x00 drop" [1]="0x01 0x01 0x01 0x03" [2]="0x02 0x01 0x02 0x03" [3]="0x03 0x03 0x03 0x03") # by inner, then outer
cells=0
for combination in "t4 $from4 $to4" "t6 10.1.0.3 10.2.0.3" "t4 2001:db8:1::3 2001:db8:2::3" "t6 $from6 $to6"; do
	read -r tunnel from to <<<"$combination"
	for inner in 0 1 2 3; do
		capture wire w1
		run hostA ping -q -c 4 -i 0.01 -W 0.1 -I "$from" -Q ${ECN[inner]} "$to" >/dev/null && die "answered over a cut wire"
		stop_capture wire w1
		mv "$CAPTURE" "$TMP/held.pcap"
		capture hostB b0
		want=
		for outer in 0 1 2 3; do
			cells=$((cells + 1))
			mark=$(cut -d' ' -f$((outer + 1)) <<<"${WANT[inner]}")
			[ "$mark" = drop ] || want="$want$mark "
			run wire "$PYTHON" "$HERE/wire.py" inject w2 "$TMP/held.pcap" "spi=${SPI[$tunnel-gw1]}" \
				last=$((4 - outer)) first=1 "tos=${ECN[outer]}" >/dev/null || die "nothing injected"
		done
		delivered() { wire tos "$TMP/hostB-b0.pcap" "dst=$to" | wc -l; }
		until_equal "$(wc -w <<<"$want")" delivered
		stop_capture hostB b0
		expect_equal "$combination, inner ${ECN[inner]}" "$(wire tos "$CAPTURE" "dst=$to" | tr '\n' ' ')" "$want"
	done
done
expect_counter gw2 ecn-invalid 4
for tunnel in t4 t6; do expect_equal "$tunnel: alarms" "$(sa_field gw2 $tunnel-in .ecn_alarms)" 10; done
until_ok 5 grep -q "outer ECN does not fit" "$TMP/gw2-xesp-keyd.log"
xesp gw2 sa t4-in | grep -q '10 packets whose outer mark does not fit' || die "xesp sa does not say it"
say "$cells cells of RFC 6040 figure 4 on the wire; 20 alarms counted, logged $(grep -c 'outer ECN does not fit' "$TMP/gw2-xesp-keyd.log") times"
