#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The far end of a tunnel, made of other people's code: scapy's IPsec layer, and beside it ESP in
twenty lines on python3-cryptography's AEAD ciphers for what scapy does not check or cannot make (padding
octets, the upper half of an ESN that has moved on, packets that are authentic and wrong).

  decrypt PCAP SAS [CLEAR.pcap...]  every ESP packet of the capture is opened by both; with captures
                                    of the cleartext side, each inner packet must be one of theirs
  wrong-key PCAP SAS                nothing of it must open under another key
  converse IFACE MAC SAS SRC DST N  scapy as gateway 1: N echo requests in ESP, the answers opened
  esn IFACE MAC SAS SRC DST         numbers on both sides of 2^32
  wrong IFACE MAC SAS SRC DST       for each line "WHAT NUMBER" read: an authentic packet that is
                                    odd, most of them to be refused

IFACE is where the wire is, MAC the gateway's there, SRC and DST are the hosts' addresses. SAS is a
JSON file: [{spi, key, algorithm, esn, local, remote}], key with its salt in hex; with `udp` true, on
port 4500. Exit status 0 when everything was as it must be.
"""

import json
import struct
import sys
import threading
import time

import scapy.config

scapy.config.conf.ipv6_enabled = True
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # noqa: E402
from scapy.layers.inet import ICMP, IP, UDP  # noqa: E402
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6  # noqa: E402
from scapy.layers.ipsec import CRYPT_ALGOS, ESP, CryptAlgo, SecurityAssociation  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw, raw  # noqa: E402
from scapy.sendrecv import AsyncSniffer  # noqa: E402
from scapy.utils import PcapReader  # noqa: E402

NEXT_HEADER = {IP: 4, IPv6: 41}

# scapy has AES-GCM with 16 octets of ICV; of the shorter ones (RFC 4106 section 6) it only lacks names.
for n in (8, 12):
    CRYPT_ALGOS["AES-GCM-%d" % n] = CryptAlgo(
        "AES-GCM-%d" % n, cipher=algorithms.AES, mode=modes.GCM, key_size=(16, 24, 32), block_size=1,
        iv_size=8, icv_size=n, salt_size=4, format_mode_iv=lambda sa, iv, **kw: sa.crypt_salt + iv)


class ShortGcm:
    """AES-GCM with a tag of any length, which cryptography's AESGCM has not."""

    def __init__(self, key, icv):
        self.key, self.icv = key, icv

    def encrypt(self, nonce, plain, aad):
        e = Cipher(algorithms.AES(self.key), modes.GCM(nonce)).encryptor()
        e.authenticate_additional_data(aad)
        return e.update(plain) + e.finalize() + e.tag[:self.icv]

    def decrypt(self, nonce, sealed, aad):
        tag = sealed[-self.icv:]
        d = Cipher(algorithms.AES(self.key), modes.GCM(nonce, tag, self.icv)).decryptor()
        d.authenticate_additional_data(aad)
        return d.update(sealed[:-self.icv]) + d.finalize()


def cipher_of(algorithm, key):
    """keyd's name -> scapy's name, cryptography's cipher."""
    if algorithm == "chacha20poly1305":
        return "CHACHA20-POLY1305", ChaCha20Poly1305(key)
    parts = algorithm.split("-")
    assert parts[:2] == ["aes", "gcm"] and len(key) * 8 == int(parts[2]), algorithm
    icv = int(parts[3]) if len(parts) > 3 else 16
    return "AES-GCM" if icv == 16 else "AES-GCM-%d" % icv, ShortGcm(key, icv)


class Sa:
    def __init__(self, row):
        self.spi = int(row["spi"], 0)
        self.key = bytes.fromhex(row["key"])
        self.algorithm = row["algorithm"]
        self.esn = row["esn"] == "yes"
        self.local, self.remote = row["local"], row["remote"]
        self.udp = row.get("udp", False)
        self.outer = IPv6 if ":" in self.local else IP
        self.name = "%s %s %#x" % (self.outer.__name__, row["algorithm"], self.spi)
        self.next = 1

    def scapy(self, high=0):
        name, _ = cipher_of(self.algorithm, self.key[:-4])
        return SecurityAssociation(
            ESP, spi=self.spi, seq_num=self.next, crypt_algo=name, crypt_key=self.key,
            tunnel_header=self.outer(src=self.local, dst=self.remote), esn_en=self.esn, esn=high,
            nat_t_header=UDP(sport=4500, dport=4500) if self.udp else None)

    def aad(self, seq):
        """RFC 4106 section 5, RFC 7634 section 2.1."""
        if self.esn:
            return struct.pack("!IQ", self.spi, seq)
        return struct.pack("!II", self.spi, seq & 0xFFFFFFFF)

    def seal(self, seq, plain):
        """RFC 4303 with RFC 4106 or 7634 around `plain`, which ends with pad length and next header."""
        iv = struct.pack("!Q", 0x5CA9000000000000 | seq & 0xFFFFFFFFFFFF)
        _, cipher = cipher_of(self.algorithm, self.key[:-4])
        sealed = cipher.encrypt(self.key[-4:] + iv, plain, self.aad(seq))
        esp = struct.pack("!II", self.spi, seq & 0xFFFFFFFF) + iv + sealed
        if self.outer is IP:
            return IP(src=self.local, dst=self.remote, proto=50) / Raw(esp)
        return IPv6(src=self.local, dst=self.remote, nh=50) / Raw(esp)

    def open(self, esp, seq):
        """Returns the inner packet and its next header; raises on a wrong ICV or wrong padding."""
        _, cipher = cipher_of(self.algorithm, self.key[:-4])
        plain = cipher.decrypt(self.key[-4:] + esp[8:16], esp[16:], self.aad(seq))
        pad, next_header = plain[-2], plain[-1]
        # RFC 4303 section 2.4: 1, 2, 3..., and the ciphertext ends on a multiple of four.
        if plain[-2 - pad:-2] != bytes(range(1, pad + 1)) or len(plain) % 4:
            raise ValueError("padding %s" % plain[-2 - pad:].hex())
        return plain[:-2 - pad], next_header


def load(path):
    with open(path) as f:
        return {sa.spi: sa for sa in map(Sa, json.load(f))}


def outer_esp(frame):
    """The outer IP packet of a frame and the octets of its ESP, or None."""
    for layer, proto in ((IP, "proto"), (IPv6, "nh")):
        if isinstance(frame.payload, layer) and getattr(frame.payload, proto) in (50, 17):
            ip = layer(raw(frame.payload))
            length = ip.len if layer is IP else 40 + ip.plen
            start = ip.ihl * 4 if layer is IP else 40
            if getattr(ip, proto) == 17:
                start += 8
                # Not IKE, not a keepalive: RFC 3948 section 2.
                if length - start < 8 or not any(raw(ip)[start:start + 4]):
                    continue
            return layer(raw(ip)[:length]), raw(ip)[start:length]
    return None, None


def without_ttl(packet):
    """What two gateways may not touch: the packet with TTL and IPv4 checksum left out."""
    data = bytearray(packet)
    if data[0] >> 4 == 4:
        data = data[:struct.unpack_from("!H", data, 2)[0]]
        data[8], data[10:12] = 0, b"\0\0"
    else:
        data = data[:40 + struct.unpack_from("!H", data, 4)[0]]
        data[7] = 0
    return bytes(data)


def inner_packets(paths):
    found = set()
    for path in paths:
        for frame in PcapReader(path):
            if isinstance(frame.payload, (IP, IPv6)):
                found.add(without_ttl(raw(frame.payload)))
    return found


def decrypt(pcap, sas, *clear):
    sas, clear = load(sas), inner_packets(clear)
    opened = {}
    for frame in PcapReader(pcap):
        ip, esp = outer_esp(frame)
        if ip is None:
            continue
        spi, seq = struct.unpack_from("!II", esp)
        sa = sas[spi]
        assert (ip.src, ip.dst) == (sa.local, sa.remote), "outer addresses %s > %s" % (ip.src, ip.dst)
        inner, next_header = sa.open(esp, seq)
        by_scapy = sa.scapy().decrypt(ip)  # raises IPSecIntegrityError
        assert raw(by_scapy) == inner, "scapy and cryptography disagree on number %d" % seq
        assert next_header == NEXT_HEADER[type(by_scapy)], "next header %d" % next_header
        if clear:
            assert without_ttl(inner) in clear, "not what a host sent: %s" % by_scapy.summary()
        opened[sa.name] = opened.get(sa.name, 0) + 1
    for name, n in sorted(opened.items()):
        print("%s: %d packets opened" % (name, n))
    assert set(opened) == {sa.name for sa in sas.values()}, "no packet of some SA in the capture"


def wrong_key(pcap, sas):
    """The control: with one bit of the key inverted nothing opens."""
    sas = load(sas)
    for frame in PcapReader(pcap):
        ip, esp = outer_esp(frame)
        if ip is None:
            continue
        sa = sas[struct.unpack_from("!I", esp)[0]]
        sa.key = bytes([sa.key[0] ^ 1]) + sa.key[1:]
        try:
            sa.scapy().decrypt(ip)
        except Exception as e:  # scapy's own type does not matter, that it refused does
            print("refused: %s" % type(e).__name__)
            return
        raise AssertionError("scapy opens a packet under a wrong key")
    raise AssertionError("no ESP in the capture")


def send(iface, mac, packet):
    from socket import AF_PACKET, SOCK_RAW, socket
    kind = 0x0800 if isinstance(packet, IP) else 0x86DD
    s = socket(AF_PACKET, SOCK_RAW)
    s.bind((iface, 0))
    s.send(bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000001")
           + struct.pack("!H", kind) + raw(packet))
    s.close()


def request(src, dst, number, size=56):
    body = bytes((number + i) & 0xFF for i in range(size))
    if ":" in src:
        return IPv6(src=src, dst=dst) / ICMPv6EchoRequest(id=0x5CA9, seq=number, data=body)
    return IP(src=src, dst=dst) / ICMP(id=0x5CA9, seq=number) / Raw(body)


def is_answer(packet, src, dst, number):
    if packet.src != dst or packet.dst != src:
        return False
    if isinstance(packet, IP):
        return ICMP in packet and packet[ICMP].type == 0 and packet[ICMP].seq == number
    return ICMPv6EchoReply in packet and packet[ICMPv6EchoReply].seq == number


def pair(sas):
    """The SA that we send on (its local is gateway 1) and the one back."""
    rows = list(load(sas).values())
    assert len(rows) == 2, "two SAs of one tunnel are wanted"
    return rows


def exchange(iface, mac, out, back, packets, wanted):
    """Sends packets on the wire, opens what comes back until `wanted` answers were found."""
    answers = []

    def look(frame):
        ip, esp = outer_esp(frame)
        if ip is None or struct.unpack_from("!I", esp)[0] != back.spi:
            return
        inner, _ = back.open(esp, struct.unpack_from("!I", esp, 4)[0])
        by_scapy = back.scapy().decrypt(ip)
        assert raw(by_scapy) == inner
        answers.append(by_scapy)

    ready = threading.Event()
    sniffer = AsyncSniffer(iface=iface, prn=look, store=False, filter="esp or ip6 proto 50 or udp port 4500",
                           started_callback=ready.set)
    sniffer.start()
    assert ready.wait(5), "scapy does not listen on %s" % iface
    for packet in packets:
        send(iface, mac, packet)
    deadline = time.monotonic() + 5
    while len(answers) < wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    sniffer.stop()
    return answers


def udp_length(packet):
    """scapy 2.5 settles the UDP length before there is a payload: let it count again."""
    if UDP in packet:
        del packet[UDP].len
    return packet


def converse(iface, mac, sas, src, dst, count):
    out, back = pair(sas)
    count = int(count)
    sa = out.scapy()
    sizes = [0, 1, 2, 3, 4, 15, 16, 17, 56, 500, 1000, 1300]
    packets = [udp_length(sa.encrypt(request(src, dst, n, sizes[n % len(sizes)]))) for n in range(count)]
    answers = exchange(iface, mac, out, back, packets, count)
    for n in range(count):
        found = [a for a in answers if is_answer(a, src, dst, n)]
        assert len(found) == 1, "request %d of %d: %d answers" % (n, count, len(found))
        body = raw(request(src, dst, n, sizes[n % len(sizes)]))[-sizes[n % len(sizes)]:]
        if sizes[n % len(sizes)]:
            assert raw(found[0]).endswith(body), "answer %d has other data" % n
    print("%s: %d requests made by scapy answered" % (out.name, count))


def esn(iface, mac, sas, src, dst):
    """RFC 4303 section A2: the receiver infers the upper half, also over the step to the next."""
    out, back = pair(sas)
    numbers = [1, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF, 0x100000000, 0x100000001, 0xFFFFFFFE,
               0x17FFFFFFF, 0x1FFFFFFFF, 0x200000005]
    plain = []
    packets = []
    for n, number in enumerate(numbers):
        inner = raw(request(src, dst, n))
        pad = -(len(inner) + 2) % 4
        plain = inner + bytes(range(1, pad + 1)) + bytes([pad, NEXT_HEADER[type(request(src, dst, n))]])
        packets.append(out.seal(number, plain))
    answers = exchange(iface, mac, out, back, packets, len(numbers))
    for n, number in enumerate(numbers):
        assert any(is_answer(a, src, dst, n) for a in answers), "number %#x was not accepted" % number
    print("%s: numbers 1 to %#x accepted" % (out.name, numbers[-1]))


def trailer(inner, pad=None, next_header=4, octets=None):
    if pad is None:
        pad = -(len(inner) + 2) % 4
    return inner + (octets if octets is not None else bytes(range(1, pad + 1))) + bytes([pad, next_header])


def odd_packets(src, dst):
    """`good`, `long-padding` and `traffic-flow-padding` must be delivered, the others must not."""
    inner = raw(request(src, dst, 1))
    nh = NEXT_HEADER[type(request(src, dst, 1))]
    stranger = "2001:db8:bad::1" if ":" in src else "203.0.113.1"
    return {
        "good": trailer(inner, next_header=nh),
        "long-padding": trailer(inner + b"", pad=254 - len(inner) % 4, next_header=nh),
        "traffic-flow-padding": trailer(inner + bytes(100), next_header=nh),
        "selector-source": trailer(raw(request(stranger, dst, 1)), next_header=nh),
        "selector-destination": trailer(raw(request(src, stranger, 1)), next_header=nh),
        "padding-octets": trailer(inner + b"\0\0", pad=4, octets=b"\4\3\2\1", next_header=nh),
        "padding-longer-than-packet": trailer(b"\1\2\3\4\5\6", pad=255, octets=b"", next_header=nh),
        "dummy": trailer(bytes(64), next_header=59),
        "next-header": trailer(inner, next_header=6),
        "other-family": trailer(inner, next_header=45 - nh),
        "cut-inner-header": trailer(inner[:12], next_header=nh),
        "inner-longer-than-packet": trailer(inner[:-8], next_header=nh),
        "empty": trailer(b"", next_header=nh),
    }


def wrong(iface, mac, sas, src, dst):
    out, _ = pair(sas)
    packets = odd_packets(src, dst)
    for line in sys.stdin:
        what, number = line.split()
        send(iface, mac, out.seal(int(number), packets[what]))


def main(arguments):
    table = {"decrypt": decrypt, "wrong-key": wrong_key, "converse": converse, "esn": esn, "wrong": wrong}
    if not arguments or arguments[0] not in table:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        table[arguments[0]](*arguments[1:])
    except AssertionError as e:
        print("%s: %s" % (arguments[0], e))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
