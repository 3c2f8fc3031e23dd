#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Table and JSON of what tests/bench/topology.sh measured: lines of JSON in, one for each measurement.

report.py LINES JSON BUILD OPTIONS
"""

import json
import os
import platform
import statistics
import subprocess
import sys

DISTURBED = 0.05  # of a CPU, used by others


def first_line(*command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        return (out.stdout or out.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return ""


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        info = dict(line.split(":", 1) for line in f.read().split("\n\n")[0].splitlines() if ":" in line)
    info = {k.strip(): v.strip() for k, v in info.items()}
    flags = info.get("flags", "").split()
    return info.get("model name", "?"), [f for f in ("aes", "vaes", "vpclmulqdq", "avx2", "avx512f") if f in flags]


def three(values):
    values = sorted(values)
    return {"min": values[0], "median": statistics.median(values), "max": values[-1]}


def group(lines):
    """(label, direction, size) -> list of measurements, in the order of the rounds."""
    out = {}
    for m in lines:
        out.setdefault((m["label"], m["direction"], m["size"]), []).append(m)
    return out


def row(groups, label, direction, size):
    runs = groups.get((label, direction, size), [])
    if not runs:
        return None
    keys = [k for k in ("pps", "gbps", "cpu_ns", "user_ns", "system_ns", "softirq_ns", "gateway_busy",
                        "offered_pps") if k in runs[0]]
    r = {k: three([m[k] for m in runs]) for k in keys}
    r.update(label=label, direction=direction, size=size, runs=len(runs))
    if "sent" in runs[0]:
        r["sent"] = sum(m["sent"] for m in runs)
        r["lost"] = sum(m["lost"] for m in runs)
        r["disturbed_runs"] = sum(m["other_busy"] > DISTURBED for m in runs)
    return r


def limits(groups, direction, size):
    """The serial limit, by CPU time and round by round, so that what hits a round hits all of it."""
    rounds = zip(*(groups.get((label, direction, size), []) for label in ("xesp", "io", "crypto")))
    shares, costs = [], []
    for whole, io, crypto in rounds:
        limit_ns = io["cpu_ns"] + crypto["cpu_ns"]
        costs.append(limit_ns)
        shares.append(limit_ns / whole["cpu_ns"] if whole["cpu_ns"] else 0)
    if not shares:
        return None
    return {"limit_cpu_ns": three(costs), "limit_pps": 1e9 / statistics.median(costs), "share": three(shares)}


def kpps(r):
    return f"{r['pps']['min'] / 1e3:7.0f} {r['pps']['median'] / 1e3:7.0f} {r['pps']['max'] / 1e3:7.0f}"


def versus(xesp, r):
    """Packets are only comparable when both gateways were busy; their CPU time is in any case."""
    if not r["pps"]["median"] or not xesp["cpu_ns"]["median"]:
        return "  nothing arrived"
    text = f"  {r['cpu_ns']['median'] / xesp['cpu_ns']['median']:.1f} times xesp's CPU"
    if r["gateway_busy"]["median"] < 0.8:
        return text + "; it waited for packets"
    return text + f", 1/{xesp['pps']['median'] / r['pps']['median']:.1f} of its packets"


def table(rows, bounds, peers):
    names = {"xesp": "xesp", "io": "  I/O alone", "generator": "  generator's ceiling"}
    print(f"{'bytes':>6} {'':6} {'':22} {'kpps min':>8} {'median':>7} {'max':>7} {'Gbit/s':>7} {'lost':>6}  "
          f"{'ns CPU':>7} {'user':>6} {'system':>6} {'softirq':>7} {'busy':>5}")
    for (size, direction), here in rows.items():
        for r in here:
            head = f"{size:6} {direction:6} {names.get(r['label'], r['label']):22} "
            if r["label"] == "crypto":
                print(f"{size:6} {direction:6} {'  crypto alone':22} {'':7} "
                      f"{1e6 / r['cpu_ns']['median']:8.0f} {'':7} {'':7} {'':6}  {r['cpu_ns']['median']:7.0f}")
            elif r["label"] == "generator":
                print(f"{head}{'':8}{r['offered_pps']['median'] / 1e3:8.0f}")
            else:
                times = "" if r["label"] in ("xesp", "io") else versus(here[0], r)
                print(f"{head}{kpps(r)} {r['gbps']['median']:8.2f} {r['lost']:6}  {r['cpu_ns']['median']:7.0f} "
                      f"{r['user_ns']['median']:6.0f} {r['system_ns']['median']:6.0f} "
                      f"{r['softirq_ns']['median']:7.0f} {100 * r['gateway_busy']['median']:4.0f}%{times}")
        b = bounds.get((size, direction))
        if b:
            print(f"{size:6} {direction:6} {'  serial limit':22} {'':7} {b['limit_pps'] / 1e3:8.0f} {'':7} {'':7} "
                  f"{'':6}  {b['limit_cpu_ns']['median']:7.0f}   reached: {100 * b['share']['median']:.0f}% "
                  f"({100 * b['share']['min']:.0f} to {100 * b['share']['max']:.0f})")
    for line in peers:
        print(line)


def main():
    path, json_path, build, options = sys.argv[1:5]
    with open(path, encoding="ascii") as f:
        lines = [json.loads(line) for line in f if line.strip()]
    notes = [m["note"] for m in lines if "note" in m]
    lines = [m for m in lines if "note" not in m]
    groups = group(lines)
    labels = list(dict.fromkeys(label for label, _, _ in groups))
    order = ["xesp", "io", "crypto", "generator"] + [x for x in labels if x not in ("xesp", "io", "crypto", "generator")]
    cases = sorted({(size, direction) for _, direction, size in groups}, key=lambda c: (c[0], c[1] == "decap"))
    cases = [c for c in cases if ("xesp", c[1], c[0]) in groups]
    rows = {(s, d): [r for label in order if (r := row(groups, label, d, s))] for s, d in cases}
    bounds = {(s, d): limits(groups, d, s) for s, d in cases}

    model, flags = cpu_model()
    engines = {m["engine"] for m in lines if m["label"] == "crypto"}
    about = {
        "machine": f"{model}, {os.cpu_count()} CPUs", "flags": flags, "kernel": platform.release(),
        "xesp": first_line(f"{build}/xesp", "version"), "engine": ", ".join(sorted(engines)),
        "xespd_options": options,
        "rounds": max((len(v) for k, v in groups.items() if k[0] == "xesp"), default=0),
    }
    print(f"{about['xesp']}, engine {about['engine']}; Linux {about['kernel']}, {about['machine']}"
          f" ({' '.join(flags)})")
    print("AES-128-GCM-16, ESN, one SA, 64 flows; inner IP packets; one gateway worker on one CPU, veth in copy mode.")
    print("ns CPU is the gateway's time for a packet, softirq on its CPU included; lost is of all sent. On a veth the kernel\n"
          "receives a frame on the CPU that sent it: for the gateway's the generator pays, and the gateway for the sink's.\n")
    table(rows, bounds, notes)
    runs = [m for m in lines if "other_busy" in m and m["label"] != "generator"]
    disturbed = sum(m["other_busy"] > DISTURBED for m in runs)
    print(f"\n{disturbed} of {len(runs)} measurements were disturbed: others used more than "
          f"{100 * DISTURBED:.0f}% of a CPU meanwhile.")
    with open(json_path, "w", encoding="ascii") as f:
        json.dump({"bench": "topology", **about, "notes": notes, "disturbed": disturbed,
                   "rows": [r for here in rows.values() for r in here],
                   "limits": [{"size": s, "direction": d, **b} for (s, d), b in bounds.items() if b],
                   "measurements": lines}, f, indent=1)


if __name__ == "__main__":
    main()
