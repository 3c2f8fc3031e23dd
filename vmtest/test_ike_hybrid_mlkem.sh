#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A hybrid key exchange, X25519 and ML-KEM-768 (RFC 9370, FIPS 203), by strongSwan 6 on both ends: IKE_SA,
# CHILD_SA and its rekeying, the traffic by xesp on gw1 and by the kernel on gw2.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/ike.sh"
[ -n "${XESP_STRONGSWAN6:-}" ] || skip "no strongSwan 6: vmtest/run.sh takes it from Debian sid"
STRONGSWAN=$XESP_STRONGSWAN6
PLUGINS="random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints kdf kernel-netlink socket-default vici"
IKE_PROPOSALS=aes256gcm16-prfsha384-x25519-ke1_mlkem768
ESP_PROPOSALS=aes256gcm16-x25519-ke1_mlkem768-esn
ike_needs

ike_gateways
ike_start gw1
ike_start gw2
ike_initiate gw1
swan gw1 --list-sas >"$TMP/sas"
grep -q 'KE1_ML_KEM_768' "$TMP/sas" || die "$(cat "$TMP/sas")"
first=$(spis_of gw1)
until_ok 10 is_active gw1 "$first"
pings hostA 20 10.2.0.2
pings hostB 20 2001:db8:1::2
expect_equal "packets in xesp" "$(packets_of gw1 "$first")" 40
expect_equal "packets in the far kernel" "$(kernel_packets gw2 "$first")" 40
say "$(grep -o 'AES.*ML_KEM_768' "$TMP/sas" | head -n 1): 20 pings each way"
load rekey hostA 10.2.0.2 200 0.05
swan gw1 --rekey --child net >"$TMP/rekeyed" 2>&1 || die "$(tail -n 3 "$TMP/rekeyed")"
replaced() { [ "$(spis_of gw1)" != "$first" ] && [ "$(spis_of gw1 | wc -w)" = 1 ]; }
until_ok 20 replaced
load_end rekey
expect_equal "pings lost over a hybrid rekeying" "$(load_lost rekey)" 0
second=$(spis_of gw1)
pings hostA 20 10.2.0.2
[ "$(packets_of gw1 "$second")" -ge 20 ] || die "the new SA carried $(packets_of gw1 "$second") packets"
swan gw1 --list-sas >"$TMP/sas"
grep -q 'ESP:AES_GCM.*ML_KEM_768' "$TMP/sas" || die "the CHILD_SA was rekeyed without ML-KEM: $(cat "$TMP/sas")"
say "rekeyed with ML-KEM-768 under 200 pings, none lost"
