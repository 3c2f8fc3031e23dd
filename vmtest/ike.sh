# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# ike.sh - strongSwan on gateways of topology.sh, one charon each; with all that such a test needs.
#
# No systemd: each daemon is a process in its gateway's network namespace, with a /run of its own, plugins
# named one by one (loading all takes long under emulation), and its control socket in $TMP. Secrets
# and certificates are made by the test. What a test wants otherwise it sets before ike_config: IKE_AUTH,
# ESP_PROPOSALS, CHILD_REKEY, IKE_MORE (lines of the connection), or a function children() of its own.

. "$(dirname "${BASH_SOURCE[0]}")/xfrm.sh"

readonly CHARON=/usr/lib/ipsec/charon
STRONGSWAN= # a tree to take it from, with all that it needs, as debian.sh unpacks one; empty: this system's
IKE_AUTH=psk # or pubkey
IKE_PROPOSALS=aes128gcm16-prfsha256-x25519
ESP_PROPOSALS=aes128gcm16-esn
CHILD_REKEY=0 # seconds; 0: never
IKE_MORE=
IKE_RETRANSMIT="retransmit_timeout = $((2 * PATIENCE))"
PLUGINS="random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints hmac kdf kernel-netlink socket-default vici"

ike_needs() { need openssl swanctl "$CHARON"; }

# gw1 is xesp beside the kernel's tables, gw2 the kernel alone; no IKE daemon runs yet.
ike_gateways() {
	topology_up
	kernel_gateway gw1
	kernel_gateway gw2
	xfrm_config gw1
	mirror_up gw1
}

# A CA and a certificate each, once a test: $TMP/pki/{ca,gw1,gw2}.{crt,key}
ike_pki() {
	local gw dir="$TMP/pki"
	[ ! -e "$dir/gw2.crt" ] || return 0
	mkdir -p "$dir"
	{
		openssl ecparam -genkey -name prime256v1 -noout -out "$dir/ca.key"
		openssl req -x509 -new -key "$dir/ca.key" -subj "/O=xesp test/CN=CA" -days 2 -out "$dir/ca.crt"
		for gw in gw1 gw2; do
			openssl ecparam -genkey -name prime256v1 -noout -out "$dir/$gw.key"
			openssl req -new -key "$dir/$gw.key" -subj "/O=xesp test/CN=$gw.test" -out "$dir/$gw.csr"
			openssl x509 -req -in "$dir/$gw.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
				-extfile <(echo "subjectAltName=DNS:$gw.test") -out "$dir/$gw.crt"
		done
	} >"$TMP/pki.log" 2>&1 || die "certificates: $(tail -n 3 "$TMP/pki.log")"
}

child() { # child <name> <local selectors> <remote selectors> [more lines]
	printf '      %s {\n        local_ts = %s\n        remote_ts = %s\n' "$1" "$2" "$3"
	printf '        esp_proposals = %s\n        rekey_time = %ss\n        rand_time = 0s\n        life_time = %ss\n' "$ESP_PROPOSALS" "$CHILD_REKEY" \
		$((CHILD_REKEY ? CHILD_REKEY * 10 : 0))
	[ -z "${4:-}" ] || printf '        %s\n' "$4"
	printf '      }\n'
}

children() { # children <gateway>: one child for both families
	local me=$1 peer; peer=$(peer_of "$1")
	child net "$(net4 "$me").0/24,$(net6 "$me"):/64" "$(net4 "$peer").0/24,$(net6 "$peer"):/64"
}

ike_addresses() { # ike_addresses <gateway>: own, peer's
	printf '    local_addrs = %s\n    remote_addrs = %s\n' "$(outer4 "$1")" "$(outer4 "$(peer_of "$1")")"
}

ike_config() { # ike_config <gateway>
	local me=$1 peer dir="$TMP/$1-swanctl" gw; peer=$(peer_of "$1")
	mkdir -p "$dir"/{x509,x509ca,private}
	[ -n "${IKE_PSK:-}" ] || IKE_PSK=$(xxd -p -c 64 -l 24 /dev/urandom)
	if [ "$IKE_AUTH" = pubkey ]; then
		ike_pki
		cp "$TMP/pki/ca.crt" "$dir/x509ca/"
		cp "$TMP/pki/$me.crt" "$dir/x509/"
		cp "$TMP/pki/$me.key" "$dir/private/"
	fi
	{
		printf 'connections {\n  site {\n    version = 2\n    proposals = %s\n' "$IKE_PROPOSALS"
		ike_addresses "$me"
		[ -z "$IKE_MORE" ] || printf '    %s\n' "$IKE_MORE"
		printf '    local {\n      auth = %s\n      id = %s.test\n' "$IKE_AUTH" "$me"
		[ "$IKE_AUTH" = psk ] || printf '      certs = %s.crt\n' "$me"
		printf '    }\n    remote {\n      auth = %s\n      id = %s.test\n    }\n    children {\n' "$IKE_AUTH" "$peer"
		children "$me"
		printf '    }\n  }\n}\nsecrets {\n  ike-site {\n'
		for gw in gw1 gw2; do printf '    id-%s = %s.test\n' $gw $gw; done
		printf '    secret = %s\n  }\n}\n' "$IKE_PSK"
	} >"$dir/swanctl.conf"
}

charon_config() { # charon_config <gateway>
	local me=$1
	cat >"$TMP/$me-strongswan.conf" <<-END
		charon {
		  load = $PLUGINS
		  install_routes = no
		  $IKE_RETRANSMIT
		  filelog {
		    log {
		      path = $TMP/$me-charon.log
		      default = 1
		      flush_line = yes
		    }
		  }
		  plugins {
		    vici {
		      socket = unix://$TMP/$me-vici
		    }
		  }
		}
	END
}

# Sets COMMAND to a program of strongSwan with arguments, in a mount namespace of its own.
strongswan_command() { # strongswan_command <gateway> <program> <arguments>...
	local gw=$1 program=$2 tree=$STRONGSWAN; shift 2
	set -- "$tree$program" "$@"
	[ -z "$tree" ] || set -- "$tree/usr/lib64/ld-linux-x86-64.so.2" --library-path \
		"$tree/usr/lib/ipsec:$tree/usr/lib/x86_64-linux-gnu" "$@"
	COMMAND=(env SWANCTL_DIR="$TMP/$gw-swanctl" STRONGSWAN_CONF="$TMP/$gw-strongswan.conf" unshare --mount sh -c
		"mount -t tmpfs run /run && ${tree:+mount --bind '$tree/usr/lib/ipsec' /usr/lib/ipsec &&} exec \"\$@\"" sh "$@")
}

swan() { # swan <gateway> <arguments of swanctl>...
	local gw=$1 what=$2; shift 2
	strongswan_command "$gw" /usr/sbin/swanctl "$what" --uri "unix://$TMP/$gw-vici" "$@"
	run "$gw" timeout --foreground $((20 * PATIENCE)) "${COMMAND[@]}"
}

ike_start() { # ike_start <gateway>: configuration loaded, nothing initiated
	local gw=$1
	ike_config "$gw"
	charon_config "$gw"
	strongswan_command "$gw" $CHARON
	start "$gw-charon.out" "$gw" "${COMMAND[@]}"
	# shellcheck disable=SC2034,SC2154 # gateway.sh's
	DAEMON[$gw/charon]=$STARTED
	until_ok 20 swan "$gw" --stats
	swan "$gw" --load-all >"$TMP/$gw-swanctl.log" 2>&1 || die "swanctl on $gw: $(tail -n 5 "$TMP/$gw-swanctl.log")"
}

ike_initiate() { # ike_initiate <gateway> [child]
	swan "$1" --initiate --child "${2:-net}" >"$TMP/initiate.log" 2>&1 ||
		die "no CHILD_SA: $(tail -n 5 "$TMP/initiate.log"); $(tail -n 5 "$TMP/$1-charon.log")"
}

# Packets under an SA of the kernel's tables: kernel_packets <gateway> <spi>
kernel_packets() {
	run "$1" ip -s xfrm state list spi "$2" 2>/dev/null |
		sed -n '/lifetime current/{n;s/.*(bytes), \([0-9]*\)(packets).*/\1/p}' | head -n 1
}
# SPIs that a gateway sends under.
spis_of() { run "$1" ip xfrm state list src "$(outer4 "$1")" | sed -n 's/.*spi \(0x[0-9a-f]*\).*/\1/p'; }

ike_stop() { # ike_stop <gateway>: its daemon, and what it put into the kernel
	kill_daemon "$1" charon TERM
	run "$1" ip xfrm state flush
	run "$1" ip xfrm policy flush
}
