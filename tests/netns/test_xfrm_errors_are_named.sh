#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `source: xfrm` where something is wrong: a kernel without ESP, no permission, policies that overlap without a
# priority, an SA whose algorithm xesp does not have. Each is said once, and named by `xesp status` or
# `xesp sa --unserved`; what is right beside it goes on.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need setpriv

topology_up
{
	printf 'version: 1\nsource: xfrm\nroutes: none\ninterfaces:\n'
	interfaces
} >"$TMP/gw1.yaml"
attach gw1
new_state gw1

mapfile -t arguments < <(keyd_arguments gw1)
run gw1 timeout --foreground $((20 * PATIENCE)) setpriv --bounding-set -net_admin --inh-caps -net_admin \
	"$XESP_BUILD/xesp-keyd" "${arguments[@]}" >"$TMP/refused.log" 2>&1 && die "xesp-keyd ran without CAP_NET_ADMIN"
[ $? -ne 124 ] || die "xesp-keyd without CAP_NET_ADMIN did not end"
grep -q 'run xesp-keyd as root' "$TMP/refused.log" || die "without CAP_NET_ADMIN: $(tail -n 2 "$TMP/refused.log")"
expect_equal "sentences about it" "$(grep -c . "$TMP/refused.log")" 1
say "no permission: $(cat "$TMP/refused.log")"

start_keyd gw1
start_xespd gw1
until_ready gw1 worker_serves
problems() { xesp gw1 status --json | jq -r '.keyd.config.problems[]'; }
named() { problems | grep -q "$1"; }
said() { grep -c "$1" "$TMP/gw1-xesp-keyd.log" || true; } # said <sentence>: how often in the log

has_esp() {
	run gw1 ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x2001 mode tunnel \
		aead 'rfc4106(gcm(aes))' "0x$(xxd -p -c 64 -l 20 /dev/urandom)" 128 2>"$TMP/esp.log"
}
esp=no
! has_esp || esp=yes
if [ $esp = no ]; then
	named 'this kernel has no ESP for IPv4' || die "not in xesp status: $(problems)"
	xesp gw1 reload >/dev/null || die "reload"
	expect_equal "times that it was said" "$(said 'this kernel has no ESP')" 1
	say "a kernel without ESP: $(problems | grep ESP)"
else
	! named 'no ESP' || die "xesp status says that there is no ESP: $(problems)"
	run gw1 ip xfrm state add src 192.0.2.2 dst 192.0.2.1 proto esp spi 0x2002 mode tunnel \
		enc 'cbc(des3_ede)' "0x$(xxd -p -c 64 -l 24 /dev/urandom)" auth-trunc 'hmac(sha256)' "0x$(xxd -p -c 64 -l 32 /dev/urandom)" 128 ||
		die "the kernel has no 3DES"
	unserved() { xesp gw1 sa --unserved | grep -q 'SA 0x00002002 .*des3_ede'; }
	until_ok 10 unserved
	say "an algorithm that xesp does not have: $(xesp gw1 sa --unserved | grep 0x00002002)"
fi

policy_out() { # policy_out <source> <priority> <reqid>
	run gw1 ip xfrm policy add src "$1" dst 10.2.0.0/16 dir out priority "$2" \
		tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid "$3" mode tunnel
}
policy_out 10.1.0.0/16 100 1
policy_out 10.1.0.0/24 100 2
until_ok 10 named 'overlap and have one priority'
# Others come and go beside them: nothing is said anew.
policy_out 10.9.0.0/24 100 1
until_ok 10 sh -c "$(printf '%q ' "$XESP_BUILD/xesp" --pins "$(pins_of gw1)" --run "$TMP/gw1-run") policy --json | grep -q 10.9.0.0"
expect_equal "times that it was said" "$(said 'overlap and have one priority')" 1
say "$(problems | grep overlap)"
run gw1 ip xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/16 dir out
decided() { ! named 'overlap and have one priority'; }
until_ok 10 decided
