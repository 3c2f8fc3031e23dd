#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""One packet made of its selectors, put on an interface as its neighbour would: the packet that `xesp explain` speaks of.

packet.py INTERFACE DESTINATION-MAC SOURCE DESTINATION [PROTOCOL [NUMBER [NUMBER]]] [size=N] [df=0]

Numbers: source and destination port, or ICMP type and code. Standard library only.
"""

import socket
import struct
import sys

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "ipv6-icmp": 58, "sctp": 132}
SOURCE_MAC = bytes.fromhex("0200000000aa")


def layer4(proto, numbers, size):
    if proto in (1, 58):
        default = [128 if proto == 58 else 8, 0]
        kind, code = (numbers + default[len(numbers):])[:2]
        head = struct.pack("!BBHHH", kind, code, 0, 1, 1)
    elif proto in (6, 17, 132):
        source, destination = numbers
        head = struct.pack("!HH", source, destination) + bytes(16)
        if proto == 17:
            head = struct.pack("!HHHH", source, destination, size, 0)
    else:
        head = b""
    return head + bytes(max(0, size - len(head)))


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def make(source, destination, proto, numbers, size, df):
    if ":" in source:
        data = layer4(proto, numbers, size - 40)
        head = struct.pack("!IHBB", 0x60000000, len(data), proto, 64)
        return head + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination) + data
    data = layer4(proto, numbers, size - 20)
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 7, 0x4000 * df, 64, proto, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


def main(arguments):
    options = dict(a.split("=") for a in arguments if "=" in a)
    words = [a for a in arguments if "=" not in a]
    if len(words) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    interface, mac, source, destination = words[:4]
    name = words[4] if len(words) > 4 else "ipv6-icmp" if ":" in source else "icmp"
    proto = PROTOCOLS[name] if name in PROTOCOLS else int(name)
    packet = make(source, destination, proto, [int(n) for n in words[5:]], int(options.get("size", 84)),
                  int(options.get("df", 1)))
    kind = b"\x86\xdd" if ":" in source else b"\x08\x00"
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    out.send(bytes.fromhex(mac.replace(":", "")) + SOURCE_MAC + kind + packet)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
