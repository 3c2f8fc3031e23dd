#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# An SA for each CPU by IKE (RFC 9611): strongSwan 6 on both ends with per_cpu_sas, Linux 6.13 or newer. What is
# forwarded makes xesp ask, in the kernel's name, for SAs of the CPUs of its workers; strongSwan negotiates them; and
# each worker sends on its own from then on. No packet is lost on the way.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
[ -n "${XESP_STRONGSWAN6:-}" ] || skip "no strongSwan 6: vmtest/run.sh takes it from Debian sid"
printf '6.13\n%s\n' "$(uname -r)" | sort -CV || skip "SAs of single CPUs are Linux 6.13's"
STRONGSWAN=$XESP_STRONGSWAN6
PLUGINS="random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints kdf kernel-netlink socket-default vici"
ike_needs
need ethtool "$PYTHON"

children() { # as ike.sh's, IPv4 alone
	local me=$1 peer; peer=$(peer_of "$1")
	child net "$(net4 "$me").0/24" "$(net4 "$peer").0/24" "start_action = trap
        per_cpu_sas = yes
        replay_window = 2048"
}

topology_up
for at in hostA/a0 gw1/in0 gw1/out0 wire/w1; do run "${at%/*}" ethtool -L "${at#*/}" rx 2 tx 2; done
kernel_gateway gw1
kernel_gateway gw2
xfrm_config gw1
mirror_up gw1
cpu_of() { xesp gw1 status --json | jq ".xespd.workers[] | select(.queue == $1) | .cpu"; }
zero=$(cpu_of 0) one=$(cpu_of 1)
ike_start gw1
ike_start gw2
ike_initiate gw1
first=$(spis_of gw1)
until_ok 10 is_active gw1 "$first"
run gw1 ip xfrm policy list dir out | grep -q 'flag 4\|cpu' || die "strongSwan's policy does not ask for SAs of CPUs: $(run gw1 ip xfrm policy)"

flows() { run hostA "$PYTHON" "$HERE/flows.py" send 10.2.0.2 40 "$1" "$2"; }
received() { tail -n 1 "$TMP/received.json" | jq "$1"; }
receive() { # sets RECEIVER
	rm -f "$TMP/received.json"
	start received.json hostB "$PYTHON" "$HERE/flows.py" receive 10.2.0.2
	RECEIVER=$STARTED
	until_ok 10 grep -q ready "$TMP/received.json"
}
all_arrived() { # all_arrived <packets>
	pause 1
	stop "$RECEIVER" TERM
	[ "$(received .packets)" -eq "$1" ] ||
		die "$(received .packets) of $1 packets arrived; gw2's kernel: $(run gw2 grep -v ' 0$' /proc/net/xfrm_stat | tr -s '\t ' ' ' | tr '\n' ' ')"
	expect_equal "reordered packets" "$(received .reordered)" 0
}
receive
flows 300 $((10 * PATIENCE)) &
PIDS+=($!)
sender=$!
out_sas() { xesp gw1 sa --json | jq "[.sas[] | select(.direction == \"out\" and .state == \"active\") | .cpu] | sort | map(tostring) | join(\" \")" -r; }
both_there() { [ "$(out_sas)" = "$(printf '%s\n' null "$zero" "$one" | sort | paste -sd ' ')" ] || [ "$(out_sas)" = "null $zero $one" ]; }
until_ok 20 both_there
wait "$sender"
all_arrived 12000
say "beside the first CHILD_SA one for CPU $zero and one for CPU $one; all of 12000 packets arrived meanwhile"
receive
of_cpu() { xesp gw1 sa --json | jq "[.sas[] | select(.cpu == $1 and .direction == \"out\") | .packets] | add"; }
before=$(packets_of gw1 "$first") zero_before=$(of_cpu "$zero") one_before=$(of_cpu "$one")
flows 10 10
sum() { echo $(($(of_cpu "$zero") - zero_before + $(of_cpu "$one") - one_before)); }
until_equal 400 sum
expect_equal "packets under the first" "$(packets_of gw1 "$first")" "$before"
all_arrived 400
say "400 more, all under the SAs of the CPUs: $(of_cpu "$zero") and $(of_cpu "$one") in all"
