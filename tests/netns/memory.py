#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""memory.py PID HEX: are these octets anywhere in the process's memory? Exit status 0 when they are.

Reads /proc/PID/mem: what was marked as not to be dumped is there too.
"""

import re
import sys


def areas(pid):
    with open("/proc/%s/maps" % pid) as maps:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+ *(.*)", line)
            if m and m.group(3) not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                yield int(m.group(1), 16), int(m.group(2), 16), m.group(3)


def main(pid, text):
    wanted = bytes.fromhex(text)
    found = 0
    with open("/proc/%s/mem" % pid, "rb", buffering=0) as mem:
        for start, end, name in areas(pid):
            at, before = start, b""
            while at < end:
                try:
                    mem.seek(at)
                    data = mem.read(min(1 << 24, end - at))
                except OSError:
                    break  # a mapping of a device, or one that is gone
                if not data:
                    break
                if wanted in before + data:
                    print("found in %s" % (name or "anonymous memory"))
                    found += 1
                    break
                before, at = data[-len(wanted):], at + len(data)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
