# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# nat.sh - the wire of topology.sh as a NAT of nftables behind which gw1 is, IPv4 and IPv6; sourced after
# gateway.sh, called after topology_up. Sets where gateways are, and believe each other to be.
#
#   gw1 [out0 172.16.0.1, fd00:16::1]---[w1 .254  wire = NAT  w2 192.0.2.254]---[out0 192.0.2.2] gw2
#                                         ::fe                 2001:db8:ffff::fe       ::2

NAT=192.0.2.254 NAT6=2001:db8:ffff::fe
outer4() { case $1 in gw1) echo 172.16.0.1 ;; gw2) echo 192.0.2.2 ;; esac; }
outer6() { case $1 in gw1) echo fd00:16::1 ;; gw2) echo 2001:db8:ffff::2 ;; esac; }
remote4() { case $1 in gw1) outer4 gw2 ;; gw2) echo $NAT ;; esac; }
remote6() { case $1 in gw1) outer6 gw2 ;; gw2) echo $NAT6 ;; esac; }

nat_up() {
	run wire sh -c 'for i in all default w1 w2; do echo 0 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done
		echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		echo 0 >/proc/sys/net/ipv6/conf/w1/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/w2/accept_dad'
	run wire ip link set w1 nomaster
	run wire ip link set w2 nomaster
	ip -n "$NS-gw1" addr flush dev out0
	addr gw1 out0 172.16.0.1/24 fd00:16::1/64
	addr wire w1 172.16.0.254/24 fd00:16::fe/64
	addr wire w2 $NAT/24 $NAT6/64
	run gw1 ip route add default via 172.16.0.254
	run gw1 ip -6 route add default via fd00:16::fe
	know gw1 out0 "$(mac wire w1)" 172.16.0.254 fd00:16::fe
	know wire w1 "$(mac gw1 out0)" 172.16.0.1 fd00:16::1
	nat_maps_to 31000
}

# Another mapping: a masquerade forgets the old one when its interface goes down. With addresses, those.
nat_maps_to() { # nat_maps_to <port> [<IPv4 address> <IPv6 address>]
	local four="masquerade to :$1" six="masquerade to :$1"
	[ $# -eq 1 ] || four="snat to $2:$1" six="snat to [$3]:$1"
	run wire nft -f - <<-END || skip "this kernel has no NAT for nftables"
		table ip nat
		delete table ip nat
		table ip nat {
			chain post {
				type nat hook postrouting priority 100;
				oifname w2 ip saddr 172.16.0.1 udp sport 4500 $four
				oifname w2 ip saddr 172.16.0.1 udp sport 500 masquerade
			}
		}
		table ip6 nat
		delete table ip6 nat
		table ip6 nat {
			chain post {
				type nat hook postrouting priority 100;
				oifname w2 ip6 saddr fd00:16::1 udp sport 4500 $six
				oifname w2 ip6 saddr fd00:16::1 udp sport 500 masquerade
			}
		}
	END
	run wire sh -c 'ip link set w2 down; ip link set w2 up'
	addr wire w2 $NAT6/64 2>/dev/null || true # IPv6 addresses go with the link
	if [ $# -eq 3 ]; then addr wire w2 "$2/24" "$3/64" 2>/dev/null || true; fi
	know gw2 out0 "$(mac wire w2)" $NAT $NAT6 "${@:2}"
	know wire w2 "$(mac gw2 out0)" 192.0.2.2 2001:db8:ffff::2
	until_ok 5 carrier wire w2
}

peer_at() { [ "$(sa_field gw2 "$1-in" .peer)" = "$2" ]; } # peer_at <tunnel> "<address> port <port>"
