#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What tests see on a wire and put on it: captures read, frames sent again, altered or cut.

Standard library only, so that a call costs milliseconds; scapy, the independent peer, is used by
tests/peer. Frames are Ethernet with up to two VLAN tags, IPv4 or IPv6 (extension headers followed),
ESP inside. Exit status: 0 true or done, 1 false with the reason on stdout, 2 wrong usage.
"""

import json
import socket
import struct
import sys

SENTINEL = 0x88B5  # EtherType for experiments, IEEE 802
ATTACKER = bytes.fromhex("0200000000aa")  # source of what `inject` sends, so that a capture tells
ESP = 50
NATT_PORT = 4500
NEIGHBOUR_DISCOVERY = range(133, 138)
LISTENER_REPORTS = (130, 131, 132, 143)
EXTENSION_HEADERS = (0, 43, 60)


def frames(path):
    """Yields (time, frame) of a pcap file; a truncated last record ends it."""
    with open(path, "rb") as f:
        head = f.read(24)
        if len(head) < 24:
            return
        order = "<" if head[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        while True:
            record = f.read(16)
            if len(record) < 16:
                return
            sec, frac, caplen, _ = struct.unpack(order + "IIII", record)
            data = f.read(caplen)
            if len(data) < caplen:
                return
            yield sec + frac / 1e6, data


class Frame:
    """Where things are in a frame. kind: esp, udp-esp (RFC 3948), arp, nd, mld, fragment, ip, sentinel or other."""

    def __init__(self, data):
        self.data = data
        self.kind = "other"
        self.l3 = 14
        proto = struct.unpack_from("!H", data, 12)[0] if len(data) >= 14 else 0
        while proto in (0x8100, 0x88A8) and len(data) >= self.l3 + 4:
            proto = struct.unpack_from("!H", data, self.l3 + 2)[0]
            self.l3 += 4
        self.ethertype = proto
        self.proto = None
        if proto == SENTINEL:
            self.kind = "sentinel"
        elif proto == 0x0806:
            self.kind = "arp"
        elif proto == 0x0800:
            self.ip4()
        elif proto == 0x86DD:
            self.ip6()

    def ip4(self):
        d, o = self.data, self.l3
        if len(d) < o + 20:
            return
        self.src, self.dst = d[o + 12:o + 16], d[o + 16:o + 20]
        self.end = o + struct.unpack_from("!H", d, o + 2)[0]
        self.l4 = o + (d[o] & 15) * 4
        self.proto = d[o + 9]
        self.kind = "ip"
        if struct.unpack_from("!H", d, o + 6)[0] & 0x3FFF:
            self.kind = "fragment"
        self.upper()

    def ip6(self):
        d, o = self.data, self.l3
        if len(d) < o + 40:
            return
        self.src, self.dst = d[o + 8:o + 24], d[o + 24:o + 40]
        self.end = o + 40 + struct.unpack_from("!H", d, o + 4)[0]
        self.l4, self.proto, self.kind = o + 40, d[o + 6], "ip"
        while self.proto in EXTENSION_HEADERS and len(d) >= self.l4 + 8:
            self.proto, self.l4 = d[self.l4], self.l4 + 8 * (d[self.l4 + 1] + 1)
        if self.proto == 44:
            self.kind = "fragment"
        self.upper()

    def upper(self):
        if self.kind == "fragment":
            return
        if self.proto == ESP and len(self.data) >= self.l4 + 8:
            self.kind = "esp"
            self.spi, self.seq = struct.unpack_from("!II", self.data, self.l4)
        elif self.proto == 17 and len(self.data) >= self.l4 + 16 and \
                NATT_PORT in struct.unpack_from("!HH", self.data, self.l4) and any(self.data[self.l4 + 8:self.l4 + 12]):
            self.kind = "udp-esp"
            self.spi, self.seq = struct.unpack_from("!II", self.data, self.l4 + 8)
        elif self.proto == 58 and self.ethertype == 0x86DD and len(self.data) > self.l4:
            if self.data[self.l4] in NEIGHBOUR_DISCOVERY:
                self.kind = "nd"
            elif self.data[self.l4] in LISTENER_REPORTS:
                self.kind = "mld"

    def traffic_class(self):
        return struct.unpack_from("!H", self.data, self.l3)[0] >> 4 & 0xFF

    def text(self):
        def address(raw):
            return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
        if self.proto is None:
            return "ethertype %04x, %d bytes" % (self.ethertype, len(self.data))
        return "%s > %s protocol %d, %d bytes" % (
            address(self.src), address(self.dst), self.proto, len(self.data))


def parsed(path):
    return [f for f in (Frame(data) for _, data in frames(path)) if f.kind != "sentinel"]


def selected(path, options):
    """Frames that carry IP, narrowed down by dst= (and nothing that links need for themselves)."""
    found = [f for f in parsed(path) if f.kind in ("ip", "esp", "udp-esp", "fragment")]
    if "dst" in options:
        family = socket.AF_INET6 if ":" in options["dst"] else socket.AF_INET
        found = [f for f in found if f.dst == socket.inet_pton(family, options["dst"])]
    return found


def esp_frames(path, options):
    found = [f for f in parsed(path) if f.kind == "esp"]
    if "spi" in options:
        found = [f for f in found if f.spi == int(options["spi"], 0)]
    if "last" in options:
        found = found[-int(options["last"]):]
    if "first" in options:
        found = found[:int(options["first"])]
    return found


def open_raw(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((interface, 0))
    return s


def flip(data, bit):
    """The frame with one bit inverted; bit 0 is the most significant one of the first octet."""
    altered = bytearray(data)
    altered[bit // 8] ^= 0x80 >> bit % 8
    return bytes(altered)


def do_count(path):
    kinds = {}
    total = 0
    for f in parsed(path):
        kinds[f.kind] = kinds.get(f.kind, 0) + 1
        total += 1
    kinds["frames"] = total
    print(json.dumps(kinds))
    return 0


def do_only_esp(path):
    """Nothing but ESP and what links need to work: ARP, neighbour discovery, listener reports."""
    bad = [f for f in parsed(path) if f.kind not in ("esp", "arp", "nd", "mld")]
    for f in bad[:10]:
        print("not ESP: " + f.text())
    return 1 if bad else 0


def do_unique(*paths):
    """No (destination, SPI, sequence number) twice, but for injected frames; prints count and range
    per SPI."""
    seen, twice = {}, 0
    for path in paths:
        for f in parsed(path):
            if f.kind not in ("esp", "udp-esp") or f.data[6:12] == ATTACKER:
                continue
            numbers = seen.setdefault((f.dst, f.spi), set())
            if f.seq in numbers:
                twice += 1
                print("twice: SPI %#010x sequence number %d" % (f.spi, f.seq))
            numbers.add(f.seq)
    for (_, spi), numbers in sorted(seen.items()):
        print("SPI %#010x: %d packets, %d to %d" % (spi, len(numbers), min(numbers), max(numbers)))
    if not seen:
        print("no ESP in the capture")
    return 1 if twice or not seen else 0


def do_seqs(path, *options):
    for f in esp_frames(path, parse_options(options)):
        print(f.seq)
    return 0


def do_tos(path, *options):
    """DSCP and ECN octet of each IP packet."""
    options = parse_options(options)
    for f in esp_frames(path, options) if "spi" in options else selected(path, options):
        octet = f.data[f.l3 + 1] if f.ethertype == 0x0800 else f.traffic_class()
        print("0x%02x" % octet)
    return 0


def do_ttl(path, *options):
    options = parse_options(options)
    for f in esp_frames(path, options) if "spi" in options else selected(path, options):
        print(f.data[f.l3 + (8 if f.ethertype == 0x0800 else 7)])
    return 0


def do_df(path, *options):
    """Don't Fragment of each ESP packet over IPv4: df or -."""
    for f in esp_frames(path, parse_options(options)):
        print("df" if f.data[f.l3 + 6] & 0x40 else "-")
    return 0


def do_ids(path, *options):
    """The IPv4 identification of each ESP packet."""
    for f in esp_frames(path, parse_options(options)):
        print(struct.unpack_from("!H", f.data, f.l3 + 4)[0])
    return 0


def do_labels(path, *options):
    """The IPv6 flow label outside of each ESP packet."""
    for f in esp_frames(path, parse_options(options)):
        print("0x%05x" % (struct.unpack_from("!I", f.data, f.l3)[0] & 0xFFFFF))
    return 0


def do_lengths(path, *options):
    """Octets of each ESP packet, outer IP header included."""
    for f in esp_frames(path, parse_options(options)):
        print(f.end - f.l3)
    return 0


def do_largest(path):
    print(max((len(f.data) for f in parsed(path)), default=0))
    return 0


def do_grep(path, marker):
    """How many frames hold the marker."""
    print(sum(marker.encode() in data for _, data in frames(path)))
    return 0


def do_sentinel(interface, text):
    frame = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + struct.pack("!H", SENTINEL) + text.encode()
    open_raw(interface).send(frame.ljust(60, b"\0"))
    return 0


def do_inject(interface, path, *options):
    """Sends captured ESP frames again: [spi=X] [first=N] [last=N] [newspi=X] [seq=N] [tos=X]
    [times=N]."""
    options = parse_options(options)
    s = open_raw(interface)
    sent = 0
    for f in esp_frames(path, options):
        data = bytearray(f.data)
        data[6:12] = ATTACKER
        if "newspi" in options:
            struct.pack_into("!I", data, f.l4, int(options["newspi"], 0))
        if "seq" in options:
            struct.pack_into("!I", data, f.l4 + 4, int(options["seq"], 0))
        if "tos" in options:
            data = with_tos(f, data, int(options["tos"], 0))
        for _ in range(int(options.get("times", 1))):
            s.send(bytes(data))
            sent += 1
    print(sent)
    return 0 if sent else 1


def expected_drop(f, bit, window, top, esn):
    """The counter for a frame whose ESP bit `bit` is inverted, RFC 4303 sections 3.4.2 and 3.4.3.
    The receiver has seen 1..top of this SA, without a gap, and this frame is number top + 1."""
    if bit < 32:
        return "bad-spi" if f.spi ^ (1 << (31 - bit)) < 256 else "no-sa"
    if bit >= 64:
        return "bad-icv"
    seq = f.seq ^ (1 << (63 - bit))
    if seq > top:
        return "bad-icv"
    if seq == 0 or seq + window <= top:
        # With ESN a number left of the window is one of the next 2^32, RFC 4303 section A2.1.
        return "bad-icv" if esn else "replay-old"
    return "replay-duplicate"


def do_flips(interface, path, *options):
    """Sends the last captured ESP frame (spi=X) once per bit of ESP, with that bit inverted, bits
    from= to until=; prints what each counter must grow by. window=, top= and esn= of the receiver."""
    options = parse_options(options)
    f = esp_frames(path, options)[-1]
    first = int(options.get("from", 0))
    until = min(int(options.get("until", 1 << 30)), (f.end - f.l4) * 8)
    s = open_raw(interface)
    expected = {}
    for bit in range(first, until):
        s.send(flip(f.data, f.l4 * 8 + bit))
        why = expected_drop(f, bit, int(options["window"]), int(options["top"]),
                            options["esn"] == "yes")
        expected[why] = expected.get(why, 0) + 1
    print(json.dumps(expected))
    return 0


def checksum(header):
    total = sum(struct.unpack("!%dH" % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_tos(f, data, tos):
    if f.ethertype == 0x0800:
        data[f.l3 + 1] = tos
        struct.pack_into("!H", data, f.l3 + 10, 0)
        struct.pack_into("!H", data, f.l3 + 10, checksum(bytes(data[f.l3:f.l4])))
    else:
        first = struct.unpack_from("!H", data, f.l3)[0]
        struct.pack_into("!H", data, f.l3, first & 0xF00F | tos << 4)
    return data


def fragments4(f, size, name, overlap=0):
    """RFC 791: the IPv4 packet of a frame in fragments of at most `size` payload octets; each but the
    first begins `overlap` octets too early."""
    head, payload = f.data[:f.l4], f.data[f.l4:f.end]
    for at in range(0, len(payload), size):
        start = at - overlap if at else 0
        part = payload[start:at + size]
        h = bytearray(head)
        struct.pack_into("!H", h, f.l3 + 2, f.l4 - f.l3 + len(part))
        struct.pack_into("!H", h, f.l3 + 4, name & 0xFFFF)
        more = 0x2000 if at + size < len(payload) else 0
        struct.pack_into("!HH", h, f.l3 + 6, more | start // 8,
                         struct.unpack_from("!H", h, f.l3 + 8)[0])
        struct.pack_into("!H", h, f.l3 + 10, 0)
        struct.pack_into("!H", h, f.l3 + 10, checksum(bytes(h[f.l3:f.l4])))
        yield bytes(h) + part


def fragments6(f, size, name, overlap=0):
    """RFC 8200 section 4.5, for a packet without extension headers."""
    head, payload = f.data[:f.l4], f.data[f.l4:f.end]
    for at in range(0, len(payload), size):
        start = at - overlap if at else 0
        part = payload[start:at + size]
        h = bytearray(head)
        h[f.l3 + 6] = 44
        struct.pack_into("!H", h, f.l3 + 4, 8 + len(part))
        more = 1 if at + size < len(payload) else 0
        yield bytes(h) + struct.pack("!BBHI", f.proto, 0, start | more, name) + part


def do_fragment(interface, path, *options):
    """Sends captured ESP frames in IP fragments of size= payload octets (a multiple of 8), with
    ESP's bit flip= inverted before. overlap=8: fragments overlap by so much. only=N: no more than the
    first N fragments; datagrams=N: so often, under as many identifications."""
    options = parse_options(options)
    s = open_raw(interface)
    size = int(options.get("size", 64))
    for f in esp_frames(path, options):
        if "flip" in options:
            f = Frame(flip(f.data, f.l4 * 8 + int(options["flip"])))
        cut = fragments4 if f.ethertype == 0x0800 else fragments6
        for n in range(int(options.get("datagrams", 1))):
            parts = list(cut(f, size, 0x5E5B + n, int(options.get("overlap", 0))))
            for part in parts[:int(options.get("only", len(parts)))]:
                s.send(part)
    return 0


def do_tagged(interface, path, *options):
    """Sends captured IP frames again under VLAN tags=7[,8], the outer one first (802.1ad then)."""
    options = parse_options(options)
    ids = [int(i) for i in options["tags"].split(",")]
    kinds = [0x8100] if len(ids) == 1 else [0x88A8, 0x8100]
    tags = b"".join(struct.pack("!HH", kind, i) for kind, i in zip(kinds, ids))
    s = open_raw(interface)
    found = selected(path, options)
    if "dst" not in options:
        found = esp_frames(path, options)
    for f in found:
        s.send(f.data[:12] + tags + f.data[12:])
    print(len(found))
    return 0 if found else 1


def sum16(data):
    if len(data) % 2:
        data += b"\0"
    return checksum(data)


def do_icmp(interface, path, *options):
    """Puts "too big" on the wire, as a router would, that quotes the last captured ESP frame (spi=X) and
    says mtu=. Forged as asked: seq=, newspi= in the quote, remote=1 (another peer's address), quote= octets
    of ESP only. To the Ethernet and IP source of the captured frame."""
    options = parse_options(options)
    f = esp_frames(path, options)[-1]
    quoted = bytearray(f.data[f.l3:f.end])
    esp = f.l4 - f.l3
    if "newspi" in options:
        struct.pack_into("!I", quoted, esp, int(options["newspi"], 0))
    if "seq" in options:
        struct.pack_into("!I", quoted, esp + 4, int(options["seq"], 0))
    if "remote" in options:
        quoted[esp - 1] ^= 0x40  # the last octet of the destination
    # As if it had been larger than the packet that was captured.
    length = int(options.get("length", 1500))
    four = f.ethertype == 0x0800
    struct.pack_into("!H", quoted, 2 if four else 4, length if four else length - 40)
    quoted = bytes(quoted[:esp + int(options.get("quote", 1 << 20))])[:500]
    mtu = int(options["mtu"])
    eth = f.data[6:12] + ATTACKER + f.data[12:14]
    if four:
        icmp = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted
        icmp = icmp[:2] + struct.pack("!H", sum16(icmp)) + icmp[4:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0,
                         socket.inet_aton("198.51.100.1"), f.src)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    else:
        src = socket.inet_pton(socket.AF_INET6, "2001:db8:fffe::1")
        icmp = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted
        pseudo = src + f.src + struct.pack("!II", len(icmp), 58)
        icmp = icmp[:2] + struct.pack("!H", sum16(pseudo + icmp)) + icmp[4:]
        ip = struct.pack("!IHBB16s16s", 6 << 28, len(icmp), 58, 64, src, f.src)
    open_raw(interface).send(eth + ip + icmp)
    return 0


def parse_options(words):
    return dict(word.split("=", 1) for word in words)


def main(arguments):
    table = {name[3:].replace("_", "-"): f for name, f in globals().items() if name.startswith("do_")}
    if not arguments or arguments[0] not in table:
        print("usage: wire.py %s ..." % "|".join(sorted(table)), file=sys.stderr)
        return 2
    return table[arguments[0]](*arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
