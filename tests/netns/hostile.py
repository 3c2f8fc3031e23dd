#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""hostile.py SOCKET SECONDS: clients that a control socket must survive, one kind after the other.

Malformed, cut off, too long, too slow, silent, reading nothing, too many, of another user. Prints how
many of each kind were tried, and fails when one of them got what it must not get.
"""

import json
import os
import random
import socket
import sys
import time

GOOD = (b'{"id":1,"request":"set","params":{"set":{"tunnels":[{"name":"evil","local":"192.0.2.1",'
        b'"remote":"192.0.2.66"}]},"dry_run":true}}\n')
tried = {}


def count(kind):
    tried[kind] = tried.get(kind, 0) + 1


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    return s


def answer(s):
    data = b""
    while not data.endswith(b"\n"):
        try:
            more = s.recv(65536)
        except OSError:
            return data
        if not more:
            return data
        data += more
    return data


def exchange(path, line):
    with connect(path) as s:
        try:
            s.sendall(line)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return answer(s)


def cut_off(path):
    count("cut off")
    exchange(path, GOOD[:random.randrange(len(GOOD) - 1)] + random.choice([b"", b"\n"]))


def altered(path):
    count("altered")
    line = bytearray(GOOD)
    for _ in range(random.randrange(1, 4)):
        line[random.randrange(len(line) - 1)] = random.randrange(256)
    exchange(path, bytes(line))


def noise(path):
    count("noise")
    exchange(path, random.randbytes(random.randrange(1, 100000)) + b"\n")


def too_deep(path):
    count("too deep")
    got = exchange(path, b'{"request":"set","params":{"set":' + b'[' * 5000 + b']' * 5000 + b"}}\n")
    assert b'"ok":false' in got, got


def wrong_types(path):
    count("wrong types")
    value = random.choice([None, 1, -1, 2**70, 1.5, "x" * 1000, [], [[]], {}, {"a": 1}, True])
    where = random.choice(["set", "add", "delete", "whole", "dry_run"])
    kind = random.choice(["tunnels", "groups", "sas", "policies", "x"])
    params = {where: random.choice([value, {kind: value}, {kind: [value]}, {kind: [{"name": value}]}]),
              "dry_run": True}
    line = json.dumps({"request": "set", "params": params}).encode() + b"\n"
    got = exchange(path, line)
    assert got.startswith(b"{"), got


class Slow:
    """Sends a byte now and then, and reads nothing: several at once, for as long as the test runs."""

    def __init__(self, path):
        count("slow")
        self.s = connect(path)
        self.s.setblocking(False)
        self.at = 0

    def go_on(self):
        try:
            self.s.send(GOOD[self.at:self.at + 1])
            self.at += 1
        except OSError:
            return False
        return self.at < len(GOOD) - 1


class Deaf:
    """Asks for much and reads nothing; as a subscriber too."""

    def __init__(self, path):
        count("deaf")
        self.s = connect(path)
        self.s.setblocking(False)

    def go_on(self):
        try:
            self.s.send(random.choice([b'{"request":"subscribe"}\n', b'{"request":"policy"}\n'] * 50))
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


def too_long(path):
    """Longer than the daemon takes: told so, or cut off; never taken."""
    count("too long")
    with connect(path) as s:
        chunk = b'{"request":"set","params":{"x":"' + b"y" * (1 << 20)
        try:
            for _ in range(80):
                s.sendall(chunk)
                chunk = b"y" * (1 << 20)
        except OSError:
            pass
        got = answer(s)
    assert b'"ok":true' not in got, got


def of_another_user(path):
    count("of another user")
    pid = os.fork()
    if not pid:
        os.setgid(65534)
        os.setuid(65534)
        try:
            got = exchange(path, b'{"request":"status"}\n')
        except OSError:
            got = b""
        os._exit(1 if got else 0)
    assert os.waitpid(pid, 0)[1] == 0, "another user was served"


def main(path, seconds):
    random.seed(int.from_bytes(os.urandom(4), "big"))
    until = time.monotonic() + seconds
    many = [Slow(path) for _ in range(20)] + [Deaf(path) for _ in range(10)]
    of_another_user(path)
    too_long(path)
    while time.monotonic() < until:
        random.choice([cut_off, altered, noise, too_deep, wrong_types])(path)
        many = [m for m in many if m.go_on()]
        if len(many) < 20:
            many.append(random.choice([Slow, Deaf])(path))
    # More than it has places for, silent: the next one is served all the same.
    silent = [connect(path) for _ in range(100)]
    got = exchange(path, b'{"request":"status"}\n')
    assert b'"ok":true' in got, got
    count("silent")
    for s in silent:
        s.close()
    print(", ".join("%d %s" % (n, kind) for kind, n in sorted(tried.items())))


main(sys.argv[1], float(sys.argv[2]))
