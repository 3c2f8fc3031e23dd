#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `make bench-topology` with the kernel's ESP beside xesp, which only a kernel that has ESP shows: both carry packets, xesp
# loses none, and the kernel's CPU time is told. What the figures are is no matter under emulation.
set -u
cd "$(dirname "$0")/.." || exit 70
fail() { echo "FAIL: $*"; exit 1; }
IFS=. read -r major minor _ < <(uname -r)
((major > 6 || (major == 6 && minor >= 6))) || {
	echo "SKIP: the bench's links carry jumbo frames, which xesp takes from Linux 6.6 on"
	exit 77
}
dir=$(mktemp -d) || exit 70
trap 'rm -rf "$dir"' EXIT

tests/bench/topology.sh --direction encap --rounds 2 --seconds 1 --sizes "64 1420" --peer kernel --json "$dir/json" ||
	fail "the bench itself, see above"

says() { jq -e "$1" "$dir/json" >/dev/null; } # says <what must hold of the JSON>
lane() { jq -c "[.rows[] | select(.label == \"$1\") | {size, pps: .pps.min, cpu_ns: .cpu_ns.min, sent, lost}]" "$dir/json"; }
for label in xesp kernel-esp; do
	says "[.rows[] | select(.label == \"$label\")] | map(.size) | sort == [64, 1420]" ||
		fail "$label: no row for each size; $(jq -c .notes "$dir/json")"
	says "[.rows[] | select(.label == \"$label\")] | all(.[]; .pps.min > 0 and .cpu_ns.min > 0 and .sent > 0)" ||
		fail "$label carried nothing, or nobody was seen to work for it: $(lane $label)"
	echo "  $label: $(lane $label)"
done
says '[.rows[] | select(.label == "xesp")] | all(.[]; .lost == 0)' || fail "xesp lost packets: $(lane xesp)"
