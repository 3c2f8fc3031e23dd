# SPDX-License-Identifier: BSD-2-Clause
"""UDP flows with numbered packets, and what arrives of them.

    flows.py send <destination> <flows> <rounds> <milliseconds between rounds>
    flows.py receive <address>

Each round sends the next number of every flow; a flow is a source port. The receiver prints
"ready", and on SIGTERM one JSON object: packets, flows, reordered (numbers below one that came
before in their flow), lost (numbers that never came below a flow's highest), longest_gap_ms (of
any flow), by its own clock.
"""
import json
import signal
import socket
import struct
import sys
import time

PORT = 7000
FIRST_SOURCE_PORT = 20000


def send(destination, flows, rounds, pause):
    sockets = []
    for i in range(flows):
        s = socket.socket(socket.AF_INET6 if ":" in destination else socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("", FIRST_SOURCE_PORT + i))
        s.connect((destination, PORT))
        sockets.append(s)
    start = time.monotonic()
    for number in range(rounds):
        for s in sockets:
            try:
                s.send(struct.pack("!Q", number) + bytes(56))
            except OSError:
                pass  # an ICMP error about an earlier packet is told here
        left = start + (number + 1) * pause / 1000 - time.monotonic()
        if left > 0:
            time.sleep(left)


class Flow:
    def __init__(self):
        self.highest = -1
        self.seen = 0
        self.reordered = 0
        self.last = None
        self.gap = 0.0

    def take(self, number, now):
        if self.last is not None:
            self.gap = max(self.gap, now - self.last)
        self.last = now
        self.seen += 1
        if number < self.highest:
            self.reordered += 1
        self.highest = max(self.highest, number)


def receive(address):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind((address, PORT))
    flows = {}
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    s.settimeout(0.1)
    print("ready", flush=True)
    while not ended:
        try:
            data, source = s.recvfrom(2048)
        except (TimeoutError, InterruptedError):
            continue
        flows.setdefault(source, Flow()).take(struct.unpack("!Q", data[:8])[0], time.monotonic())
    values = flows.values()
    print(json.dumps({
        "packets": sum(f.seen for f in values),
        "flows": len(flows),
        "reordered": sum(f.reordered for f in values),
        "lost": sum(f.highest + 1 - f.seen for f in values),
        "longest_gap_ms": int(1000 * max((f.gap for f in values), default=0)),
    }), flush=True)


if sys.argv[1] == "send":
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
else:
    receive(sys.argv[2])
