#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The far end of a tunnel, made of other people's code: scapy's IPsec layer, and beside it ESP on
python3-cryptography (esp_algorithms.py) for what scapy does not check or cannot make (implicit IVs, AES-GMAC, padding
octets, the upper half of an ESN that has moved on, packets that are authentic and wrong).

  decrypt PCAP SAS [CLEAR.pcap...]  every ESP packet of the capture is opened by both; with captures
                                    of the cleartext side, each inner packet must be one of theirs
  wrong-key PCAP SAS                nothing of it must open under another key
  cover PCAP SAS                    how many packets of each SA are dummies, how many are padded
                                    behind the inner packet; each is opened by both
  converse IFACE MAC SAS SRC DST N  scapy as gateway 1: N echo requests in ESP, the answers opened
  esn IFACE MAC SAS SRC DST         numbers on both sides of 2^32
  wrong IFACE MAC SAS SRC DST       for each line "WHAT NUMBER" read: an authentic packet that is
                                    odd, most of them to be refused

IFACE is where the wire is, MAC the gateway's there, SRC and DST are the hosts' addresses. SAS is a
JSON file: [{spi, key, integrity_key, algorithm, esn, local, remote}], keys in hex, with salt; with `udp` true,
on port 4500. Exit status 0 when everything was as it must be.
"""

import json
import struct
import sys
import threading
import time

import scapy.config

scapy.config.conf.ipv6_enabled = True
import esp_algorithms  # noqa: E402
from cryptography.hazmat.primitives.ciphers import algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: E402
from scapy.layers.inet import ICMP, IP, UDP  # noqa: E402
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6  # noqa: E402
from scapy.layers.ipsec import CRYPT_ALGOS, ESP, CryptAlgo, SecurityAssociation  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw, raw  # noqa: E402
from scapy.sendrecv import AsyncSniffer  # noqa: E402
from scapy.utils import PcapReader  # noqa: E402

NEXT_HEADER = {IP: 4, IPv6: 41}

# scapy has AES-GCM and AES-CCM with 16 octets of ICV; of the shorter ones (RFC 4106 section 6, RFC 4309
# section 3.3) it only lacks names.
for n in (8, 12):
    CRYPT_ALGOS["AES-GCM-%d" % n] = CryptAlgo(
        "AES-GCM-%d" % n, cipher=algorithms.AES, mode=modes.GCM, key_size=(16, 24, 32), block_size=1,
        iv_size=8, icv_size=n, salt_size=4, format_mode_iv=lambda sa, iv, **kw: sa.crypt_salt + iv)
    CRYPT_ALGOS["AES-CCM-%d" % n] = CryptAlgo(
        "AES-CCM-%d" % n, cipher=AESCCM, mode=None, key_size=(16, 24, 32), block_size=1, iv_size=8,
        icv_size=n, salt_size=3, format_mode_iv=lambda sa, iv, **kw: sa.crypt_salt + iv)


class Sa:
    def __init__(self, row):
        self.spi = int(row["spi"], 0)
        self.key = bytes.fromhex(row["key"])
        self.integrity_key = bytes.fromhex(row["integrity_key"])
        self.algorithm = row["algorithm"]
        self.how = esp_algorithms.of(self.algorithm, self.key, self.integrity_key)
        self.esn = row["esn"] == "yes"
        self.local, self.remote = row["local"], row["remote"]
        self.udp = row.get("udp", False)
        self.outer = IPv6 if ":" in self.local else IP
        self.name = "%s %s %#x" % (self.outer.__name__, row["algorithm"], self.spi)
        self.next = 1

    def scapy(self, high=0):
        """Its view of this SA; None: it has no such algorithm, or leaves the upper half of the number out
        of what HMAC covers (RFC 4303 section 2.2.1), as scapy 2.5 does."""
        if not self.how.scapy or (self.integrity_key and self.esn):
            return None
        cipher, integrity = self.how.scapy
        return SecurityAssociation(
            ESP, spi=self.spi, seq_num=self.next, crypt_algo=cipher, crypt_key=self.key or None,
            auth_algo=integrity, auth_key=self.integrity_key or None,
            tunnel_header=self.outer(src=self.local, dst=self.remote), esn_en=self.esn, esn=high,
            nat_t_header=UDP(sport=4500, dport=4500) if self.udp else None)

    def trailer(self, inner, next_header):
        """RFC 4303 section 2.4."""
        pad = -(len(inner) + 2) % self.how.align
        return inner + bytes(range(1, pad + 1)) + bytes([pad, next_header])

    def seal(self, seq, plain):
        """RFC 4303 around `plain`, which ends with pad length and next header."""
        esp = self.how.seal(self.spi, seq, self.esn, plain)
        if self.outer is IP:
            return IP(src=self.local, dst=self.remote, proto=50) / Raw(esp)
        return IPv6(src=self.local, dst=self.remote, nh=50) / Raw(esp)

    def open(self, esp, seq):
        """Returns the inner packet and its next header; raises on a wrong ICV or wrong padding."""
        plain = self.how.open(esp, seq, self.esn)
        pad, next_header = plain[-2], plain[-1]
        # RFC 4303 section 2.4: 1, 2, 3..., and the ciphertext ends on a multiple of four, or of the block.
        if plain[-2 - pad:-2] != bytes(range(1, pad + 1)) or len(plain) % self.how.align:
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
        scapy = sa.scapy()
        if scapy:
            by_scapy = scapy.decrypt(ip)  # raises IPSecIntegrityError
            assert raw(by_scapy) == inner, "scapy and cryptography disagree on number %d" % seq
        assert next_header == {4: 4, 6: 41}[inner[0] >> 4], "next header %d" % next_header
        if clear:
            assert without_ttl(inner) in clear, "not what a host sent: %s" % inner.hex()
        opened[sa.name] = opened.get(sa.name, 0) + 1
    for name, n in sorted(opened.items()):
        print("%s: %d packets opened" % (name, n))
    check_ivs(pcap, sas)
    assert set(opened) == {sa.name for sa in sas.values()}, "no packet of some SA in the capture"


def check_ivs(pcap, sas):
    """No IV of an SA is there twice; those of AES-CBC do not follow from each other (RFC 3602 section 3)."""
    seen = {}
    for frame in PcapReader(pcap):
        ip, esp = outer_esp(frame)
        if ip is None:
            continue
        sa = sas[struct.unpack_from("!I", esp)[0]]
        iv = esp[8:8 + sa.how.iv_len]
        if iv:
            assert (sa.spi, iv) not in seen, "IV %s of %s twice" % (iv.hex(), sa.name)
            seen[sa.spi, iv] = True
        if len(iv) == 16:
            for other in list(seen)[-9:-1]:
                if other[0] == sa.spi:
                    same = bin(int.from_bytes(iv, "big") ^ int.from_bytes(other[1], "big")).count("1")
                    assert 24 < same < 104, "IVs %s and %s are alike" % (iv.hex(), other[1].hex())


def cover(pcap, sas):
    """RFC 4303 sections 2.6 and 2.7: next header 59, and octets behind the inner packet."""
    sas = load(sas)
    found = {spi: {"packets": 0, "dummies": 0, "padded": 0, "sizes": set()} for spi in sas}
    for frame in PcapReader(pcap):
        ip, esp = outer_esp(frame)
        if ip is None:
            continue
        spi, seq = struct.unpack_from("!II", esp)
        inner, next_header = sas[spi].open(esp, seq)
        row = found[spi]
        row["packets"] += 1
        row["sizes"].add(len(inner))
        if next_header == 59:
            row["dummies"] += 1
            continue
        by_scapy = sas[spi].scapy().decrypt(ip)
        length = by_scapy.len if isinstance(by_scapy, IP) else 40 + by_scapy.plen
        assert next_header == NEXT_HEADER[type(by_scapy)], "next header %d" % next_header
        assert not any(inner[length:]), "the padding is not zeroes"
        row["padded"] += len(inner) > length
    print(json.dumps({"%#010x" % spi: dict(row, sizes=sorted(row["sizes"]))
                      for spi, row in found.items()}))


def wrong_key(pcap, sas):
    """The control: with one bit of the last key inverted nothing opens."""
    sas = load(sas)
    for frame in PcapReader(pcap):
        ip, esp = outer_esp(frame)
        if ip is None:
            continue
        sa = sas[struct.unpack_from("!I", esp)[0]]
        if sa.integrity_key:
            sa.integrity_key = bytes([sa.integrity_key[0] ^ 1]) + sa.integrity_key[1:]
        else:
            sa.key = bytes([sa.key[0] ^ 1]) + sa.key[1:]
        sa.how = esp_algorithms.of(sa.algorithm, sa.key, sa.integrity_key)
        for opened in (lambda: sa.open(esp, struct.unpack_from("!I", esp, 4)[0]),
                       lambda: sa.scapy().decrypt(ip)):
            try:
                opened()
            except Exception as e:  # the type does not matter, that it was refused does
                print("refused: %s" % type(e).__name__)
                continue
            raise AssertionError("a packet opens under a wrong key")
        return
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
        scapy = back.scapy()
        assert not scapy or raw(scapy.decrypt(ip)) == inner
        answers.append(IP(inner) if inner[0] >> 4 == 4 else IPv6(inner))

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
    packets = []
    for n in range(count):
        inner = request(src, dst, n, sizes[n % len(sizes)])
        packets.append(udp_length(sa.encrypt(inner)) if sa else
                       out.seal(n + 1, out.trailer(raw(inner), NEXT_HEADER[type(inner)])))
    answers = exchange(iface, mac, out, back, packets, count)
    for n in range(count):
        found = [a for a in answers if is_answer(a, src, dst, n)]
        assert len(found) == 1, "request %d of %d: %d answers" % (n, count, len(found))
        body = raw(request(src, dst, n, sizes[n % len(sizes)]))[-sizes[n % len(sizes)]:]
        if sizes[n % len(sizes)]:
            assert raw(found[0]).endswith(body), "answer %d has other data" % n
    print("%s: %d requests made by %s answered" % (out.name, count, "scapy" if sa else "cryptography"))


def esn(iface, mac, sas, src, dst):
    """RFC 4303 section A2: the receiver infers the upper half, also over the step to the next."""
    out, back = pair(sas)
    numbers = [1, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF, 0x100000000, 0x100000001, 0xFFFFFFFE,
               0x17FFFFFFF, 0x1FFFFFFFF, 0x200000005]
    packets = []
    for n, number in enumerate(numbers):
        inner = request(src, dst, n)
        packets.append(out.seal(number, out.trailer(raw(inner), NEXT_HEADER[type(inner)])))
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
    table = {"decrypt": decrypt, "cover": cover, "wrong-key": wrong_key, "converse": converse, "esn": esn, "wrong": wrong}
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
