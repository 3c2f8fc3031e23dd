#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# After `xesp detach` every detail of the interfaces and of both ends' offloads is what it was before
# `xesp attach`: in native and generic mode, one by one and all, renamed, gone, and after an attach
# that was killed at any moment.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/loader.sh"
loader_up
clean=$(everything)
no_pins() { [ ! -e "$PINS" ] || die "$1: pins are left: $(ls -AR "$PINS")"; }

for mode in native generic; do
	succeeds "attach, $mode" attach --inner in0 --outer out0 --mode $mode
	[ "$(everything)" != "$clean" ] || die "$mode: attaching changes nothing that this test would see"
	succeeds "detach, $mode" detach --purge
	no_pins "$mode"
	unchanged "$mode mode" "$clean"
done

# One after the other, by name; the maps stay, and with them what they count.
succeeds attach attach --inner in0 --outer out0
id=$(bpftool -j map show pinned "$PINS/xesp_sa_state" | jq .id)
succeeds "detach one" detach in0
[ -z "$(program_on in0)" ] || die "in0 has its program still"
[ -n "$(program_on out0)" ] || die "out0 lost its program"
[ "$(bpftool -j map dump pinned "$PINS/xesp_ifaces" | jq length)" = 1 ] || die "the row of in0 is left"
succeeds "detach the rest" detach
[ "$(bpftool -j map dump pinned "$PINS/xesp_ifaces" | jq length)" = 0 ] || die "rows are left"
succeeds "detach nothing" detach
succeeds "attach again" attach --inner in0 --outer out0
[ "$(bpftool -j map show pinned "$PINS/xesp_sa_state" | jq .id)" = "$id" ] || die "the maps are others now"
succeeds detach detach --purge
unchanged "one after the other" "$clean"

# Renamed since.
run gw1 ip link set out0 down
succeeds attach attach --inner in0 --outer out0
run gw1 ip link set out0 name far0
xesp status | grep -q '^far0 .*outer' || die "status does not know the new name"
succeeds "detach by the new name" detach far0
run gw1 ip link set far0 name out0
run gw1 ip link set out0 up
until_ok 5 carrier gw1 out0
succeeds detach detach --purge
unchanged "renamed" "$clean"

# Gone since: cleaned up without an error, and the name can be used again.
run gw1 ip link add gone0 type veth peer name gone1
succeeds attach attach --inner in0 --outer gone0
run gw1 ip link del gone0
run gw1 ip link add gone0 type veth peer name gone1
succeeds "attach to a new interface of an old name" attach --outer gone0
run gw1 ip link del gone0
xesp status | grep -q '\(gone0\|#[0-9]*\): the interface is gone' || die "status does not say that gone0 is gone"
succeeds "detach what is gone" detach
grep -qE "(gone0|in libxdp's dispatcher): is gone" "$TMP/xesp.log" || die "detach does not say that gone0 is gone"
[ "$(bpftool -j map dump pinned "$PINS/xesp_ifaces" | jq length)" = 0 ] || die "the row of gone0 is left"
succeeds detach detach --purge
no_pins "gone"
unchanged "gone" "$clean"

# Killed while it attaches, ever later.
killed=0
for ms in $(seq 5 12 305); do
	nsenter --net="$PATH_OF_NS-gw1" "$XESP" --pins "$PINS" --run "$TMP" attach --inner in0 --outer out0 \
		>/dev/null 2>&1 &
	pid=$!
	pause "0.$(printf %03d "$ms")"
	kill -KILL $pid 2>/dev/null || true
	status=0
	wait $pid 2>/dev/null || status=$?
	[ $status != 137 ] || killed=$((killed + 1))
	succeeds "detach after a kill at $ms ms" detach --purge
	no_pins "killed at $ms ms"
	unchanged "killed at $ms ms" "$clean"
done
[ "$killed" -ge 3 ] || die "only $killed of the attaches were killed before they ended"
# Killed, and attached again over what it left.
nsenter --net="$PATH_OF_NS-gw1" "$XESP" --pins "$PINS" --run "$TMP" attach --inner in0 >/dev/null 2>&1 &
pid=$!
pause 0.06
kill -KILL $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
xesp detach >/dev/null 2>&1 || die "detach after the last kill"
succeeds "attach over leftovers" attach --inner in0 --outer out0
succeeds detach detach --purge
unchanged "after leftovers" "$clean"
say "as before, every time; $killed attaches killed"
