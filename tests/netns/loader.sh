# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# loader.sh - two interfaces to attach to, and nothing else running; sourced after topology.sh.
#
#   hostA            gw1            wire
#   [a0]---[in0            out0]---[w1]
#
# Only the command xesp is needed, and only gw1's interfaces are touched.

XESP=$(cd "$HERE/../.." && cd "${XESP_BUILD:-build/release}" && pwd)/xesp || exit 1
readonly XESP
[ -x "$XESP" ] || { echo "no $XESP: run make"; exit 1; }
readonly PINS=/sys/fs/bpf/$NS-gw1

xesp() { run gw1 "$XESP" --pins "$PINS" --run "$TMP" "$@"; }

detach_all() {
	local dir
	for dir in "$PINS" "$PINS-other"; do
		[ ! -e "$dir" ] || run gw1 "$XESP" --pins "$dir" --run "$TMP" detach --purge >/dev/null 2>&1 ||
			rm -rf "$dir"
	done
}
CLEANERS+=(detach_all)

loader_up() {
	local ns
	need ip nsenter ethtool jq bpftool
	mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
	for ns in hostA gw1 wire; do
		ip netns add "$NS-$ns"
		run "$ns" ip link set lo up
	done
	link hostA a0 gw1 in0
	link gw1 out0 wire w1
	for ns in "gw1 in0" "gw1 out0" "hostA a0" "wire w1"; do
		# shellcheck disable=SC2086 # two words: namespace and interface
		until_ok 5 carrier $ns
	done
}

# All that attaching may change: the links of gw1 in every detail, the offloads of both ends of each
# pair, and the pins. Counters are left out by not asking for them.
everything() {
	local ns
	for ns in gw1 hostA wire; do
		run "$ns" ip -d -j link show | jq -S .
	done
	run gw1 ethtool -k in0; run gw1 ethtool -k out0
	run hostA ethtool -k a0; run wire ethtool -k w1
	ls -AR "$PINS" 2>&1
	[ ! -e "$PINS/xesp_ifaces" ] || bpftool -j map dump pinned "$PINS/xesp_ifaces"
}

program_on() { run gw1 ip -j link show dev "$1" | jq -r '.[0].xdp.prog.id // empty'; } # program_on <if>
link_on() { bpftool -j link show pinned "$PINS/links/$1" | jq -r .id; }                # link_on <if>

succeeds() { # succeeds <what> <arguments of xesp>...
	local what=$1; shift
	xesp "$@" >"$TMP/xesp.log" 2>&1 || die "$what: $(cat "$TMP/xesp.log")"
}

# Refused with exit status 1 and one sentence that matches, and everything is as it was.
refused() { # refused <what> <pattern> <arguments of xesp>...
	local what=$1 pattern=$2 before status=0; shift 2
	before=$(everything)
	xesp "$@" >"$TMP/refused.out" 2>"$TMP/refused.log" || status=$?
	[ "$status" = 1 ] || die "$what: exit status $status: $(cat "$TMP/refused.log")"
	grep -qE "$pattern" "$TMP/refused.log" || die "$what: it says: $(cat "$TMP/refused.log")"
	[ "$(wc -l <"$TMP/refused.log")" = 1 ] || die "$what: more than a sentence: $(cat "$TMP/refused.log")"
	unchanged "$what" "$before"
	say "$what: $(cat "$TMP/refused.log")"
}

unchanged() { # unchanged <what> <everything before>
	local now; now=$(everything)
	[ "$now" = "$2" ] || die "$1: something changed: $(diff <(echo "$2") <(echo "$now") | head -n 20)"
}

# A program of somebody else's: foreign_program <file>
foreign_program() {
	need clang
	clang -target bpf -O2 -g -x c -c -o "$1" -idirafter "/usr/include/$(gcc -print-multiarch)" - <<-END
		#include <linux/bpf.h>
		__attribute__((section("xdp"), used)) int foreign(struct xdp_md *ctx) { return XDP_PASS; }
		char _license[] __attribute__((section("license"), used)) = "GPL";
	END
}
