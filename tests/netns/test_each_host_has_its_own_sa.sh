#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Populate from packet (RFC 4301 sections 4.4.1, 4.4.2.2, 5.1 and 5.2): one policy, an SA for each host
# and for each remote port. Seen on the wire by SPI: each flow takes its own SA, both ways. A flow that
# has none is dropped, counted and asked for, and passes once its SA is there; what a peer sends by
# another flow's SA is refused.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/gateway.sh"
need nc

topology_up

# One SA: own_sa <name> <tunnel> <direction> <spi> <key> <selector>
own_sa() {
	printf '  - name: %s\n    tunnel: %s\n    direction: %s\n    spi: %s\n    algorithm: aes-gcm-128\n' \
		"$1" "$2" "$3" "$4"
	printf '    key: %s\n    selector: {%s}\n' "$5" "$6"
}
declare -A OWN_KEY=()
for sa in host2-gw1 host2-gw2 host3-gw1 host3-gw2 port-gw1 port-gw2; do
	OWN_KEY[$sa]=$(xxd -p -c 64 -l 20 /dev/urandom)
done
declare -rA OWN_SPI=([host2-gw1]=0x00021012 [host2-gw2]=0x00022021 [host3-gw1]=0x00031012
	[host3-gw2]=0x00032021 [port-gw1]=0x00041012 [port-gw2]=0x00042021)

# The flow's values from this gateway's side: selector_of <flow> <gateway>
selector_of() {
	local side=remote_port
	[ "$2" = gw1 ] || side=local_port
	case $1 in
	host?) echo "local: $(net4 "$2").${1#host}, remote: $(net4 "$(peer_of "$2")").${1#host}" ;;
	port) echo "protocol: tcp, $side: 7000" ;;
	esac
}
# write_own <gateway> <flow>...: a configuration with SAs for these flows. "swap" gives the two hosts' SAs
# out of this gateway each other's values, as a peer would that does not keep to the selectors.
write_own() {
	local me=$1 flow peer ports tunnel values; peer=$(peer_of "$1"); shift
	ports=remote_port
	[ "$me" = gw1 ] || ports=local_port
	{
		printf 'version: 1\ninterfaces:\n'
		interfaces
		printf 'tunnels:\n'
		for tunnel in hosts ports; do
			printf '  - name: %s\n    local: %s\n    remote: %s\n' "$tunnel" "$(outer4 "$me")" "$(outer4 "$peer")"
		done
		printf 'sas:\n'
		for flow in "$@"; do
			[ "$flow" != swap ] || continue
			tunnel=hosts values=$(selector_of "$flow" "$me")
			[ "$flow" != port ] || tunnel=ports
			own_sa "$flow-in" $tunnel in "${OWN_SPI[$flow-$peer]}" "${OWN_KEY[$flow-$peer]}" "$values"
			[ "${*: -1}" != swap ] || case $flow in
			host2) values=$(selector_of host3 "$me") ;;
			host3) values=$(selector_of host2 "$me") ;;
			esac
			own_sa "$flow-out" $tunnel out "${OWN_SPI[$flow-$me]}" "${OWN_KEY[$flow-$me]}" "$values"
		done
		printf 'policies:\n'
		policy by-port protect tunnel ports local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" \
			protocol tcp pfp "[protocol, $ports]"
		policy by-host protect tunnel hosts local "$(net4 "$me").0/24" remote "$(net4 "$peer").0/24" \
			pfp "[local, remote]"
	} >"$TMP/$me.yaml"
	chmod 600 "$TMP/$me.yaml"
}
reload() { xesp "$1" reload >>"$TMP/$1-attach.log" 2>&1 || die "reload on $1: $(tail -n 3 "$TMP/$1-attach.log")"; }
packets() { sa_field "$1" "$2" .packets; }
spis() { # spis <capture>: what was on the wire, an SPI a line
	tshark -r "$1" -Y esp -T fields -e esp.spi 2>/dev/null | sort -u
}

write_own gw1 host2 host3
write_own gw2 host2 host3
gateways_up

# Two hosts, two SAs a direction.
capture wire w1
pings hostA 5 10.2.0.2 -I 10.1.0.2
stop_capture wire w1
wire only-esp "$CAPTURE" || die "protected traffic in clear"
[ "$(spis "$CAPTURE")" = "$(printf '%s\n%s' "${OWN_SPI[host2-gw1]}" "${OWN_SPI[host2-gw2]}")" ] ||
	die "host 2's packets went under $(spis "$CAPTURE" | tr '\n' ' ')"
capture wire w1
pings hostA 7 10.2.0.3 -I 10.1.0.3
stop_capture wire w1
[ "$(spis "$CAPTURE")" = "$(printf '%s\n%s' "${OWN_SPI[host3-gw1]}" "${OWN_SPI[host3-gw2]}")" ] ||
	die "host 3's packets went under $(spis "$CAPTURE" | tr '\n' ' ')"
for gw in gw1 gw2; do
	for dir in in out; do
		expect_equal "$gw: host2-$dir" "$(packets $gw host2-$dir)" 5
		expect_equal "$gw: host3-$dir" "$(packets $gw host3-$dir)" 7
	done
done
say "each host's packets under its own SPI, both ways"

start events.log gw1 "$XESP_BUILD/xesp" --run "$TMP/gw1-run" --json events
pause 0.3

# A third flow of the same policy: nothing on the wire; counted, and asked for.
capture wire w1
run hostA ping -q -c 4 -i 0.05 -W 0.2 -I 10.1.0.2 10.2.0.3 >/dev/null && die "answered without an SA"
run hostA timeout --foreground 2 nc -z -w 1 -s 10.1.0.2 10.2.0.2 7000 && die "connected without an SA"
stop_capture wire w1
expect_equal "packets of flows without an SA" "$(wire count "$CAPTURE" | jq '(.esp // 0) + (.ip // 0)')" 0
[ "$(counter gw1 no-sa-unique)" -ge 5 ] || die "no-sa-unique was not counted: $(counter gw1 no-sa-unique)"
[ "$(policy_field gw1 by-host '.drops["no-sa-unique"]')" -eq 4 ] || die "not counted in the policy"
asked() { # asked <policy>: the selectors that keyd shows as asked for
	 xesp gw1 status --json | jq -c "[.keyd.acquires[] | select(.policy == \"$1\") | .selector]"
}
asked_is() { [ "$(asked "$1")" = "$2" ]; }
until_ok 5 asked_is by-host '[{"local":"10.1.0.2","remote":"10.2.0.3"}]'
until_ok 5 asked_is by-port '[{"protocol":"tcp","remote_port":"7000"}]'
xesp gw1 status | grep -q 'asks for an SA of its own: local 10.1.0.2, remote 10.2.0.3' ||
	die "xesp status does not show it: $(xesp gw1 status)"
announced() { grep '"event": *"acquire"' "$TMP/events.log" | jq -c .selector | grep -qF "$1"; }
until_ok 5 announced '{"local":"10.1.0.2","remote":"10.2.0.3"}'
until_ok 5 announced '{"protocol":"tcp","remote_port":"7000"}'
say "a flow without an SA is dropped, counted and asked for"

# Its SA comes, without disturbing the others.
start serve.log hostB nc -l -k 7000; until_ok 5 listening hostB 7000
for gw in gw1 gw2; do write_own $gw host2 host3 port; reload $gw; done
capture wire w1
run hostA timeout --foreground 5 nc -z -w 2 10.2.0.2 7000 || die "does not connect under its new SA"
stop_capture wire w1
[ "$(spis "$CAPTURE")" = "$(printf '%s\n%s' "${OWN_SPI[port-gw1]}" "${OWN_SPI[port-gw2]}")" ] ||
	die "the connection went under $(spis "$CAPTURE" | tr '\n' ' ')"
expect_equal "asked for the port" "$(asked by-port)" '[]'
pings hostA 2 10.2.0.2 -I 10.1.0.2
expect_equal "host2-out goes on" "$(packets gw1 host2-out)" 7
say "once its SA is there it takes it"

# A peer that sends host 2's packets by host 3's SA: authentic, let through by the policy, refused.
write_own gw1 host2 host3 port swap; reload gw1
run hostA ping -q -c 3 -i 0.05 -W 0.2 -I 10.1.0.2 10.2.0.2 >/dev/null && die "answered through another's SA"
expect_equal "selector-mismatch" "$(sa_drops gw2 host3-in selector-mismatch)" 3
expect_equal "selector-mismatch of host 2's" "$(sa_drops gw2 host2-in selector-mismatch)" 0
say "inbound each packet must come by its own SA"
