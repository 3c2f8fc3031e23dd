# SPDX-License-Identifier: BSD-2-Clause
"""What Debian 12's ip has no words for: XFRM states of one CPU, and policies that ask for such (Linux 6.13).

    xfrm_cpu.py state <outer source> <outer destination> <spi> <key in hex> <cpu>
    xfrm_cpu.py policy <source> <destination> <outer source> <outer destination>
    xfrm_cpu.py listen

Of tunnel mode, with reqid 1, as vmtest/xfrm.sh has them: AES-GCM with ESN; outbound, priority 100. A policy that is
there is replaced. The listener prints what IKE daemons are asked for, a line each, until it is ended:

    reqid 1 cpu 0 10.1.0.0/24 to 10.2.0.0/24, 192.0.2.1 to 192.0.2.2
"""
import ipaddress
import os
import socket
import struct
import sys

NETLINK_XFRM = 6
NEWSA, ACQUIRE, UPDPOLICY = 0x10, 0x17, 0x19
ALG_AEAD, TMPL, REPLAY_ESN_VAL, SA_DIR, SA_PCPU = 18, 5, 23, 33, 35
OUT = 2
STATE_ESN, STATE_AF_UNSPEC, POLICY_CPU_ACQUIRE = 128, 32, 4
ESP, TUNNEL, REQID, NO_LIMIT = 50, 1, 1, 2**64 - 1
LIMITS = struct.pack("=8Q", NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, 0, 0, 0, 0)
USED = struct.pack("=4Q", 0, 0, 0, 0)


def address(text):
    return ipaddress.ip_address(text).packed.ljust(16, b"\0")


def family(text):
    return socket.AF_INET if ipaddress.ip_network(text).version == 4 else socket.AF_INET6


def selector(source, destination):
    s, d = ipaddress.ip_network(source), ipaddress.ip_network(destination)
    return (address(d.network_address) + address(s.network_address) +
            struct.pack("=4HH3B3xiI", 0, 0, 0, 0, family(source), d.prefixlen, s.prefixlen, 0, 0, 0))


def xfrm_id(destination, spi):
    return address(destination) + struct.pack("!I", spi) + struct.pack("=B3x", ESP)


def attribute(kind, data):
    return (struct.pack("=HH", 4 + len(data), kind) + data).ljust((4 + len(data) + 3) & ~3, b"\0")


def ask(kind, payload, flags):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as s:
        s.bind((0, 0))
        s.send(struct.pack("=IHHII", 16 + len(payload), kind, flags | 5, 1, 0) + payload)  # REQUEST, ACK
        error = struct.unpack("=i", s.recv(8192)[16:20])[0]
    if error:
        sys.exit("the kernel says: %s" % os.strerror(-error))


def state(source, destination, spi, key, cpu):
    info = (bytes(56) + xfrm_id(destination, int(spi, 0)) + address(source) + LIMITS + USED + bytes(12) +
            struct.pack("=IIHBBB7x", 0, REQID, family(source), TUNNEL, 0, STATE_ESN | STATE_AF_UNSPEC))
    raw = bytes.fromhex(key)
    aead = b"rfc4106(gcm(aes))".ljust(64, b"\0") + struct.pack("=II", 8 * len(raw), 128) + raw
    esn = bytes(24)  # of a direction, so without a window
    ask(NEWSA, info + attribute(ALG_AEAD, aead) + attribute(REPLAY_ESN_VAL, esn) +
        attribute(SA_DIR, bytes([OUT])) + attribute(SA_PCPU, struct.pack("=I", int(cpu))), 0x600)  # CREATE, EXCL


def policy(source, destination, outer_source, outer_destination):
    info = selector(source, destination) + LIMITS + USED + struct.pack("=II4B4x", 100, 0, 1, 0, POLICY_CPU_ACQUIRE, 0)
    template = (xfrm_id(outer_destination, 0) + struct.pack("=H2x", family(outer_source)) + address(outer_source) +
                struct.pack("=I3Bx3I", REQID, TUNNEL, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff))
    ask(UPDPOLICY, info + attribute(TMPL, template), 0)


def listen():
    def prefix(raw, length):
        return "%s/%d" % (socket.inet_ntoa(raw[:4]), length)

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM) as s:
        s.bind((0, 1))  # XFRMNLGRP_ACQUIRE
        print("ready", flush=True)
        while True:
            m = s.recv(8192)
            if struct.unpack_from("=H", m, 4)[0] != ACQUIRE:
                continue
            to, source, sel = m[16:32], m[40:56], m[56:112]
            reqid, cpu, at = None, None, 16 + 280
            while at + 4 <= len(m):
                length, kind = struct.unpack_from("=HH", m, at)
                if kind == TMPL:
                    reqid = struct.unpack_from("=I", m, at + 4 + 44)[0]
                if kind == SA_PCPU:
                    cpu = struct.unpack_from("=I", m, at + 4)[0]
                at += (length + 3) & ~3
            print("reqid %s cpu %s %s to %s, %s to %s" % (
                reqid, cpu, prefix(sel[16:32], sel[43]), prefix(sel[:16], sel[42]),
                socket.inet_ntoa(source[:4]), socket.inet_ntoa(to[:4])), flush=True)


{"state": state, "policy": policy, "listen": listen}[sys.argv[1]](*sys.argv[2:])
