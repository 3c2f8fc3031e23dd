#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What each restart costs on a gateway where strongSwan drives xesp, under 100 pings a second: a line of
# lost pings for each. docs/ike.md has the table.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
ike_needs

topology_up
kernel_gateway gw1
kernel_gateway gw2
xfrm_config gw1 kernel
mirror_up gw1
run gw1 sh -c 'for i in in0 out0; do echo 1 >/proc/sys/net/ipv4/conf/$i/forwarding; done'
ike_start gw1
ike_start gw2
ike_initiate gw1
until_ok 10 is_active gw1 "$(spis_of gw1)"
serves() { is_active gw1 "$(spis_of gw1)" && worker_serves gw1; }
carries() { # until xesp carries what is sent: packets of its SA grow
	local spi n
	spi=$(spis_of gw1)
	n=$(packets_of gw1 "$spi")
	until_at_least $((n + 20)) packets_of gw1 "$spi"
}

capture wire w1 200
row() { # row <at most so many lost> <what is restarted> <command>...
	local most=$1 what=$2 lost; shift 2
	load row hostA 10.2.0.2 2500 0.01
	pause 1
	"$@" || die "$what: $* failed"
	until_ok 30 serves
	carries
	load_end row
	lost=$(load_lost row)
	[ -n "$lost" ] || die "$what: $(cat "$TMP/load-row.log")"
	say "lost of 2500: $lost  ($what)"
	[ "$lost" -le "$most" ] || die "$what: $lost of 2500 pings at 100 a second lost, $most are allowed"
}
again() { # again <program> <signal>: ended, started
	kill_daemon gw1 "$1" "$2"
	case $1 in xesp-keyd) start_keyd gw1 ;; xespd) start_xespd gw1 ;; esac
}
charon_again() { # charon_again <signal>
	kill_daemon gw1 charon "$1"
	ike_start gw1
}
both_again() { kill_daemon gw1 xespd; kill_daemon gw1 xesp-keyd; start_keyd gw1; start_xespd gw1; }

row 0 "xesp-keyd, SIGKILL" again xesp-keyd KILL
row 19 "xespd, SIGTERM" again xespd TERM
row 19 "xespd, SIGKILL" again xespd KILL
row 19 "both, SIGKILL" both_again
row 0 "XDP programs, xesp attach --replace" xesp gw1 attach --replace
row 0 "charon, SIGKILL: the SAs stay" charon_again KILL
stop_capture wire w1
wire unique "$CAPTURE" >"$TMP/unique" || die "$(head -n 5 "$TMP/unique")"
say "no sequence number on the wire twice: $(head -n 1 "$TMP/unique")"
