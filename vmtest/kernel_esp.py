#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""xesp on gw1, the kernel's ESP and AH on gw2, row by row of a table; prints PASS or FAIL a row.

One process for all of it, with sockets in each namespace: under an emulated processor a process
costs a tenth of a second. For each row both ends get new SAs; datagrams of many sizes then go from
host A to host B and back, through each combination of IP in IP, and are compared. What is asserted:
every datagram came back unaltered; xesp's SAs, the kernel's SAs and the frames seen on the wire
agree on how many packets each SA carried; nothing else was on the wire; and a frame sent again, or
with one bit altered, is refused by both ends and counted.

  kernel_esp.py <namespace prefix> <scratch> <table> <patterns> -- <command xesp...>
"""

import ctypes
import fnmatch
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time

PATIENCE = int(os.environ.get("XESP_PATIENCE", "1"))
SIZES = list(range(0, 36)) + [63, 64, 65, 127, 128, 500, 1000, 1200, 1239, 1280]
AT_ONCE = 16  # datagrams in flight
ATTACKER = bytes.fromhex("0200000000aa")
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

libc = ctypes.CDLL(None, use_errno=True)
prefix = ""


class Failure(Exception):
    """The sentence that a row fails with."""


class NotYet(Exception):
    """What xesp says of a configuration that is right, but beyond it."""


def inside(ns, make):
    """What make() returns when called in a namespace: a socket belongs where it was made."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open("/run/netns/%s-%s" % (prefix, ns), os.O_RDONLY)
    try:
        if libc.setns(there, 0x40000000):
            raise OSError(ctypes.get_errno(), "setns " + ns)
        return make()
    finally:
        if libc.setns(home, 0x40000000):
            raise OSError(ctypes.get_errno(), "setns back")
        os.close(home)
        os.close(there)


def command(arguments, text=None):
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=60 * PATIENCE)
    if done.returncode:
        raise Failure("%s: %s" % (" ".join(arguments[:6]), (done.stderr + done.stdout).strip()[-400:]))
    return done.stdout


def ip(ns, lines):
    return command(["ip", "-n", "%s-%s" % (prefix, ns), "-batch", "-"], "\n".join(lines) + "\n")


def udp(ns, address, port=7):
    def make():
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        s.bind((address, port))
        return s
    return inside(ns, make)


def raw(ns, interface):
    def make():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
        s.bind((interface, 3))
        return s
    return inside(ns, make)


def takes_esp(ns, address):
    """The kernel takes ESP in UDP only where a socket says so, as an IKE daemon's does."""
    s = udp(ns, address, 4500)
    s.setsockopt(socket.IPPROTO_UDP, 100, 2)  # UDP_ENCAP, UDP_ENCAP_ESPINUDP
    if s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_UDP, 102, 1)  # UDP_NO_CHECK6_RX
    return s


class Wire:
    """Every frame on the wire, by a socket that was there before the traffic."""

    def __init__(self):
        self.heard = raw("wire", "w1")
        self.to = {"gw1": self.heard, "gw2": raw("wire", "w2")}
        self.seen, self.last, self.other = {}, {}, []

    def forget(self):
        self.drain()
        self.seen, self.last, self.other = {}, {}, []

    def drain(self):
        while select.select([self.heard], [], [], 0)[0]:
            data, origin = self.heard.recvfrom(65536)
            if origin[2] == socket.PACKET_OUTGOING and data[6:12] == ATTACKER:
                continue
            self.note(data)

    def note(self, data):
        proto = struct.unpack_from("!H", data, 12)[0]
        if proto == 0x0806:
            return
        if proto == 0x0800:
            at, upper, end = 14 + (data[14] & 15) * 4, data[23], 14 + struct.unpack_from("!H", data, 16)[0]
        elif proto == 0x86DD:
            at, upper, end = 54, data[20], 54 + struct.unpack_from("!H", data, 18)[0]
            if upper == 0 or upper == 58 and data[at] in range(133, 138):
                return  # listener reports, neighbour discovery
        else:
            self.other.append("EtherType %04x" % proto)
            return
        if upper == 17 and 4500 in struct.unpack_from("!HH", data, at):
            kind, at = "udp", at + 8
            if end - at == 1:
                return  # a keepalive
        elif upper in (50, 51):
            kind = "esp" if upper == 50 else "ah"
        else:
            self.other.append("protocol %d, %d bytes" % (upper, end - 14))
            return
        spi, seq = struct.unpack_from("!II", data, at + 4 if kind == "ah" else at)
        if data[6:12] != ATTACKER:
            self.seen.setdefault((kind, spi), []).append(seq)
            self.last[spi] = (data, at + 8 if kind == "ah" else at + 4, at - 2 if kind == "udp" else None)

    def again(self, spi, gateway, ahead=0):
        """Sends the last frame of an SA to a gateway once more; with another sequence number, so that
        the ICV is no longer right, when `ahead` is not 0."""
        data, at, checksum = self.last[spi]
        data = bytearray(data)
        data[6:12] = ATTACKER
        seq = struct.unpack_from("!I", data, at)[0]
        struct.pack_into("!I", data, at, (seq + ahead) & 0xFFFFFFFF)
        if ahead and checksum:
            struct.pack_into("!H", data, checksum, 0)  # of UDP; both ends take it on IPv6 too
        self.to[gateway].send(bytes(data))


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
        usual = [c for c in COMBINATIONS if c.startswith("host") == (self.mode == "transport")]
        self.combinations = self.options.get("only", ",".join(usual)).split(",")
        self.tunnels = sorted({COMBINATIONS[c][2] for c in self.combinations})

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

    def config(self):
        lines = ["version: 1", "interfaces:", "  - { name: in0, role: inner }",
                 "  - { name: out0, role: outer }", "tunnels:"]
        for t in self.tunnels:
            lines += ["  - name: " + t, "    local: " + OUTER[t][0], "    remote: " + OUTER[t][1],
                      "    mode: " + self.mode]
            if self.udp:
                lines += ["    encap: udp", "    keepalive: 0"]
        lines.append("sas:")
        for t in self.tunnels:
            lines += self.sa_config(t, 1) + self.sa_config(t, 2)
        lines.append("policies:")
        for name, (local, remote) in SELECTORS.items():
            if name in self.combinations:
                lines += ["  - name: " + name, "    action: protect", "    tunnel: " + COMBINATIONS[name][2],
                          "    local: " + local, "    remote: " + remote]
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
            for direction, src, dst, sender in (("out", b, a, 2), ("in", a, b, 1), ("fwd", a, b, 1)):
                lines.append("xfrm policy add src %s dst %s dir %s priority %d tmpl src %s dst %s proto %s mode %s" % (
                    src, dst, direction, priority, OUTER[t][sender - 1], OUTER[t][2 - sender], self.proto,
                    self.mode))
        return lines


class Ends:
    """Hosts, wire and both gateways, and the figures of each."""

    def __init__(self, scratch, xesp):
        self.scratch, self.xesp = scratch, xesp
        self.wire = Wire()
        self.sockets = {}
        for name, (a, b, _) in COMBINATIONS.items():
            near, far = ("gw1", "gw2") if name.startswith("host") else ("hostA", "hostB")
            self.sockets[name] = udp(near, a), udp(far, b)
        self.encap = [takes_esp("gw2", address) for _, address in OUTER.values()]

    def set_up(self, row):
        path = os.path.join(self.scratch, "gw1.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(row.config())
        ip("gw2", row.kernel_lines())
        try:
            command(self.xesp + ["reload"])
        except Failure as e:
            if "not possible yet" in str(e):
                raise NotYet(re.sub(r".*gw1\.yaml:\d+: ", "", str(e)).split(" (and")[0]) from e
            raise
        deadline = time.monotonic() + 10 * PATIENCE
        while any(sa["state"] != "active" for sa in self.ours().values()):
            if time.monotonic() > deadline:
                raise Failure("xesp's SAs: %s" % {n: s["state"] for n, s in self.ours().items()})
            time.sleep(0.1)

    def ours(self):
        return {sa["name"]: sa for sa in json.loads(command(self.xesp + ["sa", "--json"]))["sas"]}

    def drops(self):
        return json.loads(command(self.xesp + ["counters", "--json"]))["drops"]

    def theirs(self, row):
        """The kernel's figures: (tunnel, sender): packets, replay and failed."""
        text = command(["ip", "-n", prefix + "-gw2", "-s", "xfrm", "state"])
        found = {}
        for part in re.split(r"^src ", text, flags=re.M)[1:]:
            spi = int(re.search(r"spi (0x[0-9a-f]+)", part).group(1), 16)
            found[spi] = (int(re.search(r"lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)", part).group(1)),
                          int(re.search(r"replay (\d+)", part.split("stats:")[1]).group(1)),
                          int(re.search(r"failed (\d+)", part.split("stats:")[1]).group(1)))
        return {sa: found[spi] for sa, spi in row.spi.items() if spi in found}

    def mib(self):
        text = inside("gw2", lambda: open("/proc/thread-self/net/xfrm_stat", encoding="ascii").read())
        return {k: int(v) for k, v in (line.split() for line in text.splitlines())}

    def converse(self, combination):
        """Datagrams of every size from A to B and back; returns how many."""
        a, b = self.sockets[combination]
        to_b, to_a = b.getsockname()[:2], a.getsockname()[:2]
        for at in range(0, len(SIZES), AT_ONCE):
            sent = [os.urandom(size) for size in SIZES[at:at + AT_ONCE]]
            self.across(combination + " to the kernel", a, to_b, b, sent)
            self.across(combination + " from the kernel", b, to_a, a, sent)
        return len(SIZES)

    @staticmethod
    def across(what, source, to, sink, sent):
        for data in sent:
            source.sendto(data, to)
        left, deadline = list(sent), time.monotonic() + 2 * PATIENCE
        while left:
            if not select.select([sink], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failure("%s: %d of %d datagrams did not arrive, the first of %d bytes" % (
                    what, len(left), len(sent), len(left[0])))
            data = sink.recv(65536)
            if data not in left:
                raise Failure("%s: a datagram of %d bytes arrived that was not sent" % (what, len(data)))
            left.remove(data)


def expect(what, got, expected):
    if got != expected:
        raise Failure("%s: %s, expected %s" % (what, got, expected))


def check_figures(ends, row, counts):
    """xesp, the kernel and the wire agree about each SA."""
    ours, theirs = ends.ours(), ends.theirs(row)
    ends.wire.drain()
    first = int(row.options.get("oseq", "0"), 0) + 1
    kind = "udp" if row.udp else row.proto
    for (tunnel, sender), spi in row.spi.items():
        if tunnel not in row.tunnels:
            continue
        n = counts[tunnel]
        sa = ours["%s-%s" % (tunnel, "out" if sender == 1 else "in")]
        what = "%s, SPI %#x: " % (tunnel, spi)
        expect(what + "packets in xesp", sa["packets"], n)
        expect(what + "drops in xesp", {k: v for k, v in sa.get("drops", {}).items() if v}, {})
        expect(what + "packets, replays and failures in the kernel", theirs[tunnel, sender], (n, 0, 0))
        start = first if sender == 2 else 1
        expect(what + "numbers on the wire", ends.wire.seen.get((kind, spi), []),
               [i & 0xFFFFFFFF for i in range(start, start + n)])
    expect("SAs on the wire", len(ends.wire.seen), 2 * len(row.tunnels))
    expect("other than that on the wire", ends.wire.other[:3], [])


def refusals(ends, row):
    """Both ends refuse and count, for each SA, a frame sent again and one whose ICV is not right."""
    for tunnel in row.tunnels:
        for sender, gateway in ((1, "gw2"), (2, "gw1")):
            ends.wire.again(row.spi[tunnel, sender], gateway)
            ends.wire.again(row.spi[tunnel, sender], gateway, 5)
    deadline = time.monotonic() + 5 * PATIENCE
    while True:
        ours, theirs = ends.ours(), ends.theirs(row)
        got = {}
        for t in row.tunnels:
            drops = ours[t + "-in"]["drops"]
            got[t] = [theirs[t, 1][1:], (drops.get("replay-duplicate", 0), drops.get("bad-icv", 0))]
        if all(v == [(1, 1), (1, 1)] for v in got.values()):
            return
        if time.monotonic() > deadline:
            raise Failure("replayed and forged frames counted by the kernel and by xesp: %s, expected 1 of each" % got)
        time.sleep(0.2)


def run_row(ends, row):
    ends.set_up(row)
    ends.wire.forget()
    before, mib = ends.drops(), ends.mib()
    counts = {t: 0 for t in row.tunnels}
    for combination in row.combinations:
        counts[COMBINATIONS[combination][2]] += ends.converse(combination)
    check_figures(ends, row, counts)
    expect("drops in xesp", {k: v - before.get(k, 0) for k, v in ends.drops().items() if v != before.get(k, 0)}, {})
    expect("errors in the kernel", {k: v - mib[k] for k, v in ends.mib().items() if v != mib[k]}, {})
    refusals(ends, row)


def explain(ends):
    """What a person wants to see after a failure, one line a source."""
    try:
        return "drops in xesp %s; the kernel's %s" % (
            json.dumps({k: v for k, v in ends.drops().items() if v}),
            json.dumps({k: v for k, v in ends.mib().items() if v}))
    except (Failure, OSError, ValueError) as e:
        return "no figures: %s" % e


def main():
    global prefix
    at = sys.argv.index("--")
    prefix, scratch, table, patterns = sys.argv[1:at]
    with open(table, encoding="ascii") as f:
        rows = [Row(n, line) for n, line in enumerate(f) if "|" in line and line[0] != "#"]
    rows = [r for r in rows if any(fnmatch.fnmatch(r.name, p) for p in patterns.split() or ["*"])]
    ends = Ends(scratch, sys.argv[at + 1:])
    failed = 0
    for row in rows:
        start = time.monotonic()
        try:
            run_row(ends, row)
            print("PASS %s" % row.name, flush=True)
            print("  %.1f s" % (time.monotonic() - start), flush=True)
        except NotYet as e:
            print("SKIP %s: %s" % (row.name, e), flush=True)
        except (Failure, subprocess.TimeoutExpired) as e:
            failed += 1
            print("FAIL %s: %s" % (row.name, e), flush=True)
            print("  " + explain(ends), flush=True)
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
