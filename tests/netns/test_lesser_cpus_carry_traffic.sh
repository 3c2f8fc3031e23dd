#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Machines with less of a CPU than this one: xespd with libipsec-mb held to each instruction set below this CPU's, with
# AES by OpenSSL without AES instructions, and without libipsec-mb. Each passes the known-answer tests of its start, says
# what it takes, and carries traffic to a gateway that uses all there is.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc cmp

topology_up
gateways_up
head -c 500000 /dev/urandom >"$TMP/file"
engines() { xesp gw1 status | sed -n 's/^ *engine \(.*\), [0-9]* SAs.*/\1/p'; }

again() { # again <what> <variable=value> <options of xespd>...: gw1's xespd is another one
	local what=$1 variable=$2; shift 2
	kill_daemon gw1 xespd TERM
	start gw1-xespd.log gw1 env "$variable" "$XESP_BUILD/xespd" --pins "$(pins_of gw1)" --run "$TMP/gw1-run" "$@"
	DAEMON[gw1/xespd]=$STARTED
	gateway_ready gw1
	pings hostA 20 10.2.0.2
	pings hostB 20 2001:db8:1::3 -I 2001:db8:2::3
	transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
	say "$what: $(engines)"
}

again "OpenSSL without AES instructions" OPENSSL_ia32cap='~0x200000200000000' --engine openssl
engines | grep -q ipsec-mb && die "openssl alone was asked for"
if [ -e "$XESP_BUILD/xesp-ipsecmb.so" ]; then
	tried=0
	for cpu in sse avx avx2 avx512; do
		grep -qw "${cpu/avx512/avx512f}" <(sed 's/sse4_2/sse/' /proc/cpuinfo) || continue
		again "libipsec-mb held to $cpu" XESP_IPSECMB_CPU=$cpu --engine ipsec-mb
		engines | tr -d - | grep -qi " $cpu\b" || die "xesp status does not say $cpu: $(engines)"
		tried=$((tried + 1))
	done
	[ $tried -gt 0 ] || die "no instruction set was tried"
	# What is not there is not used all the same.
	XESP_IPSECMB_CPU=mmx "$XESP_BUILD/xesp" bench crypto --engine ipsec-mb --sizes 64 --rounds 1 >"$TMP/mmx" 2>&1 &&
		die "libipsec-mb on mmx"
	grep -q "XESP_IPSECMB_CPU is 'mmx'" "$TMP/mmx" || die "$(cat "$TMP/mmx")"
	again "libipsec-mb not usable, engine auto" XESP_IPSECMB_CPU=mmx
	engines | grep -q '^ipsec-mb' && die "ipsec-mb is said to be used: $(engines)"
fi
expect_equal "packets dropped at gw2" "$(counter gw2 bad-icv)" 0
