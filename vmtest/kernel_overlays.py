# SPDX-License-Identifier: BSD-2-Clause
"""GRE, VXLAN and L2TP between the two gateways, whose outer packets transport mode protects.

Each overlay has a device on either gateway for either family, with addresses of its own, IPv4 inside, and
neighbours that are known: nothing goes over it but what a test sends.
"""

from kernel_wire import Failure, inside, ip

ENDS = {"4": ("192.0.2.1", "192.0.2.2"), "6": ("2001:db8:ffff::1", "2001:db8:ffff::2")}
INSIDE = 1320  # MTU: fits the path under every algorithm


class Overlay:
    """One kind, both families. `selectors`: what xesp's policies name, `upper`: what the kernel's do."""

    def __init__(self, number, selectors, upper, make):
        self.number, self.selectors, self.upper, self.make = number, selectors, upper, make

    def address(self, family, end):
        return "172.30.%d.%d" % (self.number * 10 + int(family), end)

    def lines(self, name, family, end):
        """For ip -batch on gateway `end`, 1 or 2: the device, its address and its neighbour."""
        device, local, remote = name + family, ENDS[family][end - 1], ENDS[family][2 - end]
        lines = self.make(device, family, local, remote, self.number * 10 + int(family))
        mac = "02:00:00:00:%02x:%02x" % (self.number * 10 + int(family), 3 - end)
        own = "02:00:00:00:%02x:%02x" % (self.number * 10 + int(family), end)
        if name != "gre":
            lines.append("link set %s address %s" % (device, own))
        lines += ["link set %s mtu %d up" % (device, INSIDE),
                  "addr add %s/30 dev %s" % (self.address(family, end), device)]
        if name != "gre":
            lines.append("neigh add %s lladdr %s dev %s nud permanent" % (self.address(family, 3 - end), mac, device))
        return lines


def gre(device, family, local, remote, _number):
    kind = "gre" if family == "4" else "ip6gre"
    more = "" if family == "4" else " encaplimit none"
    return ["link add %s type %s local %s remote %s%s" % (device, kind, local, remote, more)]


def gretap(device, family, local, remote, _number):
    kind = "gretap" if family == "4" else "ip6gretap"
    more = "" if family == "4" else " encaplimit none"
    return ["link add %s type %s local %s remote %s%s" % (device, kind, local, remote, more)]


def vxlan(device, _family, local, remote, number):
    return ["link add %s type vxlan id %d local %s remote %s dstport 4789 nolearning" % (
        device, number, local, remote)]


def l2tp(device, number, tunnel):
    return ["l2tp add tunnel tunnel_id %d peer_tunnel_id %d %s" % (number, number, tunnel),
            "l2tp add session name %s tunnel_id %d session_id %d peer_session_id %d" % (
                device, number, number, number)]


def l2tp_ip(device, _family, local, remote, number):
    return l2tp(device, number, "encap ip local %s remote %s" % (local, remote))


def l2tp_udp(device, _family, local, remote, number):
    return l2tp(device, number, "encap udp local %s remote %s udp_sport 1701 udp_dport 1701" % (local, remote))


# The source port of VXLAN is a hash: a policy for what goes there, one for what comes.
OVERLAYS = {
    "gre": Overlay(1, [["protocol: gre"]], "proto gre", gre),
    "gretap": Overlay(2, [["protocol: gre"]], "proto gre", gretap),
    "vxlan": Overlay(3, [["protocol: udp", "remote_ports: 4789"], ["protocol: udp", "local_ports: 4789"]],
                     "proto udp dport 4789", vxlan),
    "l2tp-ip": Overlay(4, [["protocol: l2tp"]], "proto 115", l2tp_ip),
    "l2tp-udp": Overlay(5, [["protocol: udp", "local_ports: 1701", "remote_ports: 1701"]],
                        "proto udp sport 1701 dport 1701", l2tp_udp),
}


def set_up(names):
    """Makes the devices of these overlays on both gateways; they stay until the namespaces go."""
    for end, gateway in ((1, "gw1"), (2, "gw2")):
        inside(gateway, lambda: open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w", encoding="ascii").write("1"))
        for name in names:
            for family in ENDS:
                try:
                    ip(gateway, OVERLAYS[name].lines(name, family, end))
                except Failure as e:
                    raise Failure("no %s over IPv%s on %s: %s" % (name, family, gateway, e)) from e
