# SPDX-License-Identifier: BSD-2-Clause
"""ESP's algorithms a second time, on python3-cryptography: for what scapy's IPsec layer does not check or
cannot make, and beside it for what it can.

of(name, key, integrity_key) takes keyd's name and gives an object with
  scapy            its names there for cipher and integrity, or None
  iv_len, icv_len, align
  seal(spi, seq, esn, plain)   the ESP packet from the SPI on; plain ends with pad length and next header
  open(esp, seq, esn)          the plain text; raises when the ICV is wrong
"""

import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305


def aad_of(spi, seq, esn):
    """RFC 4106 section 5, RFC 7634 section 2.1, RFC 4309 section 5."""
    return struct.pack("!IQ", spi, seq) if esn else struct.pack("!II", spi, seq & 0xFFFFFFFF)


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


class Aead:
    """Nonce: salt and IV; with `implicit` salt and 64-bit number, RFC 8750."""

    align = 4

    def __init__(self, cipher, salt, icv_len, scapy=None, implicit=False):
        self.cipher, self.salt, self.icv_len, self.scapy = cipher, salt, icv_len, scapy
        self.iv_len = 0 if implicit else 8

    def nonce(self, iv, seq):
        return self.salt + (iv if self.iv_len else struct.pack("!Q", seq))

    def seal(self, spi, seq, esn, plain):
        iv = struct.pack("!Q", 0x5CA9000000000000 | seq & 0xFFFFFFFFFFFF)[:self.iv_len]
        sealed = self.cipher.encrypt(self.nonce(iv, seq), plain, aad_of(spi, seq, esn))
        return struct.pack("!II", spi, seq & 0xFFFFFFFF) + iv + sealed

    def open(self, esp, seq, esn):
        spi = struct.unpack_from("!I", esp)[0]
        iv, sealed = esp[8:8 + self.iv_len], esp[8 + self.iv_len:]
        return self.cipher.decrypt(self.nonce(iv, seq), sealed, aad_of(spi, seq, esn))


class Gmac:
    """RFC 4543: nothing is encrypted, IV and payload are associated data too."""

    align, iv_len, icv_len, scapy = 4, 8, 16, None

    def __init__(self, key, salt):
        self.cipher, self.salt = AESGCM(key), salt

    def seal(self, spi, seq, esn, plain):
        body = struct.pack("!Q", 0x5CA9000000000000 | seq & 0xFFFFFFFFFFFF) + plain
        tag = self.cipher.encrypt(self.salt + body[:8], b"", aad_of(spi, seq, esn) + body)
        return struct.pack("!II", spi, seq & 0xFFFFFFFF) + body + tag

    def open(self, esp, seq, esn):
        body, spi = esp[8:-16], struct.unpack_from("!I", esp)[0]
        self.cipher.decrypt(self.salt + body[:8], esp[-16:], aad_of(spi, seq, esn) + body)
        return body[8:]


class WithHmac:
    """A cipher, or none, and HMAC over the packet: RFC 4303 section 3.3.2.1, RFC 4868."""

    def __init__(self, mode, key, salt, iv_len, align, integrity, integrity_key, scapy):
        self.mode, self.key, self.salt = mode, key, salt
        self.iv_len, self.align, self.scapy = iv_len, align, scapy
        self.digest, self.integrity_key = integrity, integrity_key
        self.icv_len = len(integrity_key) // 2

    def cipher(self, iv):
        if self.mode == "ctr":  # RFC 3686 section 4
            return Cipher(algorithms.AES(self.key), modes.CTR(self.salt + iv + b"\0\0\0\1"))
        return Cipher(algorithms.AES(self.key), modes.CBC(iv))

    def tag(self, packet, seq, esn):
        upper = struct.pack("!I", seq >> 32) if esn else b""
        return hmac.new(self.integrity_key, packet + upper, self.digest).digest()[:self.icv_len]

    def seal(self, spi, seq, esn, plain):
        iv = os.urandom(self.iv_len) if self.mode == "cbc" else struct.pack("!Q", seq)[:self.iv_len]
        if self.mode != "null":
            e = self.cipher(iv).encryptor()
            plain = e.update(plain) + e.finalize()
        packet = struct.pack("!II", spi, seq & 0xFFFFFFFF) + iv + plain
        return packet + self.tag(packet, seq, esn)

    def open(self, esp, seq, esn):
        packet, tag = esp[:-self.icv_len], esp[-self.icv_len:]
        if not hmac.compare_digest(tag, self.tag(packet, seq, esn)):
            raise InvalidTag
        iv, text = packet[8:8 + self.iv_len], packet[8 + self.iv_len:]
        if self.mode == "null":
            return text
        d = self.cipher(iv).decryptor()
        return d.update(text) + d.finalize()


def aead_of(words, key):
    """aes-gcm-BITS[-ICV][-iiv], the same with ccm."""
    implicit = words[-1] == "iiv"
    icv = int(words[3]) if words[3:4] and words[3] != "iiv" else 16
    if words[1] == "gcm":
        key, salt = key[:-4], key[-4:]
        scapy = None if implicit else ("AES-GCM" if icv == 16 else "AES-GCM-%d" % icv, "NULL")
        cipher = ShortGcm(key, icv)
    else:
        key, salt = key[:-3], key[-3:]
        scapy = None if implicit else ("AES-CCM" if icv == 16 else "AES-CCM-%d" % icv, "NULL")
        cipher = AESCCM(key, icv)
    assert len(key) * 8 == int(words[2]), "-".join(words)
    return Aead(cipher, salt, icv, scapy, implicit)


def of(name, key, integrity_key=b""):
    words = name.split("-")
    if words[0] == "chacha20poly1305":
        implicit = words[-1] == "iiv"
        return Aead(ChaCha20Poly1305(key[:-4]), key[-4:], 16,
                    None if implicit else ("CHACHA20-POLY1305", "NULL"), implicit)
    if words[1] in ("gcm", "ccm"):
        return aead_of(words, key)
    if words[1] == "gmac":
        return Gmac(key[:-4], key[-4:])
    digest = words[-1]
    integrity = {"sha256": "SHA2-256-128", "sha384": "SHA2-384-192", "sha512": "SHA2-512-256"}[digest]
    if words[0] == "null":
        return WithHmac("null", b"", b"", 0, 4, digest, integrity_key, ("NULL", integrity))
    assert len(key) - (4 if words[1] == "ctr" else 0) == int(words[2]) // 8, name
    if words[1] == "ctr":
        return WithHmac("ctr", key[:-4], key[-4:], 8, 4, digest, integrity_key, ("AES-CTR", integrity))
    return WithHmac("cbc", key, b"", 16, 16, digest, integrity_key, ("AES-CBC", integrity))
