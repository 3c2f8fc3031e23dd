#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# One queue spread over all threads: no flow is reordered, in neither direction, nothing that was received is dropped, while the
# configuration is read again; and no frame is missing from the pool when xespd ends.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need "$PYTHON"

XESPD_OPTIONS=(--spread always --batch 32)
topology_up
gateways_up
helpers() { xesp "$1" status --json | jq .xespd.spread.helpers; }
[ "$(helpers gw1)" -gt 0 ] || skip "one CPU: there are no helpers"

flows() { run "$1" "$PYTHON" "$HERE/flows.py" "${@:2}"; }
receive() { # receive <host> <address>: sets RECEIVER
	start "$1-received.json" "$1" "$PYTHON" "$HERE/flows.py" receive "$2"
	RECEIVER=$STARTED
	until_ok 10 grep -q ready "$TMP/$1-received.json"
}
result() { tail -n 1 "$TMP/$1-received.json" | jq "$2"; }

receive hostB 10.2.0.2; receiver_b=$RECEIVER
receive hostA 10.1.0.2; receiver_a=$RECEIVER
flows hostA send 10.2.0.2 25 3000 1 &
sender_a=$!
flows hostB send 10.1.0.2 25 3000 1 &
sender_b=$!
# Meanwhile both gateways read their configuration again, and a policy comes and goes with it.
for i in 1 2 3 4; do
	pause 0.4
	for gw in gw1 gw2; do
		write_config "$gw"
		[ $((i % 2)) = 0 ] || policy extra discard local 10.77.0.0/24 remote 10.78.0.0/24 >>"$TMP/$gw.yaml"
		xesp "$gw" reload >>"$TMP/reload.log" 2>&1 || die "reload: $(tail -n 3 "$TMP/reload.log")"
	done
done
wait "$sender_a" "$sender_b"
pause 0.5
stop "$receiver_a" TERM
stop "$receiver_b" TERM
for host in hostA hostB; do
	expect_equal "reordered packets at $host" "$(result $host .reordered)" 0
	expect_equal "flows at $host" "$(result $host .flows)" 25
	[ "$(result $host .packets)" -gt 20000 ] || die "only $(result $host .packets) packets came to $host"
done
say "of $(result hostA .packets) and $(result hostB .packets) packets in 25 flows each way none was reordered"

spread() { xesp "$1" status --json | jq "[.xespd.spread.threads[] | .$2 // 0] | add"; }
for gw in gw1 gw2; do
	[ "$(spread $gw packets)" -gt 40000 ] || die "$gw spread only $(spread $gw packets) packets"
	[ "$(spread $gw helped)" -gt 0 ] || die "nobody helped on $gw"
	for sa in t4-in t6-in; do expect_equal "packets of $sa late on $gw" "$(sa_field $gw $sa '.late | length')" 0; done
	# What came while the worker had no CPU is no matter of order.
	expect_equal "drops on $gw" "$(($(all_drops $gw) - $(counter $gw rx-full)))" 0
	xesp $gw status | grep -q "spread over many cores: always" || die "xesp status on $gw does not say so"
done
say "helpers did $(spread gw1 helped) of $(spread gw1 packets) packets on gw1, $(spread gw2 helped) of $(spread gw2 packets) on gw2"

# The configuration says otherwise, and then nothing again: xespd's own option holds.
mode() { xesp gw1 status --json | jq -r .xespd.spread.mode; }
for way in never auto; do
	write_config gw1
	echo "spread: $way" >>"$TMP/gw1.yaml"
	xesp gw1 reload >/dev/null
	expect_equal "the way of gw1" "$(mode)" "$way"
	pings hostA 5 10.2.0.2
done
write_config gw1
xesp gw1 reload >/dev/null
expect_equal "the way of gw1" "$(mode)" always
pings hostA 5 10.2.0.2
say "never, auto and always by reloads, and nobody missed a ping"

for gw in gw1 gw2; do
	kill -TERM "$(pid_of $gw xespd)"
	until_ok 5 gone "$(pid_of $gw xespd)"
	! grep -q "but .* free" "$TMP/$gw-xespd.log" || die "frames are missing on $gw: $(tail -n 3 "$TMP/$gw-xespd.log")"
done
say "no frame is missing"
