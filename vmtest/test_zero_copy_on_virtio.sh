#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# xesp on network cards whose driver has zero-copy AF_XDP: virtio-net of Linux 7, between the guest's own
# four cards (vmtest/boot.sh), two and two on one segment. Both sockets are bound zero-copy, and pings and TCP go
# through the tunnel in both directions, IP in IP of all four kinds, with the kernel's ESP at the other end.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../tests/netns/topology.sh"
. "$(dirname "$0")/../tests/netns/gateway.sh"
. "$(dirname "$0")/kernel_gateway.sh"
need nc cmp
[ "$(uname -r | cut -d. -f1)" -ge 7 ] || skip "virtio-net of this kernel has no zero-copy; Linux 7 has"

# A card of the guest, by the number in its address, as an interface of a namespace.
card() { # card <number> <ns> <if>
	local name
	name=$(ip -j link show | jq -r ".[] | select(.address == \"02:5a:00:00:00:0$1\").ifname")
	[ -n "$name" ] || skip "this machine has not the network cards that vmtest gives its guests"
	ip link set "$name" down
	ip link set "$name" name "$3" netns "$NS-$2"
	run "$2" ip link set "$3" address "$(mac "$2" "$3")" mtu 1500
	run "$2" ethtool -K "$3" tx off >/dev/null 2>&1 || true
	ip -n "$NS-$2" link set "$3" up
}

# xesp's two links are cables between cards; the others stay as they are.
eval "veth_$(declare -f link)"
link() { # link <ns> <if> <ns> <if>
	case "$1 $2 $3 $4" in
	"gw1 out0 wire w1") card 3 gw1 out0 && card 4 wire w1 ;;
	"hostA a0 gw1 in0") card 1 hostA a0 && card 2 gw1 in0 ;;
	*) veth_link "$@" ;;
	esac
}

zero_copy_of() { # zero_copy_of <if>
	xesp gw1 status --json | jq ".xespd.ports[] | select(.interface == \"$1\").zero_copy"
}

topology_up
kernel_gateway gw2
kernel_standard gw2
write_config gw1
attach gw1
new_state gw1
start_keyd gw1
start_xespd gw1 --zero-copy require
gateway_ready gw1
for interface in in0 out0; do
	expect_equal "zero-copy on $interface" "$(zero_copy_of $interface)" true
done
say "$(run gw1 ethtool -i out0 | sed -n 's/^driver: //p'): zero-copy on in0 and out0"

for to in 10.2.0.2 2001:db8:2::2; do pings hostA 100 $to; done
for to in 10.1.0.2 2001:db8:1::2; do pings hostB 100 $to; done
pings hostA 20 10.2.0.3 -I 10.1.0.3
pings hostA 20 2001:db8:2::3 -I 2001:db8:1::3
head -c 1000000 /dev/urandom >"$TMP/file"
transfer hostA 10.1.0.2 hostB 10.2.0.2 "$TMP/file"
transfer hostB 2001:db8:2::2 hostA 2001:db8:1::2 "$TMP/file"
for t in t4 t6; do
	[ "$(sa_field gw1 $t-out .packets)" -gt 200 ] || die "$t-out carried $(sa_field gw1 $t-out .packets)"
	[ "$(sa_field gw1 $t-in .packets)" -gt 200 ] || die "$t-in carried $(sa_field gw1 $t-in .packets)"
done
expect_equal "drops" "$(all_drops gw1)" 0
say "440 pings and two files each way; $(sa_field gw1 t4-out .packets) and $(sa_field gw1 t6-out .packets) packets out"
