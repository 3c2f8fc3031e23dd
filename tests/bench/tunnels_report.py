#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Table and JSON of what tests/bench/tunnels.sh measured: lines of JSON in, one for each measurement.

tunnels_report.py LINES JSON BUILD OPTIONS
"""

import json
import os
import platform
import sys

import report

COSTS = ("pps", "cpu_ns", "user_ns", "system_ns", "softirq_ns", "xdp_ns", "all_ns", "gateway_busy")


def row(runs, first):
    """What was measured of one lane, and round by round times what the first one took."""
    r = {key: report.three([m[key] for m in runs]) for key in COSTS}
    for key in ("cpu_ns", "all_ns"):
        r["ratio_" + key] = report.three([m[key] / one[key] for m, one in zip(runs, first) if one[key]] or [0])
    r.update({key: runs[0][key] for key in ("label", "tunnels", "direction", "size")})
    r.update(runs=len(runs), sent=sum(m["sent"] for m in runs), lost=sum(m["lost"] for m in runs))
    return r


def ratio(r):
    return f"{r['min']:5.2f} {r['median']:5.2f} {r['max']:5.2f}"


def table(rows):
    print(f"{'':36} {'ns CPU':>18} {'of it, medians':>22} {'':19} {'times the first':>17}  {'with XDP':>17}")
    print(f"{'bytes':>6} {'':6} {'tunnels':>9} {'kpps':>6} {'lost':>6} {'min':>5} {'median':>6} {'max':>5} "
          f"{'user':>6} {'system':>6} {'softirq':>7} {'XDP':>6} {'busy':>5} {'min':>6} {'med.':>5} {'max':>5}  "
          f"{'min':>5} {'med.':>5} {'max':>5}")
    for r in rows:
        print(f"{r['size']:6} {r['direction']:6} {r['label']:>9} {r['pps']['median'] / 1e3:6.0f} {r['lost']:6} "
              f"{r['cpu_ns']['min']:5.0f} {r['cpu_ns']['median']:6.0f} {r['cpu_ns']['max']:5.0f} "
              f"{r['user_ns']['median']:6.0f} {r['system_ns']['median']:6.0f} {r['softirq_ns']['median']:7.0f} "
              f"{r['xdp_ns']['median']:6.0f} {100 * r['gateway_busy']['median']:4.0f}%  {ratio(r['ratio_cpu_ns'])}  "
              f"{ratio(r['ratio_all_ns'])}")


def main():
    path, json_path, build, options = sys.argv[1:5]
    with open(path, encoding="ascii") as f:
        lines = [json.loads(line) for line in f]
    for m in lines:
        m["all_ns"] = m["cpu_ns"] + m["xdp_ns"]
    groups = report.group(lines)
    first = lines[0]["label"]
    rows = [row(runs, groups[first, direction, size]) for (_, direction, size), runs in groups.items()]
    rows.sort(key=lambda r: (r["size"], r["direction"] == "decap"))

    model, flags = report.cpu_model()
    about = {"machine": f"{model}, {os.cpu_count()} CPUs", "flags": flags, "kernel": platform.release(),
             "xesp": report.first_line(f"{build}/xesp", "version"), "xespd_options": options,
             "rounds": max(r["runs"] for r in rows)}
    print(f"{about['xesp']}; Linux {about['kernel']}, {about['machine']} ({' '.join(flags)}); {about['rounds']} rounds")
    print("AES-128-GCM-16, ESN; two SAs and a policy each tunnel, packets to all in turn, neighbours far apart; inner IP packets.\n"
          "ns CPU is the gateway's time for a packet. XDP runs on the generator's CPU: by the kernel's clock around the program.\n")
    table(rows)
    disturbed = sum(m["other_busy"] > report.DISTURBED for m in lines)
    print(f"\n{disturbed} of {len(lines)} measurements were disturbed: others used more than "
          f"{100 * report.DISTURBED:.0f}% of a CPU meanwhile.")
    with open(json_path, "w", encoding="ascii") as f:
        json.dump({"bench": "tunnels", **about, "disturbed": disturbed, "rows": rows, "measurements": lines}, f, indent=1)


main()
