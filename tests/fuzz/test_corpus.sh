#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Each fuzz target that was built, from its committed corpus, for a fixed number of inputs from a
# fixed seed: a regression test, the same every time. `make fuzz` is the one that looks for news.
set -u
cd "$(dirname "$0")/../.." || exit 70
runs=${FUZZ_RUNS:-20000}
found=$(mktemp -d) || exit 70
trap 'rm -rf "$found"' EXIT

for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	target=build/fuzz/tests/fuzz/$name
	corpus=tests/fuzz/corpus/${name#fuzz_}
	dict=tests/fuzz/${name#fuzz_}.dict
	args=(-runs="$runs" -seed=1 -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found/" "$found")
	[ -d "$corpus" ] && args+=("$corpus")
	[ -e "$dict" ] && args+=(-dict="$dict")
	if "$target" "${args[@]}" >"$found.log" 2>&1; then
		echo "PASS $name: $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$found.log") inputs"
	else
		echo "FAIL $name"
		tail -n 40 "$found.log"
	fi
	rm -rf "$found.log" "${found:?}"/*
done
