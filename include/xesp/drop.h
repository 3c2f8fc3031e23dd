/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * drop.h - every reason for which xesp discards a packet.
 *
 * One list feeds the BPF programs (which count), xespd (which counts), the
 * CLI (which prints) and docs/operations.md (which explains); a reason that
 * is not here cannot be counted, so a silent drop cannot be written.
 *
 * X(NAME, "counter-name", "what it means, and what to do, for an operator")
 * Values are ABI of pinned maps: append only, never reorder, never reuse.
 */
#ifndef XESP_DROP_H
#define XESP_DROP_H

#define XESP_DROP_REASONS(X)                                                                       \
	/* classification, in XDP */                                                               \
	X(MALFORMED_ETH, "malformed-eth", "frame too short for its Ethernet or VLAN header")       \
	X(MALFORMED_IP, "malformed-ip", "IP header or extension header contradicts the frame")     \
	X(MALFORMED_L4, "malformed-l4", "TCP, UDP, ICMP or ESP header cut off")                    \
	X(EXTHDR_DEPTH, "exthdr-depth", "more IPv6 extension headers than the classifier follows") \
	X(NOT_LOADED, "not-loaded", "no policies loaded yet: start xesp-keyd")                     \
	X(STALE_MAPS, "stale-maps", "policy maps of another generation: restart xesp-keyd")        \
	X(DISCARD, "discard", "a discard policy matched")                                          \
	X(NO_POLICY, "no-policy", "no policy matched and the default is discard")                  \
	X(NO_WORKER, "no-worker", "needs a worker and none serves this queue: start xespd")        \
	X(CLEAR_PROTECTED, "clear-protected", "arrived in clear though policy says protect")       \
	X(NO_HEADROOM, "no-headroom", "driver leaves no room for the steering metadata")           \
	/* inbound ESP */                                                                          \
	X(BAD_SPI, "bad-spi", "SPI 0 to 255 is reserved")                                          \
	X(NO_SA, "no-sa", "no SA has this SPI and destination")                                    \
	X(ESP_SHORT, "esp-short", "ESP shorter than its header, IV and ICV, or no whole blocks")   \
	X(REPLAY_DUPLICATE, "replay-duplicate", "sequence number seen before")                     \
	X(REPLAY_OLD, "replay-old", "sequence number left of the replay window")                   \
	X(BAD_ICV, "bad-icv", "integrity check failed: wrong key or altered packet")               \
	X(BAD_PADDING, "bad-padding", "authentic, but the ESP padding is not 1,2,3,...")           \
	X(BAD_INNER, "bad-inner", "authentic, but the inner packet is malformed")                  \
	X(SELECTOR_MISMATCH, "selector-mismatch", "inner packet outside its SA's selectors")       \
	X(ECN_INVALID, "ecn-invalid", "outer CE on a not-ECT inner packet, RFC 6040")              \
	X(DUMMY, "dummy", "dummy packet, next header 59: discarded as RFC 4303 says")              \
	/* outbound ESP */                                                                         \
	X(NO_SA_OUT, "no-sa-out", "the tunnel has no outbound SA")                                 \
	X(NO_LEASE, "no-lease", "no sequence numbers leased: is xesp-keyd running?")               \
	X(SEQ_EXHAUSTED, "seq-exhausted", "the SA used its last sequence number: rekey")           \
	X(CRYPTO_FAILED, "crypto-failed", "the crypto engine refused the packet")                  \
	X(NO_TAILROOM, "no-tailroom", "packet does not fit its buffer once encapsulated")          \
	X(TTL_EXPIRED, "ttl-expired", "TTL or hop limit used up: ICMP time exceeded sent")         \
	X(TOO_BIG, "too-big", "larger than the tunnel's MTU and may not be fragmented: ICMP sent") \
	/* the way out */                                                                          \
	X(NO_ROUTE, "no-route", "no route to the destination, or a blackhole route")               \
	X(NO_NEIGHBOUR, "no-neighbour", "next hop not resolved and the slow path is full")         \
	X(TX_FULL, "tx-full", "transmit ring full: the interface is slower than the traffic")      \
	X(TX_ERROR, "tx-error", "the kernel refused the packet")                                   \
	X(NO_FRAME, "no-frame", "no free UMEM frame")                                              \
	X(SLOW_PATH_FULL, "slow-path-full", "xesp0 or the queue to the slow path is full")         \
	X(BAD_META, "bad-meta", "frame without valid steering metadata: other XDP program?")       \
	X(RX_TOO_BIG, "rx-too-big", "packet above 9216 bytes, or above what the port takes: lower the MTU") \
	X(RX_FULL, "rx-full", "receive ring full: a worker is slower than the traffic")            \
	X(LINK_GROUP, "link-group", "unicast packet in a broadcast or multicast frame, RFC 1812")      \
	X(ICMP_UNBELIEVED, "icmp-unbelieved", "ICMP error about ESP that was not sent lately: forged?")    \
	X(NOT_OWN, "not-own", "transport mode takes only whole packets that this machine sends itself")    \
	X(BAD_AH, "bad-ah", "AH header cut off, or of another length than its SA has") \
	/* ESP in UDP */                                                                           \
	X(NATT_KEEPALIVE, "natt-keepalive", "NAT keepalive of a peer: absorbed, RFC 3948")         \
	X(NATT_SHORT, "natt-short", "UDP on an ESP-in-UDP port with too little in it to be ESP")   \
	X(ENCAP_MISMATCH, "encap-mismatch", "ESP in UDP where the tunnel says bare ESP, or the reverse") \
	X(LIFETIME, "lifetime", "the SA's lifetime has ended (hard limit): give it a new key") \
	X(FRAGMENT_UNKNOWN, "fragment-unknown", "later fragment, and ports decide: its first was not seen") \
	X(NO_SA_UNIQUE, "no-sa-unique", "the policy wants an SA of the packet's own values, and there is none") \
	X(HANDOVER, "handover", "its SA passes between xesp and the kernel, and the other one may have had this number")

enum xesp_drop {
	XESP_DROP_NONE, /* not dropped */
#define X(name, counter, text) XESP_DROP_##name,
	XESP_DROP_REASONS(X)
#undef X
	XESP_DROP_MAX
};

/* Room in the pinned counter maps, so that a new reason does not change their layout. */
#define XESP_DROP_SLOTS 64

_Static_assert(XESP_DROP_MAX <= XESP_DROP_SLOTS, "drop reasons outgrew the counter maps");

#endif /* XESP_DROP_H */
