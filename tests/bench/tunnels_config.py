#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tunnels_config.py - a gateway with N tunnels, as tests/bench/source.c fills them: one policy and two SAs each.

tunnels_config.py FILE N

Tunnel i leads from 192.0.2.1 to sas.address(i), for what goes from 10.1.0.0/24 to 172.16.0.0 + i. Its inbound SA is the one
that source.c seals for: one AES key, the tunnel's index as salt.
"""

import sys

import sas

AES_KEY = "00112233445566778899aabbccddeeff"  # and with -K in tunnels.sh
SPI_FIRST = 4096


def inbound(i):
    return {"name": "in%d" % i, "tunnel": "t%d" % i, "direction": "in", "spi": SPI_FIRST + 2 * i,
            "algorithm": "aes-gcm-128", "key": AES_KEY + "%08x" % i, "esn": "yes"}


def outbound(i):
    return dict(sas.sa(i, "out", 0, 0), spi=SPI_FIRST + 2 * i + 1, esn="yes")


def main():
    path, n = sys.argv[1], int(sys.argv[2])
    model = {"tunnels": sas.tunnels(n), "sas": [make(i) for i in range(n) for make in (inbound, outbound)],
             "policies": [dict(p, local="10.1.0.0/24") for p in sas.policies(n, n)]}
    sas.write_config(path, model, "file")


main()
