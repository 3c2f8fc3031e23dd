#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `xesp explain` is held against what happens: each packet of a table is explained, then sent, and the counters
# that moved must be those of the answer: the drop's reason, the SA, the policy that let it pass. Explaining
# itself moves none.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"

topology_up
# t5 has no SA, g is a group of both others.
tunnel_keys() { # in the list of tunnels, behind the last one
	[ "$2" = t6 ] || return 0
	printf '  - name: t5\n    local: %s\n    remote: 192.0.2.99\n' "$(outer4 "$1")"
}
policies() {
	local us peer
	us=$(net4 "$1") peer=$(net4 "$(peer_of "$1")")
	policy in-clear bypass local "$us.3/32" remote "$peer.3/32"
	if [ "$1" = gw2 ]; then # lets out more than gw1 lets in
		policy v4 protect tunnel t4 local "$us.0/16" remote "$peer.0/16"
		policy v6 protect tunnel t6 local "$(net6 gw2):/64" remote "$(net6 gw1):/64"
		return
	fi
	policy not-7001 discard local "$us.0/24" remote "$peer.0/24" protocol tcp remote_ports 7001
	policy web protect tunnel t4 local "$us.0/24" remote "$peer.0/24" protocol tcp remote_ports '[80, 443, 7000-7010]'
	policy high protect tunnel t6 local "$us.2/32" remote "$peer.0/24" protocol udp remote_ports 5000-5999
	policy no-sa protect tunnel t5 local "$us.0/24" remote 10.2.5.0/24
	policy both protect tunnel g local "$us.0/24" remote 10.2.6.0/24
	policy ping protect tunnel t4 local "$us.0/24" remote "$peer.0/24" protocol icmp icmp_type '[0, 8]'
	policy v6 protect tunnel t6 local "$(net6 gw1):/64" remote "$(net6 gw2):/64" protocol tcp
	policy out-only protect tunnel t4 local "$us.0/24" remote 10.2.7.0/24 direction out
	printf 'groups:\n  - name: g\n    tunnels: [t4, t6]\n'
}
gateways_up
kernel_routes gw1 10.2.0.3/32 192.0.2.2

# All that moves when packets come: "drop no-policy 3", "sa t4-out 12", "pass in-clear 7".
moved() {
	{ xesp gw1 counters --json && xesp gw1 sa --json && xesp gw1 policy --json; } | jq -r '
		(.drops // {} | objects | to_entries[] | "drop \(.key) \(.value)"),
		(.sas // [] | .[] | select(.packets > 0) | "sa \(.name) \(.packets)"),
		(.policies // [] | .[] | select(.packets > 0 and .action == "bypass") | "pass \(.name) \(.packets)")' |
		LC_ALL=C sort
}
# The line that is another one than before; a packet moves one.
difference() { LC_ALL=C comm -13 "$TMP/before" "$TMP/after" | cut -d' ' -f1,2 | paste -sd, -; }
is_different() { moved >"$TMP/after"; [ -n "$(difference)" ]; }

explained() { # explained <member of the answer> <arguments of explain>...: in the same words
	local member=$1; shift
	xesp gw1 explain --json "$@" | jq -r "(.policy.name // \"\") as \$policy | (.xespd.sa.name // \"\") as \$sa |
		(.tunnels[0].sas[0].name // \"\") as \$in | $member |
		if .verdict == \"drop\" then \"drop \(.reason)\"
		elif .verdict == \"bypass\" then \"pass \(\$policy)\"
		elif .verdict == \"protect\" or .verdict == \"accept\" then \"sa \" + (if \$sa == \"\" then \$in else \$sa end) else .verdict end"
}

# check <what> <answer> <command that sends>...: the answer of explain, and what the packet does.
check() {
	local what=$1 answer=$2; shift 2
	"$@"
	until_ok 5 is_different
	expect_equal "$what" "$(difference)" "$answer"
	mv "$TMP/after" "$TMP/before"
	ROWS=$((ROWS + 1))
}
ROWS=0
moved >"$TMP/before"

send() { # send <ns> <interface> <mac> <arguments of packet.py>...
	local ns=$1; shift
	run "$ns" "$PYTHON" "$HERE/packet.py" "$@"
}
AS_NUMBERS=()
as_numbers() { # the same packet for packet.py, which wants both ports: tcp 443 -> tcp 49152 443
	AS_NUMBERS=("$@")
	case ${3:-}/$# in tcp/4 | udp/4) AS_NUMBERS=("$1" "$2" "$3" 49152 "$4" ) ;; esac
}

# Out: local remote [protocol [numbers]] [--size n]
while read -r expected words; do
	read -ra line <<<"$words"
	size=84 arguments=()
	for word in "${line[@]}"; do case $word in size=*) size=${word#size=} ;; *) arguments+=("$word") ;; esac; done
	answer=$(explained . --size "$size" "${arguments[@]}")
	expect_equal "explain $words" "$answer" "${expected/\// }"
	as_numbers "${arguments[@]}"
	check "out: $words" "$answer" send hostA a0 "$(mac gw1 in0)" "${AS_NUMBERS[@]}" "size=$size"
done <<'TABLE'
sa/t4-out 10.1.0.2 10.2.0.2
sa/t4-out 10.1.0.2 10.2.0.2 icmp 8 0
sa/t4-out 10.1.0.2 10.2.0.2 icmp 0
drop/no-policy 10.1.0.2 10.2.0.2 icmp 13
sa/t4-out 10.1.0.2 10.2.0.2 tcp 443
sa/t4-out 10.1.0.2 10.2.0.2 tcp 1024 7000
sa/t4-out 10.1.0.2 10.2.0.2 tcp 1024 7010
drop/discard 10.1.0.2 10.2.0.2 tcp 7001
drop/no-policy 10.1.0.2 10.2.0.2 tcp 7011
drop/no-policy 10.1.0.2 10.2.0.2 tcp 443 1024
sa/t6-out 10.1.0.2 10.2.0.9 udp 5999
drop/no-policy 10.1.0.4 10.2.0.9 udp 5999
drop/no-policy 10.1.0.2 10.2.0.9 udp 6000
drop/no-policy 10.1.0.2 10.2.0.9 gre
pass/in-clear 10.1.0.3 10.2.0.3
pass/in-clear 10.1.0.3 10.2.0.3 gre
drop/no-sa-out 10.1.0.2 10.2.5.1
drop/no-sa-out 10.1.0.2 10.2.5.1 udp 1 2
sa/t6-out 2001:db8:1::2 2001:db8:2::2 tcp 22
drop/no-policy 2001:db8:1::2 2001:db8:2::2 udp 22
drop/no-policy 2001:db8:1::2 2001:db8:2::2
sa/t4-out 10.1.0.2 10.2.0.2 tcp 80 size=1400
drop/too-big 10.1.0.2 10.2.0.2 tcp 80 size=1500
drop/too-big 2001:db8:1::2 2001:db8:2::2 tcp 22 size=1480
sa/t4-out 10.1.0.2 10.2.7.1
TABLE

# To the byte: what is told to fit does, and one more does not.
fits=$(xesp gw1 explain --json 10.1.0.2 10.2.0.2 | jq .xespd.inner_mtu)
expect_equal "inner MTU told to hosts" "$fits" "$(sa_field gw1 t4-out .path.inner_mtu)"
check "the largest that fits" "sa t4-out" send hostA a0 "$(mac gw1 in0)" 10.1.0.2 10.2.0.2 size="$fits"
check "one byte more" "drop too-big" send hostA a0 "$(mac gw1 in0)" 10.1.0.2 10.2.0.2 size=$((fits + 1))

# Of a group each flow takes the tunnel that is told, and both are taken.
for port in $(seq 1 12); do
	answer=$(explained . 10.1.0.2 10.2.6.7 tcp 1000 "$port")
	check "group, port $port" "$answer" send hostA a0 "$(mac gw1 in0)" 10.1.0.2 10.2.6.7 tcp 1000 "$port"
	echo "$answer"
done >"$TMP/group"
expect_equal "SAs of the group that were told" "$(sort -u "$TMP/group" | paste -sd, -)" "sa t4-out,sa t6-out"

# In clear from outside: local remote ..., as seen from gw1.
while read -r expected words; do
	read -ra w <<<"$words"
	answer=$(explained .in_clear --in "${w[@]}")
	expect_equal "explain --in $words" "$answer" "${expected/\// }"
	as_numbers "${w[@]}"
	# From outside the remote end is the source.
	numbers=("${AS_NUMBERS[@]:3}")
	case ${w[2]:-} in tcp | udp) numbers=("${AS_NUMBERS[4]}" "${AS_NUMBERS[3]}") ;; esac
	check "in clear: $words" "$answer" send wire w1 "$(mac gw1 out0)" "${w[1]}" "${w[0]}" "${w[@]:2:1}" "${numbers[@]}"
done <<'TABLE'
drop/clear-protected 10.1.0.2 10.2.0.2
drop/no-policy 10.1.0.2 10.2.0.2 icmp 13
drop/clear-protected 10.1.0.2 10.2.0.2 tcp 1024 443
drop/discard 10.1.0.2 10.2.0.2 tcp 1024 7001
drop/no-policy 10.1.0.2 10.2.0.2 tcp 443 1024
pass/in-clear 10.1.0.3 10.2.0.3
drop/no-policy 10.1.0.2 10.2.7.1
drop/clear-protected 2001:db8:1::2 2001:db8:2::2 tcp 22 22
drop/clear-protected 10.1.0.1 10.2.0.2 icmp 8
TABLE

# Out of a tunnel: gw2 lets out what gw1 may not take.
while read -r expected words; do
	read -ra w <<<"$words"
	answer=$(explained .out_of_a_tunnel --in "${w[@]}")
	expect_equal "explain --in $words" "$answer" "${expected/\// }"
	numbers=("${w[@]:3}")
	case ${w[2]:-} in tcp | udp) numbers=("${w[4]}" "${w[3]}") ;; esac
	check "out of a tunnel: $words" "$answer" send hostB b0 "$(mac gw2 in0)" "${w[1]}" "${w[0]}" "${w[@]:2:1}" "${numbers[@]}"
done <<'TABLE'
sa/t4-in 10.1.0.2 10.2.0.2
sa/t4-in 10.1.0.2 10.2.0.2 tcp 1024 443
drop/selector-mismatch 10.1.0.2 10.2.0.2 tcp 443 1024
drop/selector-mismatch 10.1.0.2 10.2.0.2 tcp 1024 7001
drop/selector-mismatch 10.1.0.2 10.2.0.2 icmp 13
drop/selector-mismatch 10.1.0.2 10.2.7.1
TABLE

# This machine's own, by xesp0. Telling so much moved nothing.
moved >"$TMP/before"
expect_equal "own packet" "$(explained . 10.1.0.1 10.2.0.2)" "sa t4-out"
xesp gw1 explain --json 10.1.0.1 10.2.0.2 | jq -e '.own and .xespd.inner_route.way == "tunnels"' >/dev/null ||
	die "the route of an own packet does not lead into xesp0"
expect_equal "to this machine" "$(explained . 10.2.0.2 10.1.0.1)" "kernel"
expect_equal "multicast" "$(explained . 10.1.0.2 224.0.0.5 ospf)" "kernel"

# Why not those before it; people read it too.
xesp gw1 --verbose explain --json 10.1.0.2 10.2.0.2 | jq -c '[.not_matching[] | [.name, .differs]]' >"$TMP/not"
expect_equal "why not those before" "$(cat "$TMP/not")" \
	'[["in-clear","local"],["not-7001","protocol"],["web","protocol"],["high","protocol"],["no-sa","remote"],["both","remote"]]'
xesp gw1 --verbose explain 10.1.0.2 10.2.0.2 tcp 443 >"$TMP/text"
for text in 'policy *web' 'its protocol is\|its remote' 'SA *t4-out, SPI 0x00041012, active' 'path MTU *1500 from link' \
	'by out0, neighbour' 'verdict *protected'; do
	grep -q "$text" "$TMP/text" || { cat "$TMP/text"; die "explain does not say: $text"; }
done

moved >"$TMP/after"
expect_equal "what moved by explaining" "$(difference)" ""

# What is no packet is refused with a sentence.
for wrong in "10.1.0.2" "10.1.0.2 2001:db8::1" "10.1.0.2 10.2.0.2 any" "10.1.0.2 10.2.0.2 gre 7" "10.1.0.2 10.2.0.2 tcp 99999" \
	"10.1.0.2 10.2.0.2 icmp 8 0 0" "10.1.0 10.2.0.2" "10.1.0.2 10.2.0.2 --size 12" "10.1.0.2 10.2.0.2 mobility-header 1 1"; do
	# shellcheck disable=SC2086 # several words
	xesp gw1 explain $wrong >/dev/null 2>"$TMP/refused" && die "explain takes: $wrong"
	[ -s "$TMP/refused" ] || die "explain refuses without a sentence: $wrong"
done

# The same of the sockets: a line of nulls, or of another type, is answered.
asked() { # asked <socket> <params>
	"$PYTHON" -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
s.sendall(b"{\"request\": \"explain\", \"params\": %s}\n" % sys.argv[2].encode())
print(s.makefile().readline())' "$TMP/gw1-run/$1" "$2"
}
for socket in keyd.sock xespd.sock; do
	for value in null 7 '[]' '{}' '"x"'; do
		answer=$(asked $socket "{\"local\": \"10.1.0.2\", \"remote\": \"10.2.0.2\", \"direction\": $value, \"own\": $value, \"verbose\": $value}")
		[[ $answer == *'"ok":'* ]] || die "$socket answers a direction $value: '$answer'"
		answer=$(asked $socket "{\"local\": $value, \"remote\": $value}")
		[[ $answer == *'"ok":false'* ]] || die "$socket takes an address $value: '$answer'"
	done
done

# Without xespd: packets find no worker.
kill_daemon gw1 xespd TERM
expect_equal "without xespd" "$(explained . 10.1.0.2 10.2.0.2)" "drop no-worker"
check "without xespd" "drop no-worker" send hostA a0 "$(mac gw1 in0)" 10.1.0.2 10.2.0.2
say "$ROWS packets did what explain had said"
