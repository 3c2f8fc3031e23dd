/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_record.c - what a worker keeps of packets that it dropped: who they were, under the counter's own reason; of a
 * flood a bounded part; of good packets nothing; never a byte of payload.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "esp/wire.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "tests/pair/pair.h"
#include "xesp/dropped.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct xesp_dropped *part(const struct pair *p)
{
	return &p->st.last[PAIR_MAIN * XESP_LAST_RECORDS];
}

static uint32_t count_records(const struct pair *p)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < PAIR_WORKERS; w++)
		for (uint32_t i = 0; i < XESP_LAST_RECORDS; i++) {
			const struct xesp_dropped *d = &p->st.last[w * XESP_LAST_RECORDS + i];

			CU_ASSERT_EQUAL(d->number, d->check);
			n += d->number != 0;
		}
	return n;
}

enum trouble { REPLAYED, FORGED, TOO_BIG, NO_TUNNEL, NO_LEASE, MISMATCH, OTHER_SPI, TTL };

static const struct {
	const char *what;
	enum trouble trouble;
	int version;
	enum xesp_drop why;
	uint8_t proto, way; /* of the header that was looked at last */
	bool has_spi, has_ports;
} rows[] = {
	{ "replayed", REPLAYED, 4, XESP_DROP_REPLAY_DUPLICATE, 50, XESP_DROPPED_INBOUND, true, false },
	{ "forged", FORGED, 4, XESP_DROP_BAD_ICV, 50, XESP_DROPPED_INBOUND, true, false },
	{ "forged, IPv6 inside", FORGED, 6, XESP_DROP_BAD_ICV, 50, XESP_DROPPED_INBOUND, true, false },
	{ "too big", TOO_BIG, 4, XESP_DROP_TOO_BIG, 17, XESP_DROPPED_OUTBOUND, true, true },
	{ "too big, IPv6", TOO_BIG, 6, XESP_DROP_TOO_BIG, 17, XESP_DROPPED_OUTBOUND, true, true },
	{ "no SA", NO_TUNNEL, 4, XESP_DROP_NO_SA_OUT, 17, XESP_DROPPED_OUTBOUND, false, true },
	{ "no lease", NO_LEASE, 4, XESP_DROP_NO_LEASE, 17, XESP_DROPPED_OUTBOUND, true, true },
	{ "authentic, and not let in", MISMATCH, 4, XESP_DROP_SELECTOR_MISMATCH, 17, XESP_DROPPED_INBOUND, true, true },
	{ "another SPI than its SA's", OTHER_SPI, 4, XESP_DROP_NO_SA, 50, XESP_DROPPED_INBOUND, true, false },
	{ "TTL", TTL, 4, XESP_DROP_TTL_EXPIRED, 17, XESP_DROPPED_OUTBOUND, true, true },
};

/* The packet that is dropped under rows[i]; *seq gets the number it has, if it has one. */
static struct pkt make(struct pair *p, struct frame *f, size_t i, uint64_t *seq)
{
	static const struct list_row nobody[] = { { .id = 9, .action = XESP_ACTION_BYPASS, .local = "10.9.0.0/16" } };
	struct pkt pkt = pair_make(f, rows[i].version, rows[i].trouble == TOO_BIG ? 1480 : 100);
	uint8_t *esp;

	*seq = 0;
	pkt.policy = PAIR_POLICY;
	switch (rows[i].trouble) {
	case TOO_BIG:
		if (rows[i].version == 4)
			pkt.l3[6] = 0x40;
		pair_checksum(pkt.l3);
		return pkt;
	case TTL:
		pkt.l3[8] = 1;
		pair_checksum(pkt.l3);
		return pkt;
	case NO_TUNNEL:
		pkt.id = 9;
		return pkt;
	case NO_LEASE:
		return pkt;
	default:
		break;
	}
	CU_ASSERT_EQUAL(pair_encap(p, &pkt), XESP_DROP_NONE);
	*seq = pkt.seq;
	esp = pkt.l3 + pkt.l4_off;
	pair_turn(&pkt);
	if (rows[i].trouble == FORGED)
		esp[20] ^= 1;
	if (rows[i].trouble == OTHER_SPI)
		esp[0] ^= 1;
	if (rows[i].trouble == MISMATCH)
		pair_allow(p, PAIR_TUNNEL_IN, nobody, 1);
	if (rows[i].trouble == REPLAYED) {
		static struct frame copy;
		struct pkt again;

		copy = *f;
		again = pkt;
		again.l3 = copy.bytes + (pkt.l3 - f->bytes);
		again.head = copy.bytes;
		again.end = copy.bytes + sizeof(copy.bytes);
		CU_ASSERT_EQUAL(pair_decap(p, &again), XESP_DROP_NONE);
	}
	return pkt;
}

static void who_was_dropped(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(rows); i++) {
		struct pair_opts o = { .lease = 1 };
		const struct xesp_dropped *d;
		struct pair p;
		struct pkt pkt;
		uint64_t seq;

		pair_open(&p, &o);
		if (rows[i].trouble == NO_LEASE) {
			pkt = pair_make(&f, 4, 100);
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		}
		CU_ASSERT_EQUAL(count_records(&p), 0);
		pkt = make(&p, &f, i, &seq);
		CU_ASSERT_EQUAL(pkt.policy ? pair_encap(&p, &pkt) : pair_decap(&p, &pkt), rows[i].why);
		CU_ASSERT_EQUAL(count_records(&p), 1);
		d = &part(&p)[XESP_LAST_AT(rows[i].why, 1)];
		if (d->number != 1 || d->reason != rows[i].why || d->proto != rows[i].proto || d->way != rows[i].way ||
		    d->fields != rows[i].has_ports || (d->spi != 0) != rows[i].has_spi)
			fprintf(stderr, "record: %s: %s, protocol %u, way %u, SPI 0x%x\n", rows[i].what,
				d->reason ? drops_name((enum xesp_drop)d->reason) : "-", d->proto, d->way, ntohl(d->spi));
		CU_ASSERT_EQUAL(d->number, 1);
		CU_ASSERT_EQUAL(d->reason, rows[i].why);
		CU_ASSERT_EQUAL(d->proto, rows[i].proto);
		CU_ASSERT_EQUAL(d->way, rows[i].way);
		CU_ASSERT_EQUAL(d->fields, rows[i].has_ports);
		CU_ASSERT_EQUAL(d->spi != 0, rows[i].has_spi);
		CU_ASSERT_EQUAL(d->seq, (uint32_t)seq);
		CU_ASSERT_EQUAL(d->family, d->proto == 50 ? 4 : rows[i].version);
		CU_ASSERT(d->time_ns && d->len);
		if (d->fields)
			CU_ASSERT(ntohs(d->sport) == 1000 && ntohs(d->dport) == 2000);
		pair_close(&p);
	}
}

/* 1000 of one reason at once: eight of them, and the one of another reason. */
static void a_flood_keeps_to_its_places(void)
{
	static struct frame f;
	struct pair_opts o = { 0 };
	struct pair p;
	struct pkt pkt;

	pair_open(&p, &o);
	pkt = pair_make(&f, 4, 100);
	pkt.id = 9;
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NO_SA_OUT);
	for (int i = 0; i < 1000; i++) {
		pkt = pair_make(&f, 4, 100);
		pkt.l3[8] = 1;
		pair_checksum(pkt.l3);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_TTL_EXPIRED);
	}
	CU_ASSERT_EQUAL(count_records(&p), 1 + XESP_LAST);
	pair_close(&p);
}

/* Whatever stands there: no IP header is no reason to read beyond, or to say what is not known. */
static void what_is_no_packet(void)
{
	static struct frame f;
	struct pair_opts o = { 0 };
	struct pair p;

	pair_open(&p, &o);
	for (uint32_t len = 0; len < 64; len++) {
		struct pkt pkt = { .l3 = f.bytes + sizeof(f.bytes) - len, .len = len, .head = f.bytes,
				   .end = f.bytes + sizeof(f.bytes), .l4_off = 20 };

		memset(pkt.l3, len % 3 ? 0x45 : 0x60, len);
		esp_count_drop(p.w, &pkt, XESP_DROP_MALFORMED_IP);
	}
	for (uint32_t i = 0; i < XESP_LAST; i++)
		CU_ASSERT_EQUAL(part(&p)[XESP_LAST_AT(XESP_DROP_MALFORMED_IP, i)].family, 0);
	pair_close(&p);
}

CU_TestInfo record_tests[] = {
	{ "who was dropped, row by row", who_was_dropped },
	{ "a flood keeps to its places", a_flood_keeps_to_its_places },
	{ "what is no packet", what_is_no_packet },
	CU_TEST_INFO_NULL,
};
