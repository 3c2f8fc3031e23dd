#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Every pinned map has BTF for key and value: `bpftool map dump` prints field names, so that an
# administrator can read the state of the gateway without xesp. (An XSKMAP holds sockets and cannot
# have BTF.)

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/loader.sh"
loader_up
succeeds attach attach --inner in0 --outer out0 --max-sas 16 --max-policies 16

for map in "$PINS"/xesp_*; do
	case $map in */xesp_xsks) continue ;; esac
	[ "$(bpftool -j map show pinned "$map" | jq '.btf_id // 0')" -gt 0 ] || die "no BTF: $map"
done

shows() { # shows <map> <what>...
	local map=$1 what; shift
	bpftool map dump pinned "$PINS/$map" >"$TMP/dump" || die "bpftool cannot dump $map"
	for what; do
		grep -q "\"$what\"" "$TMP/dump" || die "$map does not show $what: $(head -n 20 "$TMP/dump")"
	done
}
shows xesp_conf abi generation max_sas max_policies replay_words
shows xesp_ifaces port role
shows xesp_local w
shows xesp_spd_head generation tuples_n default_action
shows xesp_spd_tuple best_rank local_mask remote_mask proto_mask classes id
shows xesp_policies name rank tunnel action
shows xesp_pol_hits packets bytes
shows xesp_pol_drops by_reason
shows xesp_tunnels name local remote sa_out
shows xesp_sa_state name fingerprint spi seq_next lease_end replay_top packets drops
shows xesp_wkr_stats rx_packets encap_packets drops

conf=$(bpftool -j map dump pinned "$PINS/xesp_conf" | jq -c '.[0].formatted.value | [.abi, .generation, .max_sas, .max_policies]')
[ "$conf" = "[4,0,16,16]" ] || die "xesp_conf reads $conf"
roles=$(bpftool -j map dump pinned "$PINS/xesp_ifaces" | jq -c '[.[].formatted.value | [.port, .role]] | sort')
[ "$roles" = "[[0,1],[1,2]]" ] || die "xesp_ifaces reads $roles"
say "$(bpftool map dump pinned "$PINS/xesp_conf" | tr -s ' \n' ' ')"
