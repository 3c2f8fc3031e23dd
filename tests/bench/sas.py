#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""sas.py - drives keyd for sas.sh: by its configuration file and by its control socket."""

import argparse
import hashlib
import json
import os
import socket
import statistics
import time

POLICY_KEYS = ("name", "action", "tunnel", "local", "remote")


class Keyd:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")

    def call(self, request, **params):
        line = json.dumps({"request": request, "params": params}) + "\n"
        begin = time.monotonic()
        self.sock.sendall(line.encode())
        answer = json.loads(self.file.readline())
        took = time.monotonic() - begin
        if not answer["ok"]:
            raise SystemExit("%s: %s" % (request, answer["error"]))
        return took, answer["result"]


def address(i):
    return "198.%d.%d.%d" % (18 + (i >> 16), i >> 8 & 255, i & 255)


def tunnels(n):
    return [{"name": "t%d" % i, "local": "192.0.2.1", "remote": address(i)} for i in range(n)]


def sa(i, direction, serial, window):
    key = hashlib.sha256(("%d %s %d" % (i, direction, serial)).encode()).hexdigest()[:40]
    out = {"name": "%s%d" % (direction, i), "tunnel": "t%d" % i, "direction": direction,
           "spi": 4096 + serial % 1000 * 1000000 + 2 * i + (direction == "in"), "key": key,
           "algorithm": "aes-gcm-128"}
    if direction == "in":
        out["replay_window"] = window
    return out


def sas(n, serial, window):
    return [sa(i // 2, ("in", "out")[i % 2], serial, window) for i in range(n)]


def policies(n, tunnels_n):
    return [{"name": "p%d" % i, "action": "protect", "tunnel": "t%d" % (i % tunnels_n),
             "local": "10.0.0.0/8",
             "remote": "172.%d.%d.%d/32" % (16 + (i >> 16), i >> 8 & 255, i & 255)}
            for i in range(n)]


def write_config(path, model, source):
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as out:
        out.write("version: 1\nroutes: none\nsource: %s\n" % source)
        for kind in ("tunnels", "sas", "policies"):
            if model.get(kind):
                out.write("%s:\n" % kind)
            for entry in model.get(kind, []):
                out.write("  - {%s}\n" % ", ".join("%s: %s" % kv for kv in entry.items()))


def resident(pids):
    kib = 0
    for pid in pids:
        with open("/proc/%d/status" % pid) as status:
            kib += sum(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return kib * 1024


def cpu_seconds(pid):
    """User and system time; nanoseconds, where /proc/PID/stat has ticks of 10 ms."""
    with open("/proc/%d/schedstat" % pid) as stat:
        return int(stat.read().split()[0]) / 1e9


def show(name, values, unit):
    print("%-72s %10.3f %10.3f %10.3f %s" % (name, min(values), statistics.median(values),
                                             max(values), unit), flush=True)


class Bench:
    def __init__(self, args):
        self.args = args
        self.keyd = Keyd(args.run + "/keyd.sock")
        self.figures = {}

    def note(self, name, value, unit):
        self.figures.setdefault((name, unit), []).append(value)

    def wait_active(self):
        """xespd acknowledges before keyd answers; this asserts it."""
        _, result = self.keyd.call("status")
        return result["sas"]

    def reload(self, model, name, unit="s", scale=1.0, source="file"):
        write_config(self.args.config, model, source)
        self.timed(name, unit, scale, "reload")

    def timed(self, name, unit, scale, request, **params):
        """What the caller waits, and what it costs the daemons: on a busy machine only that counts."""
        before = [cpu_seconds(pid) for pid in self.args.pids]
        took, result = self.keyd.call(request, **params)
        self.note(name, took * scale, unit)
        for who, pid, was in zip(("keyd", "xespd"), self.args.pids, before):
            self.note("%s, CPU time of %s" % (name, who), (cpu_seconds(pid) - was) * scale, unit)
        return result

    def file_round(self, serial):
        n = self.args.sas
        model = {"tunnels": tunnels(n // 2), "sas": sas(n, serial, 64)}
        pids = self.args.pids
        before = resident(pids)
        self.reload(model, "file: %d SAs installed" % n)
        if self.wait_active() != n:
            raise SystemExit("not all SAs are there")
        self.note("file: memory of both daemons an SA", (resident(pids) - before) / n, "bytes")
        self.reload(model, "file: reload that changes nothing", "us an SA", 1e6 / n)
        model["sas"][0] = sa(0, "in", serial + 500, 64)
        self.reload(model, "file: one SA of %d replaced" % n, "ms", 1e3)
        self.reload({}, "file: %d SAs deleted" % n)

    def set(self, name, unit, scale, **params):
        return self.timed(name, unit, scale, "set", **params)

    def socket_round(self, serial):
        """By the control socket: all at once, in parts, and one at a time."""
        n, m = self.args.sas, self.args.policies
        part = n // 10
        every = sas(n, 100 + serial, 64)
        names = [t["name"] for t in tunnels(n // 2)]
        self.set("socket: %d SAs installed, one transaction" % n, "s", 1,
                 set={"tunnels": tunnels(n // 2), "sas": every})
        if self.wait_active() != n:
            raise SystemExit("not all SAs are there")
        self.set("socket: one SA of %d replaced" % n, "ms", 1e3,
                 set={"sas": [sa(0, "out", serial + 600, 64)]})
        self.set("socket: %d SAs deleted, one transaction" % n, "s", 1,
                 delete={"sas": [s["name"] for s in every]})
        begin, cpu = time.monotonic(), [cpu_seconds(pid) for pid in self.args.pids]
        again = sas(n, 200 + serial, 64)
        for at in range(0, n, part):
            self.keyd.call("set", set={"sas": again[at:at + part]})
        self.note("socket: %d SAs installed, 10 transactions" % n, time.monotonic() - begin, "s")
        self.note("socket: %d SAs installed, 10 transactions, CPU time of keyd" % n, cpu_seconds(self.args.pids[0]) - cpu[0], "s")
        self.set("socket: SAs and tunnels deleted", "s", 1,
                 delete={"sas": [s["name"] for s in again], "tunnels": names})
        self.set("socket: %d policies installed" % m, "s", 1,
                 set={"tunnels": tunnels(4), "policies": policies(m, 4)})
        other = dict(policies(m, 4)[m // 2], local="11.0.0.0/8")
        for i in range(10):
            self.set("socket: one policy of %d exchanged" % m, "ms", 1e3, set={"policies": [other]})
            other["local"] = "12.0.0.0/8" if i % 2 else "11.0.0.0/8"
            self.set("socket: one policy put before another of %d" % m, "ms", 1e3,
                     set={"policies": [dict(other, name="new%d" % i, before="p%d" % (m // 3))]})
            self.set("socket: one policy of %d deleted" % m, "ms", 1e3,
                     delete={"policies": ["new%d" % i]})
        self.set("socket: everything deleted", "s", 1, whole=True, set={})

    def run(self):
        for i in range(self.args.rounds):
            time.sleep(11)  # until the ids of SAs that are gone may be given away
            if self.args.socket:
                self.socket_round(i)
            else:
                self.file_round(i)
        print("%-72s %10s %10s %10s" % ("", "min", "median", "max"))
        for (name, unit), values in self.figures.items():
            show(name, values, unit)
        if self.args.json:
            with open(self.args.json, "w") as out:
                json.dump([{"name": k[0], "unit": k[1], "values": v}
                           for k, v in self.figures.items()], out, indent=1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--run")
    p.add_argument("--config")
    p.add_argument("--sas", type=int)
    p.add_argument("--policies", type=int)
    p.add_argument("--rounds", type=int)
    p.add_argument("--json")
    p.add_argument("--socket", action="store_true")
    p.add_argument("--write-config")
    p.add_argument("--pids", type=lambda s: [int(x) for x in s.split(",")])
    args = p.parse_args()
    if args.write_config:
        write_config(args.config, {}, args.write_config)
        return
    Bench(args).run()


if __name__ == "__main__":
    main()
