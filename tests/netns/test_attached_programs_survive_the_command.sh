#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `xesp attach` ends and the programs stay: in native mode where the driver has it, else announced
# in generic mode; on one interface in both roles; on names with dots; where no bpffs was mounted.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/topology.sh"
. "$(dirname "$0")/loader.sh"
loader_up
run gw1 ip link add in0.7 type bridge # its driver has no XDP: generic mode
run gw1 ip link set in0.7 up
run gw1 ip addr add 10.1.0.1/24 dev in0
run gw1 ip -6 addr add 2001:db8:1::1/64 dev in0 nodad

succeeds "attach" attach --outer out0 --inner out0 --inner in0 --inner in0.7
cat "$TMP/xesp.log"
grep -q '^out0: both, native mode' "$TMP/xesp.log" || die "out0 is not one-armed in native mode"
grep -q '^in0: inner, native mode' "$TMP/xesp.log" || die "in0 is not inner in native mode"
grep -q '^in0.7: inner, generic mode (slower; native mode was refused: .*support' "$TMP/xesp.log" ||
	die "generic mode is not announced"
for i in in0 out0 in0.7; do
	[ -n "$(program_on $i)" ] || die "no program on $i after the command's end"
done
[ "$(run gw1 ip -j link show dev in0 | jq '.[0].xdp.mode')" = 1 ] || die "in0 is not in native mode"
[ "$(run gw1 ip -j link show dev in0.7 | jq '.[0].xdp.mode')" = 2 ] || die "in0.7 is not in generic mode"

roles=$(xesp status --json | jq -r '[.interfaces[] | "\(.name)=\(.role)/\(.mode)/\(.port)"] | sort | join(" ")')
[ "$roles" = "in0.7=inner/generic/2 in0=inner/native/1 out0=both/native/0" ] || die "status says: $roles"
xesp status | grep -q 'in0.7 .* generic' || die "the table of status has no in0.7"

# What the gateway must know before keyd runs: its own addresses.
local_addresses() { bpftool -j map dump pinned "$PINS/xesp_local" | jq -r '.[].formatted.key.w | join(",")'; }
le() { "$PYTHON" -c 'import ipaddress, struct, sys; a = ipaddress.ip_address(sys.argv[1])
b = a.packed if a.version == 6 else bytes(10) + b"\xff\xff" + a.packed
print(",".join(str(w) for w in struct.unpack("=4I", b)))' "$1"; }
for address in 10.1.0.1 10.1.0.255 127.0.0.1 ::1 2001:db8:1::1; do
	local_addresses | grep -qx "$(le $address)" || die "$address is not in xesp_local"
done

# A frame that reaches the program is counted by it: no policies are loaded yet.
run hostA ip addr add 10.1.0.2/24 dev a0
run hostA ip route add default via 10.1.0.1
run hostA ip neigh replace 10.1.0.1 lladdr "$(mac gw1 in0)" dev a0 nud permanent
run hostA ping -c 3 -i 0.01 -W 0.2 10.9.9.9 >/dev/null 2>&1 && die "10.9.9.9 answered"
until_equal 3 eval "xesp counters --json | jq '.drops[\"not-loaded\"] // 0'"
until_equal 3 eval "xesp counters --json | jq '.xdp[\"not-loaded\"] // 0'"
say "programs stay and count: $(xesp counters | sed -n 2,3p | tr -s ' \n' ' ')"
succeeds "detach" detach --purge

# No bpffs: mounted on the way. In a mount namespace that ends with the command: refused.
no_bpffs="umount -l /sys/fs/bpf; [ \"\$(stat -f -c %T /sys/fs/bpf)\" != bpf_fs ]"
attach="'$XESP' --pins '$PINS' --run '$TMP' attach --inner in0"
ip netns exec "$NS-gw1" sh -c "$attach" >"$TMP/refused.log" 2>&1 &&
	die "attach under ip netns exec pinned where nobody will see it"
grep -q 'nsenter --net' "$TMP/refused.log" || die "ip netns exec: $(cat "$TMP/refused.log")"
say "ip netns exec: $(cat "$TMP/refused.log")"
[ -z "$(program_on in0)" ] || die "refused, but attached"
run gw1 unshare --mount --pid --fork --mount-proc sh -ec "$no_bpffs; $attach
	[ \"\$(stat -f -c %T /sys/fs/bpf)\" = bpf_fs ] && [ -e '$PINS/xesp_conf' ]
	'$XESP' --pins '$PINS' --run '$TMP' detach --purge" >"$TMP/xesp.log" 2>&1 ||
	die "bpffs was not mounted: $(cat "$TMP/xesp.log")"
# Refused after the mount: that is taken back too.
run gw1 ip link add br1 type bridge # a device whose driver has no XDP
run gw1 unshare --mount --pid --fork --mount-proc sh -ec "$no_bpffs
	if $attach --outer br1 --mode native; then exit 9; fi
	[ \"\$(stat -f -c %T /sys/fs/bpf)\" != bpf_fs ]" >"$TMP/xesp.log" 2>&1 ||
	die "the mount of a refused attach stayed: $(cat "$TMP/xesp.log")"
say "bpffs mounted where it was missing, and not left behind by a refusal"
