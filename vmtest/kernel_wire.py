# SPDX-License-Identifier: BSD-2-Clause
"""The namespaces of tests/netns/topology.sh from one process: sockets in each of them, and the wire.

`namespaces` is set by who imports this: the prefix of the names.
"""

import ctypes
import os
import select
import socket
import struct
import subprocess

PATIENCE = int(os.environ.get("XESP_PATIENCE", "1"))
ATTACKER = bytes.fromhex("0200000000aa")

libc = ctypes.CDLL(None, use_errno=True)
namespaces = ""


class Failure(Exception):
    """The sentence that a row fails with."""


def inside(ns, make):
    """What make() returns when called in a namespace: a socket belongs where it was made."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open("/run/netns/%s-%s" % (namespaces, ns), os.O_RDONLY)
    try:
        if libc.setns(there, 0x40000000):
            raise OSError(ctypes.get_errno(), "setns " + ns)
        return make()
    finally:
        if libc.setns(home, 0x40000000):
            raise OSError(ctypes.get_errno(), "setns back")
        os.close(home)
        os.close(there)


def command(arguments, text=None):
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=60 * PATIENCE)
    if done.returncode:
        raise Failure("%s: %s" % (" ".join(arguments[:6]), (done.stderr + done.stdout).strip()[-400:]))
    return done.stdout


def ip(ns, lines):
    return command(["ip", "-n", "%s-%s" % (namespaces, ns), "-batch", "-"], "\n".join(lines) + "\n")


def bridge_link(ns, port):
    return command(["bridge", "-n", "%s-%s" % (namespaces, ns), "link", "show", "dev", port])


def udp(ns, address, port=7):
    def make():
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        s.bind((address, port))
        return s
    return inside(ns, make)


def raw(ns, interface):
    def make():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
        s.bind((interface, 3))
        return s
    return inside(ns, make)


def takes_esp(ns, address):
    """The kernel takes ESP in UDP only where a socket says so, as an IKE daemon's does."""
    s = udp(ns, address, 4500)
    s.setsockopt(socket.IPPROTO_UDP, 100, 2)  # UDP_ENCAP, UDP_ENCAP_ESPINUDP
    if s.family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_UDP, 102, 1)  # UDP_NO_CHECK6_RX
    return s


def dissect(data):
    """(what it is, None, 0, 0), or ("", "esp", "ah" or "udp", where that header is, where the packet ends)
    of a frame. What it is: empty for what belongs to a link, ARP and neighbour discovery, and for keepalives."""
    proto = struct.unpack_from("!H", data, 12)[0]
    if proto == 0x0806:
        return "", None, 0, 0
    if proto == 0x0800:
        at, upper, end = 14 + (data[14] & 15) * 4, data[23], 14 + struct.unpack_from("!H", data, 16)[0]
    elif proto == 0x86DD:
        at, upper, end = 54, data[20], 54 + struct.unpack_from("!H", data, 18)[0]
        if upper == 0 or upper == 58 and data[at] in range(133, 138):
            return "", None, 0, 0  # listener reports, neighbour discovery
    else:
        return "EtherType %04x" % proto, None, 0, 0
    if upper == 17 and 4500 in struct.unpack_from("!HH", data, at):
        return ("", None, 0, 0) if end - at == 9 else ("", "udp", at + 8, end)
    if upper in (50, 51):
        return "", "esp" if upper == 50 else "ah", at, end
    return "protocol %d, %d bytes" % (upper, end - 14), None, 0, 0


def spi_of(data):
    _, kind, at, _ = dissect(data)
    return struct.unpack_from("!I", data, at + 4 if kind == "ah" else at)[0] if kind else None


class Wire:
    """Every frame on the wire, by a socket that was there before the traffic."""

    def __init__(self):
        self.heard = raw("wire", "w1")
        self.to = {"gw1": self.heard, "gw2": raw("wire", "w2")}
        self.seen, self.smallest, self.last, self.other = {}, {}, {}, []

    def forget(self):
        self.drain()
        self.seen, self.smallest, self.last, self.other = {}, {}, {}, []

    def drain(self):
        while select.select([self.heard], [], [], 0)[0]:
            data, origin = self.heard.recvfrom(65536)
            if origin[2] == socket.PACKET_OUTGOING and data[6:12] == ATTACKER:
                continue
            self.note(data)

    def note(self, data):
        what, kind, at, end = dissect(data)
        if not kind:
            if what:
                self.other.append(what)
            return
        spi, seq = struct.unpack_from("!II", data, at + 4 if kind == "ah" else at)
        if data[6:12] != ATTACKER:
            self.seen.setdefault((kind, spi), []).append(seq)
            self.smallest[spi] = min(self.smallest.get(spi, 65536), end - 14)
            self.last[spi] = (data, at + 8 if kind == "ah" else at + 4, at - 2 if kind == "udp" else None)

    def again(self, spi, gateway, ahead=0):
        """Sends the last frame of an SA to a gateway once more; with another sequence number, so that
        the ICV is no longer right, when `ahead` is not 0."""
        data, at, checksum = self.last[spi]
        data = bytearray(data)
        data[6:12] = ATTACKER
        seq = struct.unpack_from("!I", data, at)[0]
        struct.pack_into("!I", data, at, (seq + ahead) & 0xFFFFFFFF)
        if ahead and checksum:
            struct.pack_into("!H", data, checksum, 0)  # of UDP; both ends take it on IPv6 too
        self.to[gateway].send(bytes(data))
