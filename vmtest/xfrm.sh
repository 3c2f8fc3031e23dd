# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# xfrm.sh - SAs and policies between gw1 and gw2 as `ip xfrm` makes them, with all that such a test needs.

for part in ../tests/netns/topology.sh ../tests/netns/gateway.sh kernel_gateway.sh; do
	# shellcheck source=/dev/null
	. "$(dirname "${BASH_SOURCE[0]}")/$part"
done

REPLAY_WINDOW=64 # of SAs that xfrm_pair makes

# xesp is to be on gw1, beside the kernel's tables, and gw2 is the kernel alone; SAs and policies of one child between them.
xfrm_gateways() { # xfrm_gateways [fallback of gw1]
	topology_up
	kernel_gateway gw1
	kernel_gateway gw2
	xfrm_pair 0x1001 0x2001 1
	xfrm_policies gw1 && xfrm_policies gw2
	xfrm_config gw1 "$@"
}

SA_OF() { echo "src $(outer4 "$1") dst $(outer4 "$(peer_of "$1")") proto esp spi $2"; }

# The two SAs of a child: gw1 sends under the first SPI, gw2 under the second. Inbound first.
xfrm_pair() { # xfrm_pair <spi of gw1> <spi of gw2> <reqid is 1; number of the key>
	local k1 k2 gw
	k1=0x$(xxd -p -c 64 -l 20 /dev/urandom) k2=0x$(xxd -p -c 64 -l 20 /dev/urandom)
	local tail="mode tunnel reqid 1 flag esn af-unspec replay-window $REPLAY_WINDOW"
	for gw in gw2 gw1; do
		# shellcheck disable=SC2046,SC2086 # words
		run $gw ip xfrm state add $(SA_OF gw1 "$1") $tail aead 'rfc4106(gcm(aes))' "$k1" 128
	done
	for gw in gw1 gw2; do
		# shellcheck disable=SC2046,SC2086
		run $gw ip xfrm state add $(SA_OF gw2 "$2") $tail aead 'rfc4106(gcm(aes))' "$k2" 128
	done
}

xfrm_delete() { # xfrm_delete <spi of gw1> <spi of gw2>
	local gw
	for gw in gw1 gw2; do
		# shellcheck disable=SC2046,SC2086
		run $gw ip xfrm state delete $(SA_OF gw1 "$1")
		# shellcheck disable=SC2046,SC2086
		run $gw ip xfrm state delete $(SA_OF gw2 "$2")
	done
}

xfrm_policy() { # xfrm_policy <gateway> <dir> <src> <dst> <outer src> <outer dst>
	run "$1" ip xfrm policy add src "$3" dst "$4" dir "$2" priority 100 \
		tmpl src "$5" dst "$6" proto esp reqid 1 mode tunnel
}

xfrm_policies() { # xfrm_policies <gateway>
	local me=$1 peer mine theirs; peer=$(peer_of "$1")
	for mine in "$(net4 "$me").0/24" "$(net6 "$me"):/64"; do
		case $mine in *:*) theirs="$(net6 "$peer"):/64" ;; *) theirs="$(net4 "$peer").0/24" ;; esac
		xfrm_policy "$me" out "$mine" "$theirs" "$(outer4 "$me")" "$(outer4 "$peer")"
		xfrm_policy "$me" in "$theirs" "$mine" "$(outer4 "$peer")" "$(outer4 "$me")"
		xfrm_policy "$me" fwd "$theirs" "$mine" "$(outer4 "$peer")" "$(outer4 "$me")"
	done
}

xfrm_config() { # xfrm_config <gateway> [fallback]
	{
		printf 'version: 1\nsource: xfrm\nfallback: %s\nroutes: %s\ninterfaces:\n' "${2:-drop}" "$ROUTES"
		interfaces
	} >"$TMP/$1.yaml"
}

sa_by_spi() { xesp "$1" sa --json | jq -e ".sas[] | select(.spi == \"$(printf '0x%08x' "$2")\")"; } # <gateway> <spi>
is_active() { sa_by_spi "$1" "$2" | jq -e '.state == "active"'; }
packets_of() { sa_by_spi "$1" "$2" | jq .packets; }
expect_served() { # expect_served <gateway> <spi> <packets at least>
	until_at_least "$3" packets_of "$1" "$2"
}
no_sas() { xesp "$1" sa --json | jq -e '.sas | length == 0'; }

# Pings in the background, so many a second: load <name> <ns> <destination> <pings> <interval> [options of ping]; load_lost
# waits for them and prints how many were not answered.
load() {
	nsenter --net="$PATH_OF_NS-$2" ping -q -n -i "$5" -c "$4" -W $((2 * PATIENCE)) "${@:6}" "$3" >"$TMP/load-$1.log" 2>&1 &
	PIDS+=("$!")
	LOAD[$1]=$!
}
declare -A LOAD=()
load_end() { wait "${LOAD[$1]}" || true; } # load_end <name>
load_lost() { # load_lost <name>, after load_end
	sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$TMP/load-$1.log" | { read -r sent got && echo $((sent - got)); }
}

# As gateway_up, before there is any SA.
mirror_up() { # mirror_up <gateway>
	attach "$1"
	new_state "$1"
	start_keyd "$1"
	start_xespd "$1"
	until_ready "$1" worker_serves
	forward_from_tun "$1"
}
