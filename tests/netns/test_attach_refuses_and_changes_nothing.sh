#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What `xesp attach` cannot do well it refuses, in one sentence, and then interfaces, offloads,
# pins and rows are what they were before; also when the first of two interfaces was done already.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/loader.sh"
loader_up
run gw1 ip link add br0 type bridge # a device whose driver has no XDP

# --- nothing attached yet -------------------------------------------------------------------------
refused "missing interface" "no interface is called 'eth99'" attach --inner in0 --outer eth99
refused "no native mode on a bridge" 'br0: .*native mode' attach --inner in0 --outer br0 --mode native
refused "--replace with nothing attached" 'nothing is attached' attach --replace
xesp attach --inner in0 --max-sas 0 >/dev/null 2>&1 && die "--max-sas 0 was accepted"
xesp attach >/dev/null 2>&1 && die "attach without interfaces was accepted"

run gw1 ip link set out0 mtu 9217
run wire ip link set w1 mtu 9217
refused "MTU 9217 on the second interface" "out0: .*MTU of 9217 .*at most (9216|3498 under this kernel)" attach --inner in0 --outer out0
run gw1 ip link set out0 mtu 1500
run wire ip link set w1 mtu 1500

# --- somebody else's program ----------------------------------------------------------------------
foreign_program "$TMP/foreign.o"
for mode in xdpdrv xdpgeneric; do
	run gw1 ip link set dev out0 $mode obj "$TMP/foreign.o" sec xdp
	id=$(program_on out0)
	refused "foreign program, $mode" "out0: XDP program $id \('foreign'\).*dev out0 $mode off" \
		attach --inner in0 --outer out0
	[ "$(program_on out0)" = "$id" ] || die "the foreign program is no longer there"
	run gw1 ip link set dev out0 $mode off
done
run gw1 "$XESP" --pins "$PINS-other" --run "$TMP" attach --outer out0 >/dev/null || die "attach elsewhere"
if [ -e "$PINS-other/links/out0" ]; then
	refused "a program held by somebody else's link" \
		"another xesp .*detach id $(bpftool -j link show pinned "$PINS-other/links/out0" | jq .id)" \
		attach --inner in0 --outer out0
fi
run gw1 "$XESP" --pins "$PINS-other" --run "$TMP" detach --purge >/dev/null || die "detach elsewhere"

# --- places for the pins --------------------------------------------------------------------------
elsewhere() { # elsewhere <what> <directory> <pattern>
	if run gw1 "$XESP" --pins "$2" attach --inner in0 >/dev/null 2>"$TMP/refused.log"; then
		die "$1: accepted"
	fi
	grep -q "$3" "$TMP/refused.log" || die "$1: $(cat "$TMP/refused.log")"
	[ -z "$(program_on in0)" ] || die "$1: attached nevertheless"
	say "$1: $(cat "$TMP/refused.log")"
}
elsewhere "pins on no bpffs" "$TMP/pins" 'not on a bpffs'
[ ! -e "$TMP/pins" ] || die "a directory was left behind"
elsewhere "pins all over a bpffs" /sys/fs/bpf 'a whole bpffs'
elsewhere "a relative directory" pins 'absolute path'

# --- attached already -----------------------------------------------------------------------------
succeeds "attach" attach --inner in0 --outer out0 --max-sas 64 --max-policies 32
refused "attached twice" 'in0: already attached.*--replace' attach --inner in0 --outer out0
refused "attached, and one more" 'out0: already attached' attach --outer out0 --inner br0
refused "another role" 'out0: attached as outer, not both' attach --replace --outer out0 --inner out0
refused "another mode" 'native mode, and --replace keeps' attach --replace --outer out0 --mode generic
refused "another size" 'for 64 SAs and 32 policies' attach --inner br0 --max-sas 128
refused "purge with one left" 'in0 would still be attached' detach out0 --purge
refused "detaching what is not" 'br0 is not attached' detach br0

# --- a kernel without AF_XDP ----------------------------------------------------------------------
# None is at hand; a seccomp filter answers socket(AF_XDP) as such a kernel would.
without_af_xdp() {
	run gw1 "$PYTHON" - "$XESP" --pins "$PINS-other" --run "$TMP" attach --inner br0 <<-'END'
		import ctypes, os, platform, struct, sys
		socket_nr, arch = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}[platform.machine()]
		AF_XDP, EAFNOSUPPORT = 44, 97
		code = [(0x20, 0, 0, 4), (0x15, 0, 4, arch), (0x20, 0, 0, 0), (0x15, 0, 2, socket_nr),
		        (0x20, 0, 0, 16), (0x15, 1, 0, AF_XDP), (0x06, 0, 0, 0x7FFF0000),
		        (0x06, 0, 0, 0x00050000 | EAFNOSUPPORT)]
		insns = b"".join(struct.pack("HBBI", *i) for i in code)
		buf = ctypes.create_string_buffer(insns, len(insns))
		prog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buf)))
		libc = ctypes.CDLL(None, use_errno=True)
		if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, prog, 0, 0):
		    sys.exit(77)
		os.execv(sys.argv[1], sys.argv[1:])
	END
}
status=0
without_af_xdp >"$TMP/refused.log" 2>&1 || status=$?
[ "$status" = 1 ] || die "without AF_XDP: exit status $status: $(cat "$TMP/refused.log")"
grep -q 'this kernel has no AF_XDP' "$TMP/refused.log" || die "without AF_XDP: $(cat "$TMP/refused.log")"
[ ! -e "$PINS-other" ] || die "without AF_XDP: pins were made"
say "without AF_XDP: $(cat "$TMP/refused.log")"
