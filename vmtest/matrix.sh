#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The results of a run as a table, kernel by case, between the marks of a document; and what was left out.
#
#   matrix.sh <results> <document> <how it was run> <kernels>
set -eu
results=$1 document=$2 how=$3
read -ra kernels <<<"$4"

table() {
	local k files=()
	printf 'From a run of `make vmtest` (%s).\n\n| case |' "$how"
	for k in "${kernels[@]}"; do printf ' %s |' "$(cat "$results/version-$k")"; done
	printf '\n| --- |'
	for k in "${kernels[@]}"; do printf ' --- |'; files+=("$results/$k/results"); done
	printf '\n'
	awk -F'\t' '
		FNR == 1 { kernel++ }
		$1 !~ /^(PASS|FAIL|SKIP)$/ { next }
		# Unit programs print a line per test: here their numbers are enough.
		$2 == "bpf-tests" { key = "`bpf-tests`, " ($1 == "PASS" ? "tests passed" : tolower($1)); count[key, kernel]++ }
		$2 != "bpf-tests" {
			key = "`" $2 "`" ($3 == "" ? "" : ": " $3)
			cell[key, kernel] = $1 == "PASS" ? "passed" : $1 == "SKIP" ? "skipped: " $4 : "**failed**: " $4
		}
		!(key in known) { known[key] = 1; order[++keys] = key }
		{ total[$1, kernel]++ }
		END {
			for (i = 1; i <= keys; i++) {
				printf "| %s |", order[i]
				for (k = 1; k <= kernel; k++)
					printf " %s |", (order[i], k) in count ? count[order[i], k] : \
						(order[i], k) in cell ? cell[order[i], k] : "-"
				printf "\n"
			}
			printf "| in all: passed, failed, skipped |"
			for (k = 1; k <= kernel; k++)
				printf " %d, %d, %d |", total["PASS", k], total["FAIL", k], total["SKIP", k]
			printf "\n"
		}' "${files[@]}"
	printf '\nLeft out of the guests:\n\n| test | because |\n| --- | --- |\n'
	sed -nE 's/^([a-z_0-9]+) +(.*)/| `\1` | \2 |/p' "$(dirname "$0")/left-out"
	# shellcheck disable=SC2016 # Markdown's
	printf '\nNot in the guests without `FULL=1`: %s.\n' "$(sed -n 's/^[a-z].*/`&`/p' "$(dirname "$0")/only-full" | paste -sd, | sed 's/,/, /g')"
}

table >"$results/table"
awk -v table="$results/table" '
	/^<!-- matrix -->$/ { print; while ((getline line <table) > 0) print line; skip = 1; next }
	/^<!-- end -->$/ { skip = 0 }
	!skip' "$document" >"$results/document"
cp "$results/document" "$document"
