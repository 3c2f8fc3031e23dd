#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Transport mode, and AH in both modes, against scapy's IPsec layer: scapy is gateway 1 on the wire.

  converse IFACE MAC SPEC.json   echo requests under the SA `out`, each answer verified under `back`
  cross IFACE MAC SPEC.json      the same with numbers on both sides of 2^32 (AH, ESN)
  behind-nat IFACE MAC SPEC.json ESP in UDP, transport mode: TCP, UDP and pings from `real`, which a NAT made `src`

SPEC: {proto: esp|ah, mode: tunnel|transport, name, esn, local, remote, src, dst, first,
       out: {spi, key}, back: {spi, key}}; keys in hex, `name` as keyd has it. AH packets carry IPv4
options and IPv6 extension headers of each kind that RFC 4302 appendix A knows, and every second
packet is changed on the way as a router may change it. AES-GMAC, which scapy has not, is done with
python3-cryptography (RFC 4543 section 4). Exit status 0 when everything was as it must be.
"""

import json
import struct
import sys
import threading
import time

import scapy.config

scapy.config.conf.ipv6_enabled = True
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from scapy.layers.inet import (ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert,  # noqa: E402
                               IPOption_RR, IPOption_Security)
from scapy.layers.inet6 import (HBHOptUnknown, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6,  # noqa: E402
                                IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop)
from scapy.layers.ipsec import (AH, AUTH_ALGOS, ESP, AuthAlgo, SecurityAssociation,  # noqa: E402
                                zero_mutable_fields)
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw, raw  # noqa: E402
from scapy.sendrecv import AsyncSniffer  # noqa: E402

IDENT = 0x5CA9


class Gmac(AuthAlgo):
    """RFC 4543 section 4: the ICV field holds IV and tag, and counts as zero."""

    def __init__(self):
        super().__init__("AES-GMAC", mac=True, digestmod=None, icv_size=24)
        self.iv = 0x1000

    def compute(self, packet, key, iv, sending, esn_en, esn):
        text = raw(zero_mutable_fields(packet.copy(), sending=sending))
        if esn_en:
            text += struct.pack("!L", esn)
        return AESGCM(key[:-4]).encrypt(key[-4:] + iv, b"", text)

    def sign(self, pkt, key, esn_en=False, esn=0):
        self.iv += 1
        iv = struct.pack("!Q", self.iv)
        pkt[AH].icv = iv + self.compute(pkt, key, iv, True, esn_en, esn)
        return pkt

    def verify(self, pkt, key, esn_en=False, esn=0):
        pkt[AH].padding = pkt[AH].icv[24:]
        pkt[AH].icv = pkt[AH].icv[:24]
        iv = pkt[AH].icv[:8]
        if iv + self.compute(pkt, key, iv, False, esn_en, esn) != pkt[AH].icv:
            raise ValueError("GMAC does not verify")

    def check_key(self, key):
        pass


AUTH_ALGOS["AES-GMAC"] = Gmac()
INTEGRITY = {"sha256": "SHA2-256-128", "sha384": "SHA2-384-192", "sha512": "SHA2-512-256",
             "aes-gmac-128": "AES-GMAC", "aes-gmac-256": "AES-GMAC"}


def load(path):
    with open(path) as f:
        return json.load(f)


def sa_of(spec, side, high=0, number=1):
    row = spec[side]
    here, there = (spec["local"], spec["remote"]) if side == "out" else (spec["remote"], spec["local"])
    outer = IPv6 if ":" in here else IP
    options = {"tunnel_header": outer(src=here, dst=there)} if spec["mode"] == "tunnel" else {}
    key = bytes.fromhex(row["key"])
    if spec.get("real") and side == "out":
        options["nat_t_header"] = UDP(sport=4500, dport=4500)
    if spec["proto"] == "ah":
        options.update(auth_algo=INTEGRITY[spec["name"]], auth_key=key)
    else:
        options.update(crypt_algo="AES-GCM", crypt_key=key)
    return SecurityAssociation(AH if spec["proto"] == "ah" else ESP, spi=int(row["spi"], 0), seq_num=number,
                               esn_en=spec["esn"], esn=high, **options)


def decorations(spec):
    """What may stand between the IP header and AH in transport mode: RFC 4302 appendix A."""
    if spec["proto"] != "ah" or spec["mode"] != "transport":
        return [{}]
    if ":" in spec["src"]:
        mutable, fixed = HBHOptUnknown(otype=0x3E, optdata=b"\1\2\3\4"), HBHOptUnknown(otype=0x1E, optdata=b"\5\6")
        return [{}, {"ext": IPv6ExtHdrHopByHop(options=[mutable, fixed])},
                {"ext": IPv6ExtHdrDestOpt(options=[fixed])}]
    return [{}, {"options": [IPOption_Router_Alert()]},
            {"options": [IPOption_RR(routers=["0.0.0.0", "0.0.0.0"])]},
            {"options": [IPOption_NOP(), IPOption_Security(), IPOption_NOP(), IPOption_NOP()]}]


def request(spec, number, size, decoration):
    body = bytes((number + i) & 0xFF for i in range(size))
    if ":" in spec["src"]:
        ip = IPv6(src=spec["src"], dst=spec["dst"])
        if "ext" in decoration:
            ip = ip / decoration["ext"].copy()
        return ip / ICMPv6EchoRequest(id=IDENT, seq=number, data=body)
    ip = IP(src=spec["src"], dst=spec["dst"], id=number + 1, options=decoration.get("options", []))
    return IP(raw(ip / ICMP(id=IDENT, seq=number) / Raw(body)))


def on_the_way(packet):
    """What a router does to a packet: less TTL, another DSCP, another flow label."""
    packet = packet.__class__(raw(packet))
    if isinstance(packet, IP):
        packet.ttl, packet.tos = packet.ttl - 3, 0x28
        del packet.chksum
    else:
        packet.hlim, packet.tc, packet.fl = packet.hlim - 3, 0x28, 0x12345
    return packet


def is_answer(packet, spec, number):
    if (packet.src, packet.dst) != (spec["dst"], spec["src"]):
        return False
    if isinstance(packet, IP):
        return ICMP in packet and packet[ICMP].type == 0 and packet[ICMP].seq == number
    return ICMPv6EchoReply in packet and packet[ICMPv6EchoReply].seq == number


def send(iface, mac, packet):
    from socket import AF_PACKET, SOCK_RAW, socket
    s = socket(AF_PACKET, SOCK_RAW)
    s.bind((iface, 0))
    s.send(raw(Ether(dst=mac, src="02:00:00:00:00:01") / packet))
    s.close()


def of_peer(frame, spec):
    """The packet of a frame when it is IPsec from the gateway; Ethernet's padding is cut off."""
    ip = frame.payload
    if not isinstance(ip, (IP, IPv6)) or ip.src != spec["remote"]:
        return None
    want = 17 if spec.get("real") else 51 if spec["proto"] == "ah" else 50
    if (ip.proto if isinstance(ip, IP) else ip.nh) != want:
        return None
    length = ip.len if isinstance(ip, IP) else 40 + ip.plen
    ip = ip.__class__(raw(ip)[:length])
    return without_udp(ip) if want == 17 else ip


def without_udp(ip):
    """RFC 3948 section 3.3; scapy 2.5 leaves the UDP header in over IPv6."""
    esp, bare = Raw(raw(ip[UDP].payload)), ip.copy()
    bare.remove_payload()
    if isinstance(ip, IP):
        bare.proto = 50
        del bare.len, bare.chksum
    else:
        bare.nh = 50
        del bare.plen
    return ip.__class__(raw(bare / esp))


def exchange(iface, mac, spec, packets, wanted):
    answers, wrong = [], []

    def look(frame):
        ip = of_peer(frame, spec)
        if ip is None:
            return
        try:
            opened = sa_of(spec, "back").decrypt(ip)
            answers.append((IPv6 if raw(opened)[0] >> 4 == 6 else IP)(raw(opened)))
        except Exception as e:  # noqa: B902: whatever scapy raises, the packet does not verify
            wrong.append("%s: %r" % (ip.summary(), e))

    ready = threading.Event()
    sniffer = AsyncSniffer(iface=iface, prn=look, store=False, started_callback=ready.set)
    sniffer.start()
    assert ready.wait(5), "scapy does not listen on %s" % iface
    for packet in packets:
        send(iface, mac, packet)
    deadline = time.monotonic() + 5
    while len(answers) + len(wrong) < wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    sniffer.stop()
    assert not wrong, wrong[0]
    return answers


def converse(iface, mac, path):
    spec = load(path)
    out, packets, n = sa_of(spec, "out", number=spec["first"]), [], 0
    for size in (0, 1, 2, 3, 56, 1000):
        for decoration in decorations(spec):
            packet = out.encrypt(request(spec, n, size, decoration))
            packets.append(on_the_way(packet) if n % 2 and spec["proto"] == "ah" else packet)
            n += 1
    answers = exchange(iface, mac, spec, packets, n)
    for i in range(n):
        found = [a for a in answers if is_answer(a, spec, i)]
        assert len(found) == 1, "request %d of %d: %d answers" % (i, n, len(found))
    print("%s, %s mode, %s in %s: %d requests made by scapy answered" % (
        spec["name"], spec["mode"], "IPv6" if ":" in spec["src"] else "IPv4",
        "IPv6" if ":" in spec["local"] else "IPv4", n))


def cross(iface, mac, path):
    """The upper half of an extended sequence number is in the ICV, RFC 4302 section 3.3.3.2.2."""
    spec = load(path)
    numbers = [1, 0xFFFFFFF0, 0xFFFFFFFF, 0x100000000, 0x100000001, 0xFFFFFFFE,
               0x17FFFFFFF, 0x1FFFFFFFF, 0x200000003]
    packets = [sa_of(spec, "out", high=number >> 32).encrypt(
        request(spec, n, 56, {}), seq_num=number & 0xFFFFFFFF or None) for n, number in enumerate(numbers)
        if number & 0xFFFFFFFF]
    answers = exchange(iface, mac, spec, packets, len(packets))
    for n, number in enumerate(numbers):
        if number & 0xFFFFFFFF:
            assert any(is_answer(a, spec, n) for a in answers), "number %#x was not accepted" % number
    print("%s: numbers 1 to %#x accepted" % (spec["name"], numbers[-1]))


def translated(packet, spec):
    """RFC 3022: a NAT sees the outer header, and UDP, whose checksum is none on IPv4."""
    packet.src = spec["src"]
    if isinstance(packet, IP):
        del packet.chksum
        packet[UDP].chksum = 0
    else:
        del packet[UDP].chksum
    del packet[UDP].len  # scapy 2.5 settles it before there is a payload
    return packet.__class__(raw(packet))


def has_right_sum(packet):
    """scapy's own sum of what is there, once the field is left to it."""
    layer = TCP if TCP in packet else UDP if UDP in packet else ICMPv6EchoReply if ICMPv6EchoReply in packet else None
    if layer is None:
        return True
    field = "cksum" if layer is ICMPv6EchoReply else "chksum"
    again = packet.copy()
    delattr(again[layer], field)
    return getattr(packet.__class__(raw(again))[layer], field) == getattr(packet[layer], field)


def behind_nat(iface, mac, path):
    """The host takes TCP to a closed port (and resets it), UDP (no such port) and pings only when their sums are right."""
    spec = load(path)
    ip = (IPv6 if ":" in spec["real"] else IP)(src=spec["real"], dst=spec["dst"])
    out, packets, wanted = sa_of(spec, "out", number=spec["first"]), [], []
    for n in range(8):
        body = Raw(bytes(range(n + 1)))
        packets += [ip / TCP(sport=20000 + n, dport=9, flags="S", seq=1000 + n) / body,
                    ip / UDP(sport=21000 + n, dport=9) / body]
        wanted.append(lambda a, n=n: TCP in a and a[TCP].dport == 20000 + n and a[TCP].flags.R)
    packets.append(request(dict(spec, src=spec["real"]), 7, 33, {}))
    wanted.append(lambda a: is_answer(a, spec, 7))
    wanted.append(lambda a: ICMP in a and a[ICMP].type == 3 or "ICMPv6DestUnreach" in a)
    sealed = [translated(out.encrypt(ip.__class__(raw(p))), spec) for p in packets]
    answers = exchange(iface, mac, spec, sealed, 8 + 8 + 1)
    for i, want in enumerate(wanted):
        assert any(want(a) for a in answers), "answer %d of %d is not there: %r" % (i, len(wanted), answers)
    for a in answers:
        assert has_right_sum(a), "a wrong checksum: %r" % a
    print("%s in UDP, transport mode, from %s as %s: TCP, UDP and a ping made by scapy answered" % (
        spec["name"], spec["real"], spec["src"]))


if __name__ == "__main__":
    {"converse": converse, "cross": cross, "behind-nat": behind_nat}[sys.argv[1]](*sys.argv[2:])
