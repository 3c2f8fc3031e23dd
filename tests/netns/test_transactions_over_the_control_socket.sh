#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# source: control (docs/control.md): an orchestrator sets tunnels, SAs and policies as one transaction,
# exchanges keys under traffic without a lost packet, is refused whole and in the words of the file, hears
# of what happens; what it wrote outlives a killed keyd; its keys are in no listing, log or memory when
# they are gone.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need jq

topology_up
for gw in gw1 gw2; do
	write_config $gw "$TMP/$gw-full.yaml"
	{ sed '/^tunnels:/,$d' "$TMP/$gw-full.yaml"; echo 'source: control'; } >"$TMP/$gw.yaml"
	chmod 600 "$TMP/$gw.yaml"
	"$PYTHON" "$HERE/to_set.py" <"$TMP/$gw-full.yaml" >"$TMP/$gw.json"
	attach $gw
	new_state $gw
	start_keyd $gw
	start_xespd $gw
	until_ready $gw worker_serves
done
start events.log gw1 "$XESP_BUILD/xesp" --run "$TMP/gw1-run" --json events
events() { jq -s "[.[] | select(.event == \"$1\")] | length" "$TMP/events.log"; }
until_ok 5 xesp gw1 status
pause 0.3

# One transaction, judged first, made then, and the same once more.
xesp gw1 set --dry-run "$TMP/gw1.json" >/dev/null || die "a good transaction was refused"
expect_equal "SAs after a dry run" "$(xesp gw1 status --json | jq .keyd.sas)" 0
for gw in gw1 gw2; do
	xesp $gw set --json "$TMP/$gw.json" >"$TMP/$gw-set.json"
	expect_equal "SAs added" "$(jq .sas.added "$TMP/$gw-set.json")" 4
	until_ready $gw sas_active
	forward_from_tun $gw
done
pings hostA 20 10.2.0.2
pings hostA 20 2001:db8:2::2
xesp gw1 set --json "$TMP/gw1.json" >"$TMP/again.json"
expect_equal "the same again" "$(jq -c '[.sas, .tunnels, .policies] | map([.added, .replaced, .kept])' "$TMP/again.json")" \
	"[[0,0,4],[0,0,2],[0,0,4]]"
until_at_least 4 events sa-up

# Refused whole, in the words of the file, without the key.
generation=$(xesp gw1 status --json | jq .keyd.generation)
jq '{set: {sas: [.set.sas[0] + {name: "other", spi: 12}], policies: [{name: "all", action: "discard", before: "v4-in-v6"}]}}' \
	"$TMP/gw1.json" >"$TMP/bad.json"
xesp gw1 set "$TMP/bad.json" >"$TMP/bad.log" 2>&1 && die "a reserved SPI was accepted"
grep -q 'set.sas\[0\].spi: 12 is not in 256 to 0xffffffff' "$TMP/bad.log" || die "not the sentence: $(cat "$TMP/bad.log")"
grep -q "$(key_of t4 gw1)" "$TMP/bad.log" && die "the sentence shows a key"
expect_equal "generation after a refused transaction" "$(xesp gw1 status --json | jq .keyd.generation)" "$generation"
say "$(sed 's/^xesp: //' "$TMP/bad.log")"

# New keys under traffic: the inbound SAs first, then the outbound ones, then the old inbound ones go.
start ping.log hostA ping -n -i 0.005 10.2.0.2
answers() { grep -c 'bytes from' "$TMP/ping.log" || true; }
goes_on() { until_at_least $(($(answers) + 40)) answers; }
goes_on
declare -A OLD=()
for sa in gw1 gw2; do
	OLD[$sa]=$(key_of t4 $sa)
	KEY[t4-$sa]=$(xxd -p -c 64 -l 36 /dev/urandom)
done
rekeyed() { # rekeyed <gateway> <sender> <direction> <name>
	printf '{"name": "%s", "tunnel": "t4", "direction": "%s", "spi": %d, "algorithm": "aes-gcm-128", "key": "%s"}' \
		"$4" "$3" $((${SPI[t4-$2]} + 4096)) "$(key_of t4 "$2")"
}
for gw in gw1 gw2; do
	printf '{"add": {"sas": [%s]}}' "$(rekeyed $gw "$(peer_of $gw)" in t4-in-2)" >"$TMP/in.json"
	xesp $gw set "$TMP/in.json" >/dev/null || die "a second inbound SA was refused"
done
for gw in gw1 gw2; do
	printf '{"set": {"sas": [%s]}}' "$(rekeyed $gw $gw out t4-out)" >"$TMP/out.json"
	xesp $gw set "$TMP/out.json" >/dev/null || die "another outbound key was refused"
	rm -f "$TMP/out.json" "$TMP/in.json"
done
goes_on
for gw in gw1 gw2; do
	echo '{"delete": {"sas": ["t4-in"]}}' >"$TMP/old.json"
	xesp $gw set "$TMP/old.json" >/dev/null
	expect_equal "SAs" "$(xesp $gw status --json | jq .keyd.sas)" 4
done
goes_on
until_at_least 6 events sa-up
until_at_least 2 events sa-deleted
stop "$STARTED" INT
# Between the first and the last that were answered: the last one sent may have been under way.
lost() { sed -nE 's/.*icmp_seq=([0-9]+) .*/\1/p' "$TMP/ping.log" | sort -nu | awk 'NR > 1 { n += $1 - last - 1 } { last = $1 } END { print n + 0 }'; }
expect_equal "pings lost while keys were exchanged" "$(lost)" 0
say "keys exchanged under $(answers) pings, none lost"

# The old keys are nowhere any more: two daemons on each side, their memory whole.
for gw in gw1 gw2; do
	for program in xesp-keyd xespd; do
		for sa in gw1 gw2; do
			"$PYTHON" "$HERE/memory.py" "$(pid_of $gw $program)" "${OLD[$sa]:0:32}" &&
				die "$program of $gw still holds a key that was replaced"
		done
	done
	grep -q "$(key_of t4 $gw)" "$TMP/$gw"-*.log "$TMP"/events.log && die "a log shows a key"
done

# Policies by place: no telnet, put before the others and moved away again.
echo '{"set": {"policies": [{"name": "no-telnet", "action": "discard", "protocol": "tcp", "remote_ports": 23, "before": "v4-in-v6"}]}}' >"$TMP/p.json"
xesp gw1 set "$TMP/p.json" >/dev/null
expect_equal "first policy" "$(xesp gw1 policy --json | jq -r '.policies[0].name')" no-telnet
run hostA timeout --foreground 1 nc -w 1 10.2.0.2 23 </dev/null && die "the new policy does not discard"
[ "$(counter gw1 discard)" -ge 1 ] || die "the new policy does not count"
pings hostA 10 10.2.0.2

# A killed keyd: the next one knows all, and traffic and numbers go on; a reload leaves it alone.
before=$(xesp gw1 policy --json | jq -c '[.policies[] | [.name, .action, .tunnel, .remote]]')
packets=$(sa_field gw1 t4-out .packets)
start ping2.log hostA ping -n -i 0.01 10.2.0.2
ping=$STARTED
kill_daemon gw1 xesp-keyd KILL
start_keyd gw1
until_ready gw1 worker_serves
until_ready gw1 sas_active
expect_equal "policies after a kill" "$(xesp gw1 policy --json | jq -c '[.policies[] | [.name, .action, .tunnel, .remote]]')" "$before"
[ "$(sa_field gw1 t4-out .packets)" -ge "$packets" ] || die "the SA lost its counter"
xesp gw1 reload >/dev/null || die "a reload was refused"
expect_equal "policies after a reload" "$(xesp gw1 policy --json | jq -c '[.policies[] | [.name, .action, .tunnel, .remote]]')" "$before"
pings hostA 10 10.2.0.2
stop "$ping" INT
expect_equal "mode of the journal" "$(stat -c %a "$TMP/gw1-run/control")" 600
say "keyd killed and started: $(xesp gw1 status --json | jq .keyd.sas) SAs, $(jq length <<<"$before") policies as before"

# All of it gone, by one word.
echo '{}' >"$TMP/none.json"
xesp gw1 set --whole "$TMP/none.json" >"$TMP/none.log" 2>&1 || die "an empty whole was refused: $(cat "$TMP/none.log")"
expect_equal "SAs in the end" "$(xesp gw1 status --json | jq '.keyd.sas + .keyd.policies + .keyd.tunnels')" 0
# And who says that the file is the source is told so.
sed -i '/^source:/d' "$TMP/gw2.yaml"
xesp gw2 reload >"$TMP/reload.log" 2>&1 && die "another source was taken by a reload"
grep -q 'another source takes effect with a restart' "$TMP/reload.log" || die "$(cat "$TMP/reload.log")"
