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

import fnmatch
import json
import os
import re
import select
import subprocess
import sys
import time

import kernel_late
import kernel_overlays
import kernel_wire
from kernel_row import COMBINATIONS, OUTER, Row
from kernel_wire import PATIENCE, Failure, Wire, command, inside, ip, takes_esp, udp

SIZES = list(range(0, 36)) + [63, 64, 65, 127, 128, 500, 1000, 1200, 1239, 1280]
AT_ONCE = 16  # datagrams in flight


class NotYet(Exception):
    """What xesp says of a configuration that is right, but beyond it."""


class Ends:
    """Hosts, wire and both gateways, and the figures of each."""

    def __init__(self, scratch, xesp, rows):
        self.scratch, self.xesp = scratch, xesp
        self.wire = Wire()
        kernel_overlays.set_up({r.options["over"] for r in rows if r.over})
        self.sockets = {}
        for name in {c for r in rows for c in r.combinations}:
            a, b, _ = COMBINATIONS[name]
            near, far = ("hostA", "hostB") if "-in-" in name else ("gw1", "gw2")
            self.sockets[name] = udp(near, a), udp(far, b)
        self.encap = [takes_esp("gw2", address) for _, address in OUTER.values()]

    def set_up(self, row):
        ip("gw2", row.kernel_lines())
        self.configure(row)

    def configure(self, row, others=None):
        path = os.path.join(self.scratch, "gw1.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(row.config(others))
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
        """The kernel's figures: (tunnel, sender): packets, seen before, failed, too old."""
        text = command(["ip", "-n", kernel_wire.namespaces + "-gw2", "-s", "xfrm", "state"])
        found = {}
        for part in re.split(r"^src ", text, flags=re.M)[1:]:
            spi = int(re.search(r"spi (0x[0-9a-f]+)", part).group(1), 16)
            found[spi] = (int(re.search(r"lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)", part).group(1)),
                          *(int(re.search(r"\b%s (\d+)" % word, part.split("stats:")[1]).group(1))
                            for word in ("replay", "failed", "replay-window")))
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


def expect_numbers(what, seen, start, count):
    for got, i in zip(seen, range(start, start + count)):
        if got != i & 0xFFFFFFFF:
            raise Failure("%snumber %d on the wire, expected %d" % (what, got, i & 0xFFFFFFFF))
    expect(what + "frames on the wire", len(seen), count)


def check_figures(ends, row, counts, dummies):
    """xesp, the kernel and the wire agree about each SA."""
    ours, theirs = ends.ours(), ends.theirs(row)
    ends.wire.drain()
    first = int(row.options.get("oseq", "0"), 0) + 1
    for (tunnel, sender), spi in row.spi.items():
        if tunnel not in row.tunnels:
            continue
        n = counts[tunnel] + (dummies[tunnel] if sender == 1 else 0)
        sa = ours["%s-%s" % (tunnel, "out" if sender == 1 else "in")]
        what = "%s, SPI %#x: " % (tunnel, spi)
        expect(what + "packets in xesp", sa["packets"], n)
        expect(what + "drops in xesp", {k: v for k, v in sa.get("drops", {}).items() if v}, {})
        expect(what + "packets, replays and failures in the kernel", theirs[tunnel, sender], (counts[tunnel], 0, 0, 0))
        start = first if sender == 2 else 1
        seen = ends.wire.seen.get((row.kind, spi), [])
        # Dummy packets are another thread's, and may overtake.
        expect_numbers(what, sorted(seen) if sender == 1 and "dummy" in row.options else seen, start, n)
    expect("SAs on the wire", len(ends.wire.seen), 2 * len(row.tunnels))
    expect("other than that on the wire", ends.wire.other[:3], [])


def check_padding(ends, row):
    """Traffic flow padding: no packet of an SA is smaller than it was asked for."""
    for sender, key in ((1, "tfc"), (2, "tfcpad")):
        for tunnel in row.tunnels if key in row.options else []:
            size = ends.wire.smallest[row.spi[tunnel, sender]]
            if size < int(row.options[key]):
                raise Failure("%s from gw%d: a packet of %d bytes, %s is %s" % (
                    tunnel, sender, size, key, row.options[key]))


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
            got[t] = [theirs[t, 1][1:3], (drops.get("replay-duplicate", 0), drops.get("bad-icv", 0))]
        if all(v == [(1, 1), (1, 1)] for v in got.values()):
            return
        if time.monotonic() > deadline:
            raise Failure("replayed and forged frames counted by the kernel and by xesp: %s, expected 1 of each" % got)
        time.sleep(0.2)


def end_dummies(ends, row, counts):
    """xesp is told to send no more dummy packets; returns how many it sent, by tunnel."""
    time.sleep(0.5 * PATIENCE)
    ends.configure(row, {"dummy": "0"})
    for _ in range(2):  # what was on its way when the tunnel changed
        time.sleep(0.2 * PATIENCE)
        ends.wire.drain()
    sent = {t: len(ends.wire.seen.get((row.kind, row.spi[t, 1]), [])) - counts[t] for t in row.tunnels}
    if min(sent.values()) < 5:
        raise Failure("dummy packets on the wire: %s, expected more" % sent)
    return sent


def pieces(ends, row):
    """Datagrams larger than the path, cut by the sender's end behind ESP or AH, put together before it."""
    for combination in row.combinations:
        a, b = ends.sockets[combination]
        for source, sink in ((a, b), (b, a)):
            sent = [os.urandom(int(row.options["pieces"])) for _ in range(4)]
            ends.across(combination + " in pieces", source, sink.getsockname()[:2], sink, sent)


def run_row(ends, row):
    ends.wire.forget()
    before, mib = ends.drops(), ends.mib()
    ends.set_up(row)
    counts = {t: 0 for t in row.tunnels}
    for combination in row.combinations:
        counts[COMBINATIONS[combination][2]] += ends.converse(combination)
    dummies = dict.fromkeys(counts, 0)
    if "dummy" in row.options:
        dummies = end_dummies(ends, row, counts)
        for combination in row.combinations:  # so that the last frame of each SA is none
            counts[COMBINATIONS[combination][2]] += ends.converse(combination)
    check_figures(ends, row, counts, dummies)
    check_padding(ends, row)
    if "pieces" in row.options:
        pieces(ends, row)
    expect("drops in xesp", {k: v - before.get(k, 0) for k, v in ends.drops().items() if v != before.get(k, 0)}, {})
    # Dummy packets are what the kernel counts so: ESP without a next header.
    expect("errors in the kernel", {k: v - mib[k] for k, v in ends.mib().items() if v != mib[k]},
           {"XfrmInStateProtoError": sum(dummies.values())} if any(dummies.values()) else {})
    refusals(ends, row)
    if "late" in row.options:
        kernel_late.check_late(ends, row)


def explain(ends):
    """What a person wants to see after a failure, one line a source."""
    try:
        return "drops in xesp %s; the kernel's %s" % (
            json.dumps({k: v for k, v in ends.drops().items() if v}),
            json.dumps({k: v for k, v in ends.mib().items() if v}))
    except (Failure, OSError, ValueError) as e:
        return "no figures: %s" % e


def main():
    at = sys.argv.index("--")
    kernel_wire.namespaces, scratch, table, patterns = sys.argv[1:at]
    with open(table, encoding="ascii") as f:
        rows = [Row(n, line) for n, line in enumerate(f) if "|" in line and line[0] != "#"]
    rows = [r for r in rows if any(fnmatch.fnmatch(r.name, p) for p in patterns.split() or ["*"])]
    ends = Ends(scratch, sys.argv[at + 1:], rows)
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
