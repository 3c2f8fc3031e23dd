# SPDX-License-Identifier: BSD-2-Clause
"""Late packets against the replay window of either end, RFC 4303 section 3.4.3 and appendix A2.

The wire is cut while one end sends more packets than the other's window is wide; they are then put on it
in another order: the last; the oldest that the window still holds; the one before that, which it does not;
the last but one, twice.
"""

import select
import time

from kernel_wire import ATTACKER, PATIENCE, Failure, bridge_link, ip, spi_of

AT_ONCE = 16


def hold(wire, sender, spi, send, count):
    """The frames of an SA that `count` calls of send() put on a cut wire, in the order of sending."""
    heard, far = (wire.to["gw1"], "w2") if sender == 1 else (wire.to["gw2"], "w1")
    ip("wire", ["link set %s nomaster" % far])
    try:
        while select.select([heard], [], [], 0)[0]:
            heard.recv(65536)
        held = []
        for at in range(0, count, AT_ONCE):
            for n in range(at, min(at + AT_ONCE, count)):
                send(n)
            want = min(at + AT_ONCE, count)
            deadline = time.monotonic() + 3 * PATIENCE
            while len(held) < want:
                if not select.select([heard], [], [], max(0, deadline - time.monotonic()))[0]:
                    raise Failure("SPI %#x: %d of %d frames on the cut wire" % (spi, len(held), want))
                data = heard.recv(65536)
                if data[6:12] != ATTACKER and spi_of(data) == spi:
                    held.append(data)
        return held
    finally:
        ip("wire", ["link set %s master wire0" % far])
        until_forwards(far)


def until_forwards(port):
    deadline = time.monotonic() + 5 * PATIENCE
    while "state forwarding" not in bridge_link("wire", port):
        if time.monotonic() > deadline:
            raise Failure("the wire does not forward again")
        time.sleep(0.05)


def refusals_of(ends, row, tunnel, sender):
    """What the receiver of an SA refused until now: too old, seen before, not authentic."""
    if sender == 1:
        _, replay, failed, old = ends.theirs(row)[tunnel, 1]
        return old, replay, failed
    drops = ends.ours()[tunnel + "-in"]["drops"]
    return tuple(drops.get(k, 0) for k in ("replay-old", "replay-duplicate", "bad-icv"))


def arrivals(sink, count):
    got, deadline = [], time.monotonic() + 3 * PATIENCE
    while len(got) < count and select.select([sink], [], [], max(0, deadline - time.monotonic()))[0]:
        got.append(int.from_bytes(sink.recv(65536), "big"))
    return got


def check_late(ends, row):
    for combination in row.combinations:
        tunnel = row.tunnel_of(combination)
        for sender in (1, 2):
            late(ends, row, combination, tunnel, sender)


def late(ends, row, combination, tunnel, sender):
    window = int(row.options["kwindow" if sender == 1 else "window"])
    a, b = ends.sockets[combination]
    source, sink = (a, b) if sender == 1 else (b, a)
    to, gateway = sink.getsockname()[:2], "gw2" if sender == 1 else "gw1"
    count = window + 8
    before = refusals_of(ends, row, tunnel, sender)
    frames = hold(ends.wire, sender, row.spi[tunnel, sender],
                  lambda n: source.sendto(n.to_bytes(4, "big"), to), count)
    top = count - 1

    def put(*numbers):
        for data in (frames[n] for n in numbers):
            ends.wire.to[gateway].send(data[:6] + ATTACKER + data[12:])

    what = "%s, sent by gw%d, window %d: " % (combination, sender, window)
    put(top)
    got = arrivals(sink, 1)  # first: numbers of one batch are all held against the window before it
    put(top - window + 1, top - window, top - 1, top - 1)
    got += arrivals(sink, 2)
    if got != [top, top - window + 1, top - 1]:
        raise Failure("%sof late packets %s got through, expected %s" % (what, got, [top, top - window + 1, top - 1]))
    # Appendix A2.2: with ESN a number left of the window is taken for one of the next 2^32, and fails there.
    expected = (0, 1, 1) if row.esn else (1, 1, 0)
    deadline = time.monotonic() + 3 * PATIENCE
    while True:
        now = refusals_of(ends, row, tunnel, sender)
        change = tuple(n - b for n, b in zip(now, before))
        if change == expected:
            return
        if time.monotonic() > deadline:
            raise Failure("%srefused as too old, seen before, not authentic: %s, expected %s" % (what, change, expected))
        time.sleep(0.1)
