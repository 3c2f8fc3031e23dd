#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Each bench program, as briefly as it can: it ends well, and every figure of its JSON is there and above zero. What
# the figures are is no matter here.
set -u
cd "$(dirname "$0")/../.." || exit 70
build=${XESP_BUILD:-build/release}
dir=$(mktemp -d) || exit 70
trap 'rm -rf "$dir"' EXIT

# verdict <name> <what must hold of its JSON> <command...>; the command leaves it in $dir/json or on its output
verdict() {
	local name=$1 claim=$2 status; shift 2
	rm -f "$dir/json"
	"$@" >"$dir/out" 2>"$dir/err"
	status=$?
	[ -e "$dir/json" ] || mv "$dir/out" "$dir/json"
	if [ $status -eq 77 ]; then
		echo "SKIP $name: $(sed -n 's/^SKIP: //p' "$dir/json")"
	elif [ $status -eq 0 ] && jq -es "map($claim) | length > 0 and all" "$dir/json" >/dev/null 2>"$dir/jq"; then
		echo "PASS $name"
	else
		echo "FAIL $name"
		echo "  exit status $status; JSON must satisfy: $claim"
		{ tail -n 20 "$dir/err" "$dir/jq" "$dir/json"; echo; } 2>/dev/null | sed 's/^/  /'
	fi
}

three='(.min > 0 and .min <= .median and .median <= .max)'
verdict "crypto" "(.rows | length > 40 and all(.[]; (.encrypt_ns | $three) and (.decrypt_ns | $three)))
	and (.version != null and .kernel != null)" \
	"$build/xesp" bench crypto --json --rounds 1 --sizes 64
verdict "crypto, of 9000 bytes" ".rows | length == 1 and all(.[]; .chosen and .bytes == 9000 and (.encrypt_ns | $three))" \
	"$build/xesp" bench crypto --json --rounds 2 --sizes 9000 --engine auto --suite aes-gcm-16/128
if [ -x "$build/tests/bench/calls" ]; then
	verdict "calls" "(.rows | length == 111 and all(.[]; (.encrypt_ns | $three) and (.decrypt_ns | $three)))" \
		"$build/tests/bench/calls" --json --rounds 1
else
	echo "SKIP calls: it was built without libipsec-mb-dev"
fi
verdict "pipeline" ".rows | length == 4 and all(.[]; (.whole_ns | $three) and (.crypto_ns | $three) and .instructions_beside > 100
	and (.parts | length > 10 and all(.[]; .ns.min >= 0 and .instructions >= 0)))" \
	"$build/xesp" bench pipeline --json --rounds 1 --sizes 64 --tunnels 1,1000
verdict "pipeline, of 9000 bytes by openssl" ".engine == \"openssl\" and (.rows | length == 2 and all(.[]; .whole_ns | $three))" \
	"$build/xesp" bench pipeline --json --rounds 1 --sizes 9000 --tunnels 10 --engine openssl --no-instructions
verdict "cores" "(.rows | length == 48 and all(.[]; (.ns | $three) and (.ratio | $three)))" \
	"$build/tests/bench/cores" --json --rounds 1 --threads 2

if [ "$(id -u)" != 0 ]; then
	for name in "sockets" "policies" "topology" "tunnels" "TCP"; do echo "SKIP $name: needs root"; done
	exit 0
fi
verdict "sockets" '.rows | (map(.way) | sort == ["alone", "dispatch", "flow", "turn"]) and all(.[]; .pps > 0 and .cpu_ns > 0 and .lost == 0)
	and all(.[] | select(.way == "alone" or .way == "dispatch"); .late == 0)' \
	tests/bench/sockets.sh --rounds 1 --seconds 0.1 --sizes 1420 --engines openssl --json "$dir/json"
verdict "policies" '.spd | length == 2 and all(.[]; all(.hot_ns[], .cold_ns[]; . > 0))' \
	"$build/tests/bench/spd" --json --rounds 1 --policies 10
verdict "topology" '(.rows | length == 8 and all(.[]; .label == "crypto" or .label == "generator" or
	(.pps.median > 0 and .cpu_ns.median > 0 and .lost == 0)))
	and (.limits | length == 2 and all(.[]; .share.median > 0)) and .machine != null' \
	tests/bench/topology.sh --rounds 1 --seconds 0.1 --sizes 1420 --no-peers --json "$dir/json"
verdict "tunnels" '.rows | length == 4 and all(.[]; .pps.median > 0 and .cpu_ns.median > 0 and .xdp_ns.median > 0 and .lost == 0)
	and all(.[]; .ratio_cpu_ns.min > 0 and .ratio_all_ns.max >= .ratio_all_ns.median)' \
	tests/bench/tunnels.sh --tunnels 1,100 --rounds 1 --seconds 0.1 --sizes 512 --json "$dir/json"
verdict "TCP" '.measurements | length == 3 and all(.[]; .mbps > 1) and any(.[]; .mode == "xesp" and .gateways_cpu > 0)' \
	tests/bench/tcp.sh --rounds 1 --seconds 1 --streams 1 --json "$dir/json"
