#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The loader: attaching survives its own exit, attaching again, to a missing interface or beside a
# foreign program is refused and changes nothing; replacing loses no packet; detach leaves the
# interfaces as they were, also when daemons were killed.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need bpftool

topology_up
link_state() { run gw1 ip -j link show | jq -S 'map(select(.ifname == "in0" or .ifname == "out0") | {ifname, mtu, xdp, flags})'; }
clean=$(link_state)

attach gw1
grep -qiE 'native|generic' "$TMP/gw1-attach.log" || die "attach does not say its mode: $(cat "$TMP/gw1-attach.log")"
attached=$(link_state)
[ "$(jq '[.[] | select(.xdp)] | length' <<<"$attached")" = 2 ] || die "not attached to both: $attached"

refused() { # refused <what> <pattern> <arguments of xesp gw1>...
	local what=$1 pattern=$2 state; shift 2
	state=$(link_state; ls -R "$(pins_of gw1)" 2>&1)
	if xesp gw1 "$@" >"$TMP/refused.log" 2>&1; then die "$what: accepted"; fi
	grep -qE "$pattern" "$TMP/refused.log" || die "$what: $(cat "$TMP/refused.log")"
	[ "$state" = "$(link_state; ls -R "$(pins_of gw1)" 2>&1)" ] || die "$what: something changed"
	say "$what: $(tail -n 1 "$TMP/refused.log")"
}
refused "attached twice" 'already|replace' attach --inner in0 --outer out0
refused "missing interface" 'eth99' attach --inner eth99 --outer out0
refused "no interface" '.' attach
xesp gw1 detach >"$TMP/detach.log" 2>&1 || die "detach: $(cat "$TMP/detach.log")"
expect_equal "interfaces after detach" "$(link_state)" "$clean"
refused "missing interface, nothing attached" 'eth99' attach --inner in0 --outer eth99

# A program that is not ours, and that no dispatcher made.
cat >"$TMP/foreign.c" <<-END
	#include <linux/bpf.h>
	__attribute__((section("xdp"), used)) int foreign(struct xdp_md *ctx) { return XDP_PASS; }
	char license[] __attribute__((section("license"), used)) = "GPL";
END
if command -v clang >/dev/null && clang -target bpf -O2 -g -c "$TMP/foreign.c" -o "$TMP/foreign.o" \
	-idirafter "/usr/include/$(gcc -print-multiarch)" 2>"$TMP/clang.log"; then
	run gw1 ip link set dev in0 xdpdrv obj "$TMP/foreign.o" sec xdp
	refused "foreign program" 'in0' attach --inner in0 --outer out0
	run gw1 ip link set dev in0 xdpdrv off
fi
expect_equal "interfaces after refusals" "$(link_state)" "$clean"
xesp gw1 detach --purge >/dev/null 2>&1 || true

# Daemons killed, then detached; replaced under traffic.
gateways_up
start ping.log hostA ping -n -O -i 0.005 10.2.0.2
answers() { grep -c 'bytes from' "$TMP/ping.log" || true; }
until_at_least 40 answers
xesp gw1 attach --replace --inner in0 --outer out0 >"$TMP/replace.log" 2>&1 || die "replace: $(cat "$TMP/replace.log")"
until_at_least $(($(answers) + 100)) answers
stop "$STARTED" INT
lost=$(sed -nE 's/.* ([0-9]+) packets transmitted, ([0-9]+) received.*/\1 \2/p' "$TMP/ping.log" | awk '{ print $1 - $2 }')
[ "${lost:-9}" -le 1 ] || die "replacing the programs lost $lost packets" # the last may be under way
kill_daemon gw1 xespd KILL
kill_daemon gw1 xesp-keyd KILL
xesp gw1 detach --purge >"$TMP/detach.log" 2>&1 || die "detach after kill -9: $(cat "$TMP/detach.log")"
expect_equal "interfaces after kill -9 and detach" "$(link_state)" "$clean"
[ ! -e "$(pins_of gw1)" ] || die "detach --purge left pins"
say "replaced without loss; detached after kill -9: interfaces as before"
