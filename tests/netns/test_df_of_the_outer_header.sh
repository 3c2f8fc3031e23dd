#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Don't Fragment of the outer IPv4 header, on the wire (RFC 4301 section 8.1): copied from the inner packet
# (an IPv6 one has it always, for no router may fragment it), always set, or never. Without it packets have
# an identification of their own (RFC 6864).

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

DF=copy
tunnel_keys() { [ "$2" = t6 ] || printf '    df: %s\n' "$DF"; }

topology_up
gateways_up

# What the ESP packets from gw1 have while these pings run: "df", "-" or both.
bits_of() { # bits_of <ping's arguments>...
	capture wire w1
	pings hostA 5 "$@"
	stop_capture wire w1
	wire df "$CAPTURE" "spi=${SPI[t4-gw1]}" | sort -u | tr '\n' ' ' | sed 's/ $//'
}

for DF in copy set clear; do
	write_config gw1
	xesp gw1 reload >/dev/null || die "reload with df: $DF"
	until_ok 5 sas_active gw1
	case $DF in copy) want=("df" "-" "df") ;; set) want=(df df df) ;; clear) want=(- - -) ;; esac
	expect_equal "df: $DF, IPv4 with DF" "$(bits_of 10.2.0.2 -M "do")" "${want[0]}"
	expect_equal "df: $DF, IPv4 without" "$(bits_of 10.2.0.2 -M dont)" "${want[1]}"
	expect_equal "df: $DF, IPv6" "$(bits_of 2001:db8:2::3 -I 2001:db8:1::3)" "${want[2]}"
	say "df: $DF: IPv4 with DF ${want[0]}, without ${want[1]}, IPv6 ${want[2]}"
done

# Each packet that may be fragmented has an identification of its own.
capture wire w1
pings hostA 20 10.2.0.2 -M dont
stop_capture wire w1
expect_equal "identifications of 20 packets" "$(wire ids "$CAPTURE" "spi=${SPI[t4-gw1]}" | sort -u | wc -l)" 20
say "20 packets without DF, 20 identifications"
