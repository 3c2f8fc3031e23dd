#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# gw1 encrypts with one engine, gw2 with another: by choice, by --engine, and because libipsec-mb's object is
# not there; whoever asks for it by name then gets a sentence and no gateway. Traffic passes for an algorithm
# of each kind, and `xesp status` says who does it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
object=$XESP_BUILD/xesp-ipsecmb.so
[ -e "$object" ] || skip "no $object: libipsec-mb-dev is not here"

engine_of() { xesp "$1" status --json | jq -r .xespd.engine; }
engine_for() { # engine_for <gateway> <transform> <bits>
	xesp "$1" status --json | jq -r --arg t "$2" --argjson b "$3" \
		'.xespd.algorithms[] | select(.transform == $t and .key_bits == $b) | .engine'
}
start_with() { # start_with <gateway> <program> [options]: in place of the xespd that runs
	local ns=$1 program=$2; shift 2
	kill_daemon "$ns" xespd TERM
	start "$ns-xespd.log" "$ns" "$program" --pins "$(pins_of "$ns")" --run "$TMP/$ns-run" "$@"
	DAEMON[$ns/xespd]=$STARTED
	gateway_ready "$ns"
}

# The same program where no object lies beside it.
mkdir "$TMP/bare"
cp "$XESP_BUILD/xespd" "$TMP/bare/"

topology_up
for ALGORITHM in aes-gcm-256 chacha20poly1305 aes-ccm-128 aes-ccm-192 aes-gmac-128 null-sha256 \
	aes-cbc-256-sha512 aes-ctr-128-sha256 aes-gcm-128-iiv; do
	for gw in gw1 gw2; do
		[ ! -e "$(pins_of $gw)" ] || gateway_down $gw
		forget_state $gw
		gateway_up $gw
	done
	start_with gw1 "$XESP_BUILD/xespd" --engine ipsec-mb
	expect_equal "engine of gw1" "$(engine_of gw1)" ipsec-mb+openssl
	start_with gw2 "$XESP_BUILD/xespd" --engine openssl
	expect_equal "engine of gw2" "$(engine_of gw2)" openssl
	for size in 0 100 1000; do
		pings hostA 5 10.2.0.2 -s $size
		pings hostB 5 2001:db8:1::3 -I 2001:db8:2::3 -s $size
	done
	expect_equal "drops of $ALGORITHM" "$(all_drops gw1)$(all_drops gw2)" 00
	say "$ALGORITHM: ipsec-mb and openssl understand each other"
done
expect_equal "AES-GCM by" "$(engine_for gw1 aes-gcm-16 256)" ipsec-mb
expect_equal "AES-CCM with 192 bits by" "$(engine_for gw1 aes-ccm-16 192)" openssl

start_with gw1 "$XESP_BUILD/xespd"
case $(engine_of gw1) in ipsec-mb*) ;; *) die "auto takes $(engine_of gw1)" ;; esac
say "auto: $(engine_of gw1)"

start_with gw1 "$TMP/bare/xespd"
expect_equal "engine without the object" "$(engine_of gw1)" openssl
xesp gw1 status | grep -q 'no xesp-ipsecmb.so here' || die "status does not say why"
pings hostA 5 10.2.0.2

kill_daemon gw1 xespd TERM
if run gw1 timeout 10 "$TMP/bare/xespd" --engine ipsec-mb --pins "$(pins_of gw1)" --run "$TMP/gw1-run" \
	>"$TMP/refused.log" 2>&1; then
	die "xespd runs without the engine that it was told to use"
fi
grep -q 'no xesp-ipsecmb.so here' "$TMP/refused.log" || die "$(cat "$TMP/refused.log")"
say "asked for by name and not there: $(tail -n 1 "$TMP/refused.log")"
if run gw1 timeout 10 "$XESP_BUILD/xespd" --engine fastest --pins "$(pins_of gw1)" --run "$TMP/gw1-run" \
	>"$TMP/refused.log" 2>&1; then
	die "an engine of no name is taken"
fi
grep -q 'no engine is named fastest' "$TMP/refused.log" || die "$(cat "$TMP/refused.log")"
