# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# kernel_gateway.sh - a gateway of topology.sh whose ESP and AH are the kernel's; sourced after gateway.sh.

# It forwards, and routes the other side's prefixes to the peer; XFRM policies then decide.
kernel_gateway() { # kernel_gateway <gateway>
	local peer; peer=$(peer_of "$1")
	run "$1" ip xfrm state add src 192.0.2.9 dst 192.0.2.10 proto esp spi 0x999 mode tunnel \
		aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128 2>"$TMP/kernel.log" ||
		skip "this kernel has no ESP: $(cat "$TMP/kernel.log")"
	run "$1" ip xfrm state flush
	kernel_routes "$1" "$(net4 "$peer").0/24" "$(outer4 "$peer")"
	kernel_routes "$1" "$(net6 "$peer"):/64" "$(outer6 "$peer")"
}

# The rows of a table that $VMTEST_ROWS names, a verdict a line.
run_rows() { # run_rows <table>
	local status=0
	run gw1 "$PYTHON" "$(dirname "${BASH_SOURCE[0]}")/kernel_esp.py" "$NS" "$TMP" "$1" "${VMTEST_ROWS:-}" -- \
		"$XESP_BUILD/xesp" --pins "$(pins_of gw1)" --run "$TMP/gw1-run" || status=$?
	[ $status -eq 0 ] || die "rows failed"
}
