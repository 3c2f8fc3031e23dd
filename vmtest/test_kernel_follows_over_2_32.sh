#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# xesp sends beyond number 2^32 and the kernel follows, also when the packets at the edge are lost: RFC 4303
# appendix A2, RFC 4302 appendix B2. (The other direction is in kernel_esp.cases: esn-edge.) The numbers
# get there as in tests/netns/test_numbers_carry_and_end.sh: a lease of nearly all of them is lost with the memory.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../tests/netns/topology.sh"
. "$(dirname "$0")/../tests/netns/gateway.sh"
. "$(dirname "$0")/kernel_gateway.sh"

kernel_state() { # kernel_state <tunnel>: what the kernel knows of the SA that xesp sends on
	run gw2 ip -s xfrm state get src "$(outer_of "$1" gw1)" dst "$(outer_of "$1" gw2)" proto "$PROTOCOL" spi "${SPI[$1-gw1]}"
}
highest() { # highest <tunnel>: the highest number it took
	local hi lo
	read -r hi lo < <(kernel_state "$1" | sed -n 's/.* seq-hi 0x\([0-9a-f]*\), seq 0x\([0-9a-f]*\), .*/\1 \2/p')
	echo $(((16#$hi << 32) + 16#$lo))
}
figures() { kernel_state "$1" | sed -n '/stats:/{n;p}' | tr -s ' \t' ' '; }

over_the_edge() { # over_the_edge <tunnel> <destination>
	run hostA ping -q -c 2 -i 0.1 -W $((2 * PATIENCE)) "$2" >"$TMP/ping.log" || die "no answer before the edge of $1: $(tail -n 2 "$TMP/ping.log")"
	expect_equal "$1: the kernel's highest number" "$(highest "$1")" 4294967292
	wire_cut
	run hostA ping -q -c 7 -i 0.1 -W 0.1 "$2" >"$TMP/ping.log" 2>&1 || true
	wire_mend
	pings hostA 70 "$2"
	expect_equal "$1: the kernel's highest number" "$(highest "$1")" $((4294967292 + 77))
	case $(figures "$1") in
	*"replay-window 0 replay 0 failed 0"*) ;;
	*) die "$1: the kernel refused some: $(figures "$1")" ;;
	esac
	expect_equal "drops of gw1" "$(all_drops gw1)" 0
	say "$PROTOCOL, $1: 4294967292, seven lost, then up to $(highest "$1")"
}

topology_up
kernel_gateway gw2
LEASE=4294967290
for PROTOCOL in esp ah; do
	kernel_standard gw2
	gateway_up gw1
	pings hostA 70 10.2.0.2
	pings hostA 70 2001:db8:2::2
	lose_power gw1
	power_again gw1
	over_the_edge t4 10.2.0.2
	over_the_edge t6 2001:db8:2::2
	gateway_down gw1
	forget_state gw1
done
