#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `make demo` interrupted by Ctrl-C, as a terminal does it (SIGINT to the whole process group), while
# it sets up, pings, and transfers: no namespace, pin, process or file of it is left.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need ip nc iperf3 xxd tar

left() { # left <pid of the demo>
	ls -d /run/netns/xesp-"$1"-* /sys/fs/bpf/xesp-"$1"-* \
		"${TMPDIR:-/tmp}"/xesp-"$1"-* 2>/dev/null || true
	pgrep -a -g "$1" | grep -v '<defunct>' || true # one that has ended, and that its parent has yet to be told of
}

# A job of its own process group, with SIGINT not ignored as it is for a script's other children.
interrupt_at() { # interrupt_at <text that it must have printed>
	local out="$TMP/demo.log" demo
	set -m
	"$HERE/demo.sh" "$XESP_BUILD" >"$out" 2>&1 </dev/null &
	demo=$!
	set +m
	PIDS+=("$demo")
	until_ok 60 grep -q -e "$1" "$out"
	[ -n "$(left "$demo")" ] || die "nothing of the demo was there to be left behind"
	kill -INT -- "-$demo"
	wait "$demo" && die "the demo was interrupted and says that all is well"
	expect_equal "left after Ctrl-C at '$1'" "$(left "$demo")" ""
	tail -n 1 "$out" | grep -qE '^[0-9]+ passed, [1-9][0-9]* failed, [0-9]+ skipped$' ||
		die "the last line is: $(tail -n 1 "$out")"
	say "interrupted at '$1': nothing left"
}

interrupt_at 'gw2# ip -br addr'
interrupt_at 'its two daemons start'
interrupt_at 'icmp_seq=2'
interrupt_at 'MB over TCP'
