# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# libreswan.sh - Libreswan's pluto on a gateway of topology.sh, in place of charon; sourced after ike.sh.
#
# From the tree $XESP_LIBRESWAN, as debian.sh unpacks it: two IKE daemons of one machine do not install beside
# each other. Its NSS database, secrets and sockets are in $TMP.

PLUTO_MORE= # lines of the connection

pluto_needs() {
	[ -n "${XESP_LIBRESWAN:-}" ] || skip "no Libreswan: vmtest/run.sh takes it from Debian"
	PLUTO_LIBS=$XESP_LIBRESWAN/usr/lib/x86_64-linux-gnu
}

pluto_program() { # pluto_program <gateway> <program> <arguments>...
	local gw=$1 program=$2; shift 2
	run "$gw" timeout --foreground $((20 * PATIENCE)) env LD_LIBRARY_PATH="$PLUTO_LIBS:$PLUTO_LIBS/nss" \
		"$XESP_LIBRESWAN/usr/libexec/ipsec/$program" "$@"
}
whack() { # whack <gateway> <arguments>...
	local gw=$1; shift
	pluto_program "$gw" whack --rundir "$TMP/$gw-pluto" "$@"
}

# A connection "site" as `ike_config` gives strongSwan one: pluto_config <gateway>
pluto_config() {
	local me=$1 peer dir="$TMP/$1-pluto"; peer=$(peer_of "$1")
	[ -n "${IKE_PSK:-}" ] || IKE_PSK=$(xxd -p -c 64 -l 24 /dev/urandom)
	mkdir -p "$dir/nss"
	(umask 077; printf '@%s.test @%s.test : PSK "%s"\n' "$me" "$peer" "$IKE_PSK" >"$dir/secrets")
	cat >"$dir/ipsec.conf" <<-END
		conn site
		    ikev2=yes
		    authby=secret
		    left=$(outer4 "$me")
		    leftid=@$me.test
		    leftsubnet=$(net4 "$me").0/24
		    leftupdown=%disabled
		    right=$(outer4 "$peer")
		    rightid=@$peer.test
		    rightsubnet=$(net4 "$peer").0/24
		    ike=aes_gcm128-sha2_256-dh31
		    esp=aes_gcm128
		    auto=add
		    $PLUTO_MORE
	END
}

pluto_start() { # pluto_start <gateway>: configuration loaded, nothing initiated
	local gw=$1 dir="$TMP/$1-pluto"
	pluto_config "$gw"
	LD_LIBRARY_PATH="$PLUTO_LIBS:$PLUTO_LIBS/nss" "$XESP_LIBRESWAN/usr/bin/certutil" -N -d "sql:$dir/nss" \
		--empty-password >"$TMP/certutil.log" 2>&1 || die "NSS database: $(tail -n 3 "$TMP/certutil.log")"
	# Its other programs it looks for in one place only.
	# shellcheck disable=SC2016 # for that shell
	start "$gw-pluto.log" "$gw" env LD_LIBRARY_PATH="$PLUTO_LIBS:$PLUTO_LIBS/nss" unshare --mount sh -c \
		'mount -t tmpfs libexec /usr/libexec && mkdir /usr/libexec/ipsec && mount --bind "$0" /usr/libexec/ipsec && exec "$@"' \
		"$XESP_LIBRESWAN/usr/libexec/ipsec" "$XESP_LIBRESWAN/usr/libexec/ipsec/pluto" --nofork --stderrlog --no-dnssec --nhelpers 0 --config "$dir/ipsec.conf" --secretsfile "$dir/secrets" \
		--nssdir "$dir/nss" --ipsecdir "$dir" --rundir "$dir"
	# shellcheck disable=SC2034,SC2154 # gateway.sh's
	DAEMON[$gw/pluto]=$STARTED
	until_ok 20 whack "$gw" --globalstatus
	whack "$gw" --listen >"$TMP/whack.log" 2>&1 || die "pluto does not listen: $(tail -n 3 "$TMP/whack.log")"
	pluto_program "$gw" addconn --config "$dir/ipsec.conf" --ctlsocket "$dir/pluto.ctl" site >"$TMP/addconn.log" 2>&1 ||
		die "connection: $(tail -n 3 "$TMP/addconn.log"); $(tail -n 5 "$TMP/$gw-pluto.log")"
}

pluto_initiate() { # pluto_initiate <gateway>
	whack "$1" --initiate --name site >"$TMP/initiate.log" 2>&1 ||
		die "no Child SA: $(tail -n 5 "$TMP/initiate.log"); $(tail -n 5 "$TMP/$1-pluto.log")"
}
