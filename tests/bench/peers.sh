# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# peers.sh - what else Debian carries that could stand where gw1 stands; sourced by topology.sh, after
# xesp has left gw1. Encapsulation only: the far end is in the namespace `wire`, for the handshake, and
# what is sent to it afterwards is counted and dropped before it gets there. Each is a process on the
# gateway's CPU alone. What the kernel does for it when a frame arrives (for xesp: the copy into the
# socket's memory; for these: forwarding into their TUN device) runs where the frame was sent, on the
# generator's CPU, and is in nobody's figure.

readonly PEER_WINDOW=128 # frames under way: less than their queues hold

# A peer that is not installed is noted; with --peers it is an error.
missing() { # missing <what> <packages>
	[ "$PEERS" != all ] || die "$1 is not here: apt-get install $2, or make deps"
	note "$1: not here (apt-get install $2)"
}

note() { jq -cn --arg note "$1" '{note: $note}' >>"$RESULTS"; }

peers_ground() {
	run gw1 ip link del xesp0 # and keyd's routes with it
	run gw1 sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	run gw1 ethtool -K in0 gro on # without NAPI a veth takes no frames of XDP
	addr wire w1 192.0.2.2/24
	addr wire lo 10.2.0.1/32
	know wire w1 "$(mac gw1 out0)" 192.0.2.1
}

measure_peer() { # measure_peer <label> <pid>
	local size round
	first_in_line "$2"
	for ((round = 0; round < ROUNDS; round++)); do
		for size in $SIZES; do
			GATEWAY_PID=$2 traffic gw1 encap "$size" $PEER_WINDOW "$1" "$SECONDS_EACH" >>"$RESULTS"
		done
	done
}

# --- WireGuard in user space ----------------------------------------------------------------------

wg_start() { # wg_start <ns> <device> <local key> <remote public key> <endpoint> <allowed>
	start "wg-$1.log" "$1" setsid taskset -c $GW_CPU env WG_PROCESS_FOREGROUND=1 wireguard-go -f "$2"
	until_ok 5 ip -n "$NS-$1" link show dev "$2"
	run "$1" wg set "$2" private-key "$3" listen-port 51820 peer "$4" endpoint "$5:51820" allowed-ips "$6"
	ip -n "$NS-$1" link set "$2" up mtu 9100
}

shaken() { [ "$(run gw1 wg show "$1" latest-handshakes | cut -f 2)" -gt 0 ]; }

peer_wireguard() {
	local a=xwa$$ b=xwb$$ pid
	command -v wireguard-go wg >/dev/null || {
		missing wireguard-go "wireguard-go wireguard-tools"
		return
	}
	(umask 077; wg genkey >"$TMP/wg-a"; wg genkey >"$TMP/wg-b")
	wg_start wire $b "$TMP/wg-b" "$(wg pubkey <"$TMP/wg-a")" 192.0.2.1 10.1.0.0/24
	wg_start gw1 $a "$TMP/wg-a" "$(wg pubkey <"$TMP/wg-b")" 192.0.2.2 10.2.0.0/24
	pid=$STARTED
	run gw1 ip route add 10.2.0.0/24 dev $a
	run gw1 ping -c 1 -W 0.2 -I 10.1.0.1 10.2.0.1 >/dev/null 2>&1 || true
	until_ok 10 shaken $a
	measure_peer wireguard-go "$pid"
	run gw1 ip link del $a
	run wire ip link del $b
}

# --- strongSwan's libipsec ------------------------------------------------------------------------

charon_config() { # charon_config <ns> <local> <remote> <local net> <remote net>
	cat >"$TMP/$1-strongswan.conf" <<C
charon {
	load = random nonce openssl hmac kdf aes gcm sha1 sha2 curve25519 kernel-libipsec kernel-netlink socket-default vici
	plugins { vici { socket = unix://$TMP/$1.vici } }
	filelog { stderr { default = 0 } }
}
swanctl { load = random openssl }
C
	cat >"$TMP/$1-swanctl.conf" <<C
connections { bench {
	version = 2
	encap = yes
	local_addrs = $2
	remote_addrs = $3
	proposals = aes128gcm16-prfsha256-curve25519
	local { auth = psk
		id = $2 }
	remote { auth = psk
		id = $3 }
	children { bench { local_ts = $4
		remote_ts = $5
		esp_proposals = aes128gcm16 } }
} }
secrets { ike-bench { secret = "$PSK" } }
C
	# shellcheck disable=SC2016 # $0 is the inner shell's
	start "charon-$1.log" "$1" setsid taskset -c $GW_CPU unshare --mount sh -c \
		'mount -t tmpfs none /run && export STRONGSWAN_CONF="$0" && exec /usr/lib/ipsec/charon' \
		"$TMP/$1-strongswan.conf"
	until_ok 10 test -S "$TMP/$1.vici"
	STRONGSWAN_CONF=$TMP/$1-strongswan.conf swanctl --load-all --file "$TMP/$1-swanctl.conf" \
		--uri "unix://$TMP/$1.vici" >"$TMP/swanctl.log" 2>&1 || die "swanctl: $(cat "$TMP/swanctl.log")"
}

peer_libipsec() {
	local pid far
	[ -x /usr/lib/ipsec/charon ] && [ -e /usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so ] &&
		command -v swanctl >/dev/null || {
		missing "strongSwan with kernel-libipsec" \
			"strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-standard-plugins"
		return
	}
	PSK=$(xxd -p -l 16 /dev/urandom)
	charon_config wire 192.0.2.2 192.0.2.1 10.2.0.0/24 10.1.0.0/24
	far=$STARTED
	charon_config gw1 192.0.2.1 192.0.2.2 10.1.0.0/24 10.2.0.0/24
	pid=$STARTED
	STRONGSWAN_CONF=$TMP/gw1-strongswan.conf timeout 20 swanctl --initiate --child bench \
		--uri "unix://$TMP/gw1.vici" >"$TMP/swanctl.log" 2>&1 ||
		die "strongSwan: $(tail -n 5 "$TMP/swanctl.log"; tail -n 5 "$TMP/charon-gw1.log")"
	run gw1 ip link set ipsec0 mtu 9100
	measure_peer libipsec "$pid"
	stop "$pid"
	stop "$far"
}

# --- the kernel's ESP -----------------------------------------------------------------------------

# In0's NAPI in a thread of its own on the gateway's CPU: else the generator would do the gateway's work.
peer_kernel() {
	local error pid
	error=$(run gw1 ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x4321 mode tunnel \
		reqid 1 aead 'rfc4106(gcm(aes))' "0x$(xxd -p -c 20 -l 20 /dev/urandom)" 128 2>&1) || {
		note "kernel ESP: this kernel has none: ${error//$'\n'/ }"
		return
	}
	run gw1 ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out \
		tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel
	run gw1 ip route add 10.2.0.0/24 via 192.0.2.2
	pid=$(napi_thread) || {
		note "kernel ESP: no threaded NAPI here, so its CPU time cannot be told from the generator's"
		return
	}
	taskset -cp $GW_CPU "$pid" >/dev/null
	renice -n -20 -p "$pid" >/dev/null
	measure_peer kernel-esp "$pid"
	run gw1 ip xfrm policy flush
	run gw1 ip xfrm state flush
}

napi_thread() {
	ip netns exec "$NS-gw1" sh -c 'echo 1 >/sys/class/net/in0/threaded' 2>/dev/null || return 1
	pause 0.2
	pgrep -n '^napi/in0-'
}

peers() { # peers [name]...: all, when none is named
	local name
	note "peers: encapsulation, AES-128-GCM with UDP (WireGuard: ChaCha20-Poly1305), pinned to the gateway's CPU"
	peers_ground
	[ $# -gt 0 ] || set -- wireguard libipsec kernel
	for name; do "peer_$name"; done
}
