#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Beside another XDP program in libxdp's dispatcher: attach, a second program of somebody else's, detach.
# The other one stays, and neither pushes the other aside.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../tests/netns/topology.sh"
. "$(dirname "$0")/../tests/netns/loader.sh"
need xdp-loader clang

loader_up
succeeds attach attach --inner in0 --outer out0
cat "$TMP/xesp.log"
if grep -q 'alone (' "$TMP/xesp.log"; then
	grep -q 'needs a newer libxdp' "$TMP/xesp.log" || die "no dispatcher: $(cat "$TMP/xesp.log")"
	[ -n "$(program_on in0)" ] || die "alone, but not attached"
	skip "$(sed -n 's/.*alone (\(.*\))/\1/p;T;q' "$TMP/xesp.log")"
fi
[ "$(grep -c "in libxdp's dispatcher" "$TMP/xesp.log")" = 2 ] || die "not in the dispatcher: $(cat "$TMP/xesp.log")"

loaded() { run gw1 xdp-loader status in0; }
loaded | grep -q xdp_inner || die "xdp_inner is not listed: $(loaded)"
foreign_program "$TMP/foreign.o"
run gw1 xdp-loader load -m native -n foreign in0 "$TMP/foreign.o" >"$TMP/loader.log" 2>&1 ||
	die "a second program does not attach: $(cat "$TMP/loader.log")"
loaded | grep -q foreign || die "foreign is not listed: $(loaded)"
loaded | grep -q xdp_inner || die "xdp_inner was pushed aside: $(loaded)"
succeeds detach detach --purge
loaded | grep -q foreign || die "detach took the other program along: $(loaded)"
if loaded | grep -q xdp_inner; then die "still attached: $(loaded)"; fi
say "two programs in one dispatcher, each goes by itself"
