# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# kernel_gateway.sh - a gateway of topology.sh whose ESP and AH are the kernel's; sourced after gateway.sh.

next_hop4() { outer4 "$(peer_of "$1")"; } # next_hop4 <gateway>: towards its peer
next_hop6() { outer6 "$(peer_of "$1")"; }

# It forwards, and routes the other side's prefixes to the peer; XFRM policies then decide.
kernel_gateway() { # kernel_gateway <gateway>
	local peer; peer=$(peer_of "$1")
	run "$1" ip xfrm state add src 192.0.2.9 dst 192.0.2.10 proto esp spi 0x999 mode tunnel \
		aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128 2>"$TMP/kernel.log" ||
		skip "this kernel has no ESP: $(cat "$TMP/kernel.log")"
	run "$1" ip xfrm state flush
	kernel_routes "$1" "$(net4 "$peer").0/24" "$(next_hop4 "$1")"
	kernel_routes "$1" "$(net6 "$peer"):/64" "$(next_hop6 "$1")"
}

# The kernel's half of gateway.sh's standard configuration: both tunnels, with aes-gcm-128 and ESN or AH with SHA-256.
kernel_standard() { # kernel_standard <gateway>
	local t sender algorithm me=$1 peer sel; peer=$(peer_of "$1")
	run "$1" ip xfrm state flush
	run "$1" ip xfrm policy flush
	for t in t4 t6; do
		for sender in gw1 gw2; do
			algorithm="aead rfc4106(gcm(aes)) 0x$(key_of $t $sender) 128"
			[ "$PROTOCOL" = esp ] || algorithm="auth-trunc hmac(sha256) 0x$(integrity_key_of $t $sender) 128"
			[ "$PROTOCOL$t" != aht4 ] || algorithm="flag align4 $algorithm"
			# shellcheck disable=SC2086 # words
			run "$1" ip xfrm state add src "$(outer_of $t $sender)" dst "$(outer_of $t "$(peer_of $sender)")" \
				proto "$PROTOCOL" spi "${SPI[$t-$sender]}" mode tunnel flag esn flag af-unspec replay-window 64 $algorithm
		done
	done
	for sel in "t6 $(net4 "$me").3/32 $(net4 "$peer").3/32" "t4 $(net6 "$me"):3/128 $(net6 "$peer"):3/128" \
		"t4 $(net4 "$me").0/24 $(net4 "$peer").0/24" "t6 $(net6 "$me"):/64 $(net6 "$peer"):/64"; do
		# shellcheck disable=SC2086 # words
		kernel_policies "$me" $sel
	done
}
outer_of() { if [ "$1" = t4 ]; then outer4 "$2"; else outer6 "$2"; fi; } # outer_of <tunnel> <gateway>

kernel_policies() { # kernel_policies <gateway> <tunnel> <local> <remote>: in the order of the calls
	local me peer; me=$(outer_of "$2" "$1") peer=$(outer_of "$2" "$(peer_of "$1")")
	KERNEL_PRIORITY=$((${KERNEL_PRIORITY:-0} + 1))
	run "$1" ip xfrm policy add src "$3" dst "$4" dir out priority $KERNEL_PRIORITY \
		tmpl src "$me" dst "$peer" proto "$PROTOCOL" mode tunnel
	for dir in in fwd; do
		run "$1" ip xfrm policy add src "$4" dst "$3" dir $dir priority $KERNEL_PRIORITY \
			tmpl src "$peer" dst "$me" proto "$PROTOCOL" mode tunnel
	done
}

# The rows of a table that $VMTEST_ROWS names, a verdict a line.
run_rows() { # run_rows <table>
	local status=0
	run gw1 "$PYTHON" "$(dirname "${BASH_SOURCE[0]}")/kernel_esp.py" "$NS" "$TMP" "$1" "${VMTEST_ROWS:-}" -- \
		"$XESP_BUILD/xesp" --pins "$(pins_of gw1)" --run "$TMP/gw1-run" || status=$?
	[ $status -eq 0 ] || die "rows failed"
}
