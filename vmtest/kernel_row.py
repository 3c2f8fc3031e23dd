# SPDX-License-Identifier: BSD-2-Clause
"""A row of kernel_esp.cases: what it makes of xesp's configuration and of the kernel's SAs and policies."""

import os

from kernel_overlays import OVERLAYS

COMBINATIONS = {  # name: an address on xesp's side, one on the kernel's, tunnel
    "v4-in-v4": ("10.1.0.2", "10.2.0.2", "t4"),
    "v6-in-v6": ("2001:db8:1::2", "2001:db8:2::2", "t6"),
    "v4-in-v6": ("10.1.0.3", "10.2.0.3", "t6"),
    "v6-in-v4": ("2001:db8:1::3", "2001:db8:2::3", "t4"),
    "host4": ("192.0.2.1", "192.0.2.2", "t4"),  # transport mode
    "host6": ("2001:db8:ffff::1", "2001:db8:ffff::2", "t6"),
}
SELECTORS = {  # prefixes of both sides, in the order of the policies
    "v4-in-v6": ("10.1.0.3/32", "10.2.0.3/32"),
    "v6-in-v4": ("2001:db8:1::3/128", "2001:db8:2::3/128"),
    "v4-in-v4": ("10.1.0.0/24", "10.2.0.0/24"),
    "v6-in-v6": ("2001:db8:1::/64", "2001:db8:2::/64"),
    "host4": ("192.0.2.1/32", "192.0.2.2/32"),
    "host6": ("2001:db8:ffff::1/128", "2001:db8:ffff::2/128"),
}
OUTER = {"t4": ("192.0.2.1", "192.0.2.2"), "t6": ("2001:db8:ffff::1", "2001:db8:ffff::2")}
for _name, _overlay in OVERLAYS.items():
    for _family in ("4", "6"):
        COMBINATIONS[_name + _family] = (_overlay.address(_family, 1), _overlay.address(_family, 2), "t" + _family)
        SELECTORS[_name + _family] = OUTER["t" + _family]


class Row:
    def __init__(self, number, line):
        self.name, ours, theirs, options = (part.strip() for part in line.split("|"))
        self.ours, self.theirs = ours, theirs  # templates, see told()
        self.options = dict(o.split("=", 1) for o in options.split())
        self.esn = self.options.get("esn", "yes") == "yes"
        base = 0x10000 + number * 0x100
        self.spi = {("t4", 1): base + 0x12, ("t4", 2): base + 0x21, ("t6", 1): base + 0x65,
                    ("t6", 2): base + 0x56}  # by tunnel and sending gateway
        self.key = {sa: os.urandom(256) for sa in self.spi}
        self.proto = "ah" if ours.startswith("ah ") else "esp"
        self.mode = self.options.get("mode", "tunnel")
        self.udp = self.options.get("encap") == "udp"
        self.kind = "udp" if self.udp else self.proto  # on the wire
        self.over = OVERLAYS.get(self.options.get("over"))
        usual = [self.options["over"] + f for f in "46"] if self.over else \
            ["host4", "host6"] if self.mode == "transport" else list(COMBINATIONS)[:4]
        self.combinations = self.options.get("only", ",".join(usual)).split(",")
        self.tunnels = sorted({COMBINATIONS[c][2] for c in self.combinations})

    @staticmethod
    def tunnel_of(combination):
        return COMBINATIONS[combination][2]

    def told(self, template, sa):
        """The template's words with the parts of an SA's key."""
        at, words = 0, []
        for word in template.split():
            if word[0] == "@":
                size = int(word[1:])
                word = "0x" + self.key[sa][at:at + size].hex()
                at += size
            words.append(word)
        return words

    # --- xesp's end ---

    def sa_config(self, tunnel, sender):
        direction = "out" if sender == 1 else "in"
        words = " ".join(self.told(self.ours, (tunnel, sender)))
        cipher, _, integrity = words.partition(" + ")
        cipher, _, key = cipher.partition(" ")
        lines = ["  - name: %s-%s" % (tunnel, direction), "    tunnel: " + tunnel,
                 "    direction: " + direction, "    spi: %#x" % self.spi[tunnel, sender],
                 "    esn: " + ("yes" if self.esn else "no"),
                 "    protocol: ah" if cipher == "ah" else "    algorithm: " + cipher]
        if key:
            lines.append("    key: " + key)
        if integrity:
            lines += ["    integrity: " + integrity.split()[0], "    integrity_key: " + integrity.split()[1]]
        if direction == "in":
            lines.append("    replay_window: " + self.options.get("window", "64"))
        return lines

    def config(self, others=None):
        """The whole file; `others` are options to use instead of the row's."""
        options = {**self.options, **(others or {})}
        lines = ["version: 1", "interfaces:", "  - { name: in0, role: inner }",
                 "  - { name: out0, role: outer }", "tunnels:"]
        for t in self.tunnels:
            lines += ["  - name: " + t, "    local: " + OUTER[t][0], "    remote: " + OUTER[t][1],
                      "    mode: " + self.mode]
            if self.udp:
                lines += ["    encap: udp", "    keepalive: 0"]
            lines += ["    %s: %s" % (key, options[key]) for key in ("tfc", "dummy") if key in options]
        lines.append("sas:")
        for t in self.tunnels:
            lines += self.sa_config(t, 1) + self.sa_config(t, 2)
        lines.append("policies:")
        for name, (local, remote) in SELECTORS.items():
            if name not in self.combinations:
                continue
            for number, more in enumerate(self.over.selectors if self.over else [[]]):
                lines += ["  - name: %s%s" % (name, number or ""), "    action: protect",
                          "    tunnel: " + COMBINATIONS[name][2], "    local: " + local, "    remote: " + remote]
                lines += ["    " + line for line in more]
        return "\n".join(lines) + "\n"

    # --- the kernel's end ---

    def kernel_id(self, tunnel, sender):
        src, dst = OUTER[tunnel][sender - 1], OUTER[tunnel][2 - sender]
        return "src %s dst %s proto %s spi %#x" % (src, dst, self.proto, self.spi[tunnel, sender])

    def kernel_state(self, tunnel, sender):
        words = ["xfrm state add", self.kernel_id(tunnel, sender), "mode", self.mode]
        if self.mode == "tunnel":
            words.append("flag af-unspec")
        if self.proto == "ah" and tunnel == "t4":
            words.append("flag align4")  # without it the kernel's AH over IPv4 is not RFC 4302's
        if self.udp:
            words.append("encap espinudp 4500 4500 0.0.0.0")
        if self.esn:
            words.append("flag esn")
        if self.esn or sender == 1:
            words += ["replay-window", self.options.get("kwindow", "64")]
        if sender == 2 and "oseq" in self.options:
            words += ["replay-oseq", self.options["oseq"]]
        if sender == 2 and "tfcpad" in self.options:
            words += ["tfcpad", self.options["tfcpad"]]
        return " ".join(words + self.told(self.theirs, (tunnel, sender)))

    def kernel_lines(self):
        lines = ["xfrm policy flush", "xfrm state flush"]
        for t in self.tunnels:
            lines += [self.kernel_state(t, 1), self.kernel_state(t, 2)]
        for priority, name in enumerate(SELECTORS, 1):
            if name not in self.combinations:
                continue
            a, b = SELECTORS[name]
            t = COMBINATIONS[name][2]
            if self.udp and self.mode == "transport":
                # As IKE daemons see to: what carries ESP is not itself to be protected.
                lines.append("xfrm policy add src %s dst %s proto udp dport 4500 dir in priority 0" % (a, b))
            for direction, src, dst, sender in (("out", b, a, 2), ("in", a, b, 1), ("fwd", a, b, 1)):
                upper = self.over.upper if self.over else ""
                lines.append("xfrm policy add src %s dst %s %s dir %s priority %d tmpl src %s dst %s proto %s mode %s" % (
                    src, dst, upper, direction, priority, OUTER[t][sender - 1], OUTER[t][2 - sender], self.proto,
                    self.mode))
        return lines
