#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A path that drops what does not fit and says nothing (RFC 8899): with pmtu_probe the tunnel finds what
# passes, exact to the cipher's alignment, by echo requests through the SA to an address behind the peer;
# without it the same traffic is lost. A black hole that opens later is found as well, and left when the
# path widens again.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
. "$(dirname "$0")/router.sh"
need nc cmp

# Only gw1 probes, and only t4 and t6's far ends answer: the peer gateway's inner addresses.
tunnel_keys() { # tunnel_keys <gateway> <tunnel>
	printf '    mss: off\n    pmtu_age: 25\n'
	[ "$1" = gw1 ] && [ "${PROBE:-no}" = yes ] || return 0
	case $2 in
	t4) printf '    pmtu_probe: yes\n    probe_local: 10.1.0.1\n    probe_remote: 10.2.0.1\n' ;;
	t6) printf '    pmtu_probe: yes\n    probe_local: 2001:db8:1::1\n    probe_remote: 2001:db8:2::1\n' ;;
	esac
}

found() { [ "$(path_of gw1 "$1" .from)" = probe ] && [ "$(path_mtu gw1 "$1")" -eq "$2" ]; }
until_found() { # until_found <seconds> <sa> <mtu>
	local deadline=$((SECONDS + $1))
	until found "$2" "$3"; do
		[ "$SECONDS" -lt "$deadline" ] || die "$2: $(path_of gw1 "$2" '' | jq -c .), expected $3 from probes"
		pause 0.2
	done
}

topology_up
router_up
router_mtu 1404
router_silent
gateways_up
run hostA ping -q -c 2 -i 0.2 -W 0.5 -M "do" -s 1400 10.2.0.2 >/dev/null && die "the path is no black hole"
expect_equal "path MTU, nobody probes" "$(path_mtu gw1 t4-out)" 1500
say "a black hole: 1404 pass, more vanish without a word"

gateway_down gw1
forget_state gw1
PROBE=yes
gateway_up gw1
# 1404: 20 + 8 + 8 + 16 octets around multiples of 4 for t4; 40 for t6.
until_found 60 t4-out 1404
until_found 60 t6-out 1404
expect_equal "inner MTU" "$(path_of gw1 t4-out .inner_mtu) $(path_of gw1 t6-out .inner_mtu)" "1350 1330"
pings hostA 3 10.2.0.2 -M dont -s 1400
run hostA ping -c 1 -W 1 -M "do" -s 1400 10.2.0.2 >"$TMP/df.log" 2>&1 && die "1428 octets passed"
grep -qE "mtu = 1350\b" "$TMP/df.log" || die "hostA was not told 1350: $(cat "$TMP/df.log")"
head -c 500000 /dev/urandom >"$TMP/file"
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
say "found 1404 without help; hosts are told, TCP passes"

router_mtu 1380
until_found 90 t4-out 1380
pings hostA 3 10.2.0.2 -M dont -s 1400
say "narrower: found again"

router_mtu 1500
deadline=$((SECONDS + 120))
until [ "$(path_mtu gw1 t4-out)" = 1500 ]; do
	[ "$SECONDS" -lt "$deadline" ] || die "not raised: $(path_of gw1 t4-out '' | jq -c .)"
	pause 0.5
done
say "wider: back to 1500"
# The answers were for xespd alone: nothing was refused, and nobody else got them.
expect_equal "dropped as selector-mismatch" "$(counter gw1 selector-mismatch) $(counter gw2 selector-mismatch)" "0 0"
