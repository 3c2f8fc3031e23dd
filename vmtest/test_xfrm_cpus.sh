#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The kernel's SAs of single CPUs (RFC 9611, Linux 6.13) with `source: xfrm`: xesp's worker on a CPU sends on that CPU's
# state, others on the one without. A CPU that has none is asked for in the kernel's name, where the policy wants that. A state of a CPU that comes, is rekeyed or goes is followed under traffic,
# and no packet is lost; gw2 is the kernel alone, which takes all of them.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/xfrm.sh"
need ethtool tshark "$PYTHON"
printf '6.13\n%s\n' "$(uname -r)" | sort -CV || skip "SAs of single CPUs are Linux 6.13's"

topology_up
for at in hostA/a0 gw1/in0 gw1/out0 wire/w1; do run "${at%/*}" ethtool -L "${at#*/}" rx 2 tx 2; done
kernel_gateway gw1
kernel_gateway gw2
# Two workers that share an SA may overtake each other by more than 64 packets where there are fewer CPUs than threads.
REPLAY_WINDOW=2048
xfrm_pair 0x1001 0x2001 1
xfrm_policies gw1 && xfrm_policies gw2

# An SA of one CPU from gw1; to gw2 it is one like any other.
cpu_state() { # cpu_state <spi> <cpu>
	local key; key=$(xxd -p -c 64 -l 20 /dev/urandom)
	run gw2 ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi "$1" mode tunnel reqid 1 \
		flag esn af-unspec replay-window 2048 aead 'rfc4106(gcm(aes))' "0x$key" 128
	run gw1 "$PYTHON" "$TOP/vmtest/xfrm_cpu.py" state 192.0.2.1 192.0.2.2 "$1" "$key" "$2"
}
TOP=$(cd "$HERE/../.." && pwd)
cpu_gone() { # cpu_gone <spi>: make before break, the sender's first
	run gw1 ip xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi "$1"
	until_ok 5 is_gone gw1 "$1"
	run gw2 ip xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi "$1"
}
is_gone() { ! sa_by_spi "$1" "$2" >/dev/null; }
cpu_shown() { sa_by_spi gw1 "$1" | jq .cpu; }

xfrm_config gw1
gateway_up gw1
dropped=$(all_drops gw1) # multicast of the hosts, before there was a route
cpu_of() { xesp gw1 status --json | jq ".xespd.workers[] | select(.queue == $1) | .cpu"; }
zero=$(cpu_of 0) one=$(cpu_of 1)

flows() { run hostA "$PYTHON" "$HERE/flows.py" send 10.2.0.2 40 "$1" "$2"; }
receive() { # sets RECEIVER
	rm -f "$TMP/received.json"
	start received.json hostB "$PYTHON" "$HERE/flows.py" receive 10.2.0.2
	RECEIVER=$STARTED
	until_ok 10 grep -q ready "$TMP/received.json"
}
receive # somebody must listen, or ICMP errors keep the sender from sending

# The policy asks for SAs of CPUs: forwarded packets, of which the kernel knows nothing, make that heard.
start asked.log gw1 "$PYTHON" "$TOP/vmtest/xfrm_cpu.py" listen
until_ok 10 grep -q ready "$TMP/asked.log"
flows 2 10
run gw1 "$PYTHON" "$TOP/vmtest/xfrm_cpu.py" policy 10.1.0.0/24 10.2.0.0/24 192.0.2.1 192.0.2.2
asked() { grep -q "^reqid 1 cpu $1 10.1.0.0/24 to 10.2.0.0/24, 192.0.2.1 to 192.0.2.2$" "$TMP/asked.log"; }
both_asked() { flows 1 10; asked "$zero" && asked "$one"; }
until_ok 10 both_asked
flows 2 10
expect_equal "times that an SA was asked for" "$(grep -c reqid "$TMP/asked.log")" 2
say "for CPU $zero and CPU $one an SA was asked for, once: $(grep reqid "$TMP/asked.log" | head -n 1)"

cpu_state 0x1041 "$one"
until_ok 5 is_active gw1 0x1041
expect_equal "CPU of 0x1041" "$(cpu_shown 0x1041)" "$one"
expect_equal "what xesp does not serve" "$(xesp gw1 sa --unserved)" "nothing: xesp serves all that the kernel has"

received() { tail -n 1 "$TMP/received.json" | jq "$1"; }
encapsulated() { xesp gw1 status --json | jq ".xespd.workers[] | select(.queue == $1) | .encap_packets"; }
all_encapsulated() { echo $(($(encapsulated 0) + $(encapsulated 1))); }
spis() { tshark -r "$1" -Y "esp && ip.src == 192.0.2.1" -T fields -e esp.spi 2>/dev/null | sort -u | tr '\n' ' '; }

before0=$(encapsulated 0) before1=$(encapsulated 1) for_all=$(packets_of gw1 0x1001)
capture wire w1
flows 10 20
stop_capture wire w1
until_at_least $((before0 + before1 + 400)) all_encapsulated
expect_equal "SPIs on the wire" "$(spis "$CAPTURE")" "0x00001001 0x00001041 "
expect_equal "packets of CPU $one's SA" "$(packets_of gw1 0x1041)" $(($(encapsulated 1) - before1))
expect_equal "packets of the SA for all" $(($(packets_of gw1 0x1001) - for_all)) $(($(encapsulated 0) - before0))
kernel_packets() { run "$1" ip -s xfrm state get src 192.0.2.1 dst 192.0.2.2 proto esp spi "$2" | sed -n 's/.*(bytes), \([0-9]*\)(packets).*/\1/p' | head -1; }
expect_equal "packets that gw2 took under it" "$(kernel_packets gw2 0x1041)" "$(packets_of gw1 0x1041)"
until_equal "$(packets_of gw1 0x1041)" kernel_packets gw1 0x1041
say "CPU $one: $(packets_of gw1 0x1041) packets under its state, which the kernel knows; CPU $zero: $(packets_of gw1 0x1001) under the one for all"

# Under traffic: the other CPU gets its own, one is rekeyed, one goes, all go.
stop "$RECEIVER" TERM
receive
flows 500 $((10 * PATIENCE)) &
PIDS+=($!)
sender=$!
pause 1; cpu_state 0x1043 "$zero"; until_ok 10 is_active gw1 0x1043
pause 2; cpu_state 0x1044 "$one"; until_ok 10 is_active gw1 0x1044; cpu_gone 0x1041
pause 1; cpu_gone 0x1043
pause 1; cpu_gone 0x1044
wait "$sender"
pause 1
stop "$RECEIVER" TERM
[ "$(received .packets)" -eq 20000 ] ||
	die "$(received .packets) of 20000 packets arrived; gw2's kernel: $(run gw2 grep -v ' 0$' /proc/net/xfrm_stat | tr -s '\t ' ' ' | tr '\n' ' ')"
expect_equal "reordered packets" "$(received .reordered)" 0
expect_equal "drops on gw1" "$(all_drops gw1)" "$dropped"
pings hostA 5 10.2.0.2
say "given to a CPU, rekeyed and taken away under $(received .packets) packets: all arrived, in order"
