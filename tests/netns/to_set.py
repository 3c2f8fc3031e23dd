#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""to_set.py [NAME=VALUE]... <CONFIG: what write_config of gateway.sh writes, as a transaction of `xesp set`.

Of the lists tunnels, sas and policies; what stands above them is the file's. NAME=VALUE: every value of
that key is another.
"""

import json
import sys


def read(lines, change):
    lists, current = {}, None
    for line in lines:
        if line.startswith("  - ") or line.startswith("    "):
            if current not in ("tunnels", "sas", "policies"):
                continue
            if line.startswith("  - "):
                lists[current].append({})
            key, value = line[4:].strip().split(": ", 1)
            lists[current][-1][key] = change.get(key, value.strip("'\""))
        else:
            current = line.split(":")[0]
            if current in ("tunnels", "sas", "policies"):
                lists[current] = []
    return lists


if __name__ == "__main__":
    print(json.dumps({"set": read(sys.stdin.read().splitlines(), dict(a.split("=", 1) for a in sys.argv[1:]))}))
