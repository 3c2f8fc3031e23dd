#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TCP MSS clamping (mss: auto): what SYN and SYN/ACK announce on either side of the tunnel is what its path
# carries, to the byte, in all four combinations of IP in IP, though one gateway alone does it; mss: off
# leaves it alone, a number is a number. Checksums stay right: TCP connects and transfers.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp

MSS=auto
tunnel_keys() { # tunnel_keys <gateway> <tunnel>: gw2 never clamps, so what is seen is gw1's doing
	if [ "$1" = gw1 ]; then printf '    mss: %s\n' "$MSS"; else printf '    mss: off\n'; fi
}

topology_up
gateways_up
head -c 20000 /dev/urandom >"$TMP/file"

announced() { # announced <capture>: MSS of each SYN in it
	tcpdump -r "$1" -nn -v 'tcp or ip6 proto 6' 2>/dev/null | grep -oE 'Flags \[S[.]?\].*mss [0-9]+' | grep -oE '[0-9]+$' |
		sort -u | tr '\n' ' ' | sed 's/ $//'
}
# hostB sees hostA's SYN, hostA sees hostB's SYN/ACK; own ones are what the host said.
clamped() { # clamped <from> <to> <unclamped> <expected>
	# What a host has learned of the path it announces by itself.
	for h in hostA hostB; do run $h ip route flush cache; run $h ip -6 route flush cache; done
	capture hostA a0
	capture hostB b0
	transfer hostA "$1" hostB "$2" "$TMP/file"
	stop_capture hostA a0
	stop_capture hostB b0
	expect_equal "MSS at hostA, $1 to $2, mss: $MSS" "$(announced "$TMP/hostA-a0.pcap")" \
		"$(printf '%s\n' "$3" "$4" | sort -u | tr '\n' ' ' | sed 's/ $//')"
	expect_equal "MSS at hostB, $1 to $2, mss: $MSS" "$(announced "$TMP/hostB-b0.pcap")" \
		"$(printf '%s\n' "$3" "$4" | sort -u | tr '\n' ' ' | sed 's/ $//')"
}
all_four() { # all_four <v4 in v4> <v4 in v6> <v6 in v4> <v6 in v6>
	clamped 10.1.0.2 10.2.0.2 1460 "$1"
	clamped 10.1.0.3 10.2.0.3 1460 "$2"
	clamped 2001:db8:1::3 2001:db8:2::3 1440 "$3"
	clamped 2001:db8:1::2 2001:db8:2::2 1440 "$4"
	say "mss: $MSS: $*"
}

# 1500 - 20 (40) - 8 - 8 - 16, less 2, in fours: 1446 (1426); less 40 (60) of IP and TCP.
all_four 1406 1386 1386 1366
for MSS in off 1000; do
	write_config gw1
	xesp gw1 reload >/dev/null || die "reload with mss: $MSS"
	until_ok 5 sas_active gw1
	case $MSS in off) all_four 1460 1460 1440 1440 ;; *) all_four 1000 1000 1000 1000 ;; esac
done
