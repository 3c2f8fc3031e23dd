/* SPDX-License-Identifier: BSD-2-Clause */
/* Which router is believed, how long, and what holds of all that is known: RFC 4301 section 8.2. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "libxesp/addr.h"
#include "sad/tunnel.h"
#include "slow/echo.h"
#include "slow/pmtu.h"
#include "slow/search.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NOW UINT64_C(1000000)

static struct pair pair;
static struct pmtu *pmtu;
static struct echo probe; /* the latest */
static uint32_t probe_len, probes;

static bool take_probe(void *ctx, const struct echo *e, uint32_t len)
{
	(void)ctx;
	probe = *e;
	probe_len = len;
	probes++;
	return true;
}

/* Tunnel 1 as told, numbers up to `sent` used. */
static void begin(const struct xesp_keymsg_tunnel *how, uint64_t sent)
{
	pair_open(&pair, &(struct pair_opts){ .esn = true, .lease = 1 });
	pair.tunnel_out.mtu = how->mtu;
	pair.tunnel_out.pmtu = how->pmtu;
	pair.tunnel_out.pmtu_floor = 576;
	pair.tunnel_out.pmtu_age = 600;
	pair.tunnel_out.pmtu_probe = how->pmtu_probe;
	addr_parse(&pair.tunnel_out.probe_remote, "10.2.0.1", NULL);
	CU_ASSERT_EQUAL_FATAL(sad_tunnel_set(pair.sad, &pair.tunnel_out, NULL), 0);
	pair.st.sa[PAIR_SA_OUT].seq_next = sent + 1;
	CU_ASSERT_EQUAL_FATAL(pmtu_open(&pmtu, pair.sad, take_probe, NULL, NULL), 0);
	probes = 0;
}

static void end(void)
{
	pmtu_close(pmtu);
	pair_close(&pair);
}

static struct icmp_in_msg said(uint32_t mtu, uint32_t seq)
{
	return (struct icmp_in_msg){ .to = pair.tunnel_out.local, .local = pair.tunnel_out.local,
				     .remote = pair.tunnel_out.remote, .mtu = mtu,
				     .quoted_len = 1500, .spi = htonl(PAIR_SPI), .seq = seq,
				     .proto = IPPROTO_ESP, .has_numbers = true };
}

static const struct xesp_keymsg_tunnel learn = { .pmtu = XESP_PMTU_LEARN };

static void learned_and_forgotten(void)
{
	struct xesp_sa_state *st;
	struct icmp_in_msg m;

	begin(&learn, 100);
	st = &pair.st.sa[PAIR_SA_OUT];
	CU_ASSERT_EQUAL(pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW), 1500);
	CU_ASSERT_EQUAL(st->path_mtu, 1500);
	CU_ASSERT_EQUAL(st->inner_mtu, 1446);
	CU_ASSERT_EQUAL(st->path_mtu_from, XESP_PMTU_FROM_LINK);
	CU_ASSERT_EQUAL(st->path_mtu_ns, 0);
	m = said(1400, 100);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_LEARNED);
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1400);
	CU_ASSERT_EQUAL(st->path_mtu, 1400);
	CU_ASSERT_EQUAL(st->path_mtu_from, XESP_PMTU_FROM_ICMP);
	CU_ASSERT_NOT_EQUAL(st->path_mtu_ns, 0);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW + 1), PMTU_OLD_NEWS);
	m = said(1450, 100);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_OLD_NEWS); /* never upwards */
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1400);
	/* It outlives the tunnel's being told anew, and the link's being resolved anew. */
	CU_ASSERT_EQUAL(sad_tunnel_set(pair.sad, &pair.tunnel_out, NULL), 0);
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1400);
	CU_ASSERT_EQUAL(pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 0, NOW + 1000), 1400);
	CU_ASSERT_EQUAL(pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW + 599999), 1400);
	CU_ASSERT_EQUAL(pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW + 600000), 1500);
	CU_ASSERT_EQUAL(st->path_mtu_from, XESP_PMTU_FROM_LINK);
	end();
}

static void routers_of_old(void)
{
	struct icmp_in_msg m;

	begin(&learn, 100);
	pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW);
	m = said(0, 100);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_LEARNED);
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1492);
	m.quoted_len = 1492;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_LEARNED);
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1006);
	end();
}

static void numbers_that_are_believed(void)
{
	static const struct {
		const char *what;
		uint64_t sent;
		uint32_t seq;
		bool believed;
	} how[] = {
		{ "the last one", 1000, 1000, true },
		{ "the first one ever", 1000, 1, true },
		{ "number 0", 1000, 0, false },
		{ "not sent yet", 1000, 1001, false },
		{ "far ahead", 1000, 0x80000000, false },
		{ "nothing was sent", 0, 0, false },
		{ "nothing was sent, 1", 0, 1, false },
		{ "over the edge of 2^32, before it", 0x100000005, 0xfffffffe, true },
		{ "over the edge of 2^32, behind it", 0x100000005, 5, true },
		{ "over the edge of 2^32, 0 is a number", 0x100000005, 0, true },
		{ "over the edge of 2^32, ahead", 0x100000005, 6, false },
		{ "before an SA was first seen, recent", 1000000, 1000000 - 65535, true },
		{ "before an SA was first seen, too far back", 1000000, 1000000 - 65536, false },
	};

	for (size_t i = 0; i < LEN(how); i++) {
		struct icmp_in_msg m;
		enum pmtu_verdict v;

		begin(&learn, how[i].sent);
		pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW);
		m = said(1400, how[i].seq);
		v = pmtu_hear(pmtu, &m, NOW);
		if ((v == PMTU_LEARNED) != how[i].believed)
			fprintf(stderr, "pmtu: %s: %d\n", how[i].what, v);
		CU_ASSERT_EQUAL(v, how[i].believed ? PMTU_LEARNED : PMTU_NOT_OURS);
		end();
	}
}

/* A number is believed for ten seconds, however many were sent since, and no longer. */
static void numbers_grow_old(void)
{
	struct icmp_in_msg m;

	begin(&learn, 1000);
	for (uint64_t t = 0; t <= 20; t++) {
		pair.st.sa[PAIR_SA_OUT].seq_next = 1001 + t * 100000;
		pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW + t * 1000);
	}
	m = said(1400, 1000 + 10 * 100000);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW + 20000), PMTU_NOT_OURS);
	m = said(1400, 1000 + 12 * 100000);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW + 20000), PMTU_LEARNED);
	end();
}

static void who_is_not_believed(void)
{
	struct icmp_in_msg good, m;

	begin(&learn, 100);
	pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW);
	good = said(1400, 100);
	m = good, m.to.w[3] ^= 1;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_NOT_OURS);
	m = good, m.remote.w[3] ^= 1;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_NOT_OURS);
	m = good, m.local.w[3] ^= 1;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_NOT_OURS);
	m = good, m.spi ^= 1;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_NOT_OURS);
	m = good, m.has_numbers = false;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_NOT_OURS);
	m = good, m.mtu = 575;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_UNBELIEVED);
	m = good, m.quoted_len = 1400;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_UNBELIEVED);
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1500);
	/* The SA is gone, then the tunnel. */
	CU_ASSERT_EQUAL(sad_del(pair.sad, PAIR_SA_OUT, NULL), 0);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &good, NOW), PMTU_NOT_OURS);
	pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW);
	CU_ASSERT_EQUAL(sad_tunnel_del(pair.sad, PAIR_TUNNEL_OUT, NULL), 0);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &good, NOW), PMTU_NOT_OURS);
	CU_ASSERT_EQUAL(pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW), 0);
	end();
}

static void fixed_is_fixed(void)
{
	const struct xesp_keymsg_tunnel fixed = { .pmtu = XESP_PMTU_FIXED, .mtu = 1480 };
	struct icmp_in_msg m;

	begin(&fixed, 100);
	CU_ASSERT_EQUAL(pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW), 1480);
	CU_ASSERT_EQUAL(pair.st.sa[PAIR_SA_OUT].path_mtu_from, XESP_PMTU_FROM_CONFIG);
	m = said(1400, 100);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &m, NOW), PMTU_OLD_NEWS);
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1480);
	end();
}

static void probes_find_it(void)
{
	const struct xesp_keymsg_tunnel how = { .pmtu = XESP_PMTU_LEARN, .pmtu_probe = 1 };
	uint64_t now = NOW;

	begin(&how, 100);
	pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, now);
	for (uint32_t n = 0; n < 600; n++, now += 100) {
		uint32_t before = probes;

		if (n % 10 == 0)
			pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, now);
		pmtu_tick(pmtu, now);
		/* 54 bytes around it: what a path of 1400 carries. */
		if (probes != before && probe_len <= 1346)
			pmtu_answered(pmtu, &probe, now);
	}
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1400);
	CU_ASSERT_EQUAL(pair.st.sa[PAIR_SA_OUT].inner_mtu, 1346);
	CU_ASSERT_EQUAL(pair.st.sa[PAIR_SA_OUT].path_mtu_from, XESP_PMTU_FROM_PROBE);
	/* Turned off: the link's. */
	pair.tunnel_out.pmtu_probe = 0;
	CU_ASSERT_EQUAL(sad_tunnel_set(pair.sad, &pair.tunnel_out, NULL), 0);
	CU_ASSERT_EQUAL(pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, now), 1500);
	probes = 0;
	pmtu_tick(pmtu, now + 100000);
	CU_ASSERT_EQUAL(probes, 0);
	end();
}

/* RFC 9611: a router quotes what a CPU sent on an SA of its own. */
static void about_a_cpus_own(void)
{
	struct xesp_keymsg_tunnel_set m;
	struct xesp_keymsg_sa own;
	struct icmp_in_msg icmp;

	begin(&learn, 100);
	own = pair.out;
	own.id = 5;
	own.spi = htonl(0x1005);
	own.key[0] ^= 5;
	pair_identify(&pair, &own, 0, 0);
	CU_ASSERT_EQUAL_FATAL(sad_add(pair.sad, &own, NULL), 0);
	m = (struct xesp_keymsg_tunnel_set){ .tunnel = pair.tunnel_out, .cpu = { { 2, 5 } } };
	m.tunnel.cpus_n = 1;
	CU_ASSERT_EQUAL_FATAL(sad_tunnel_set(pair.sad, &m.tunnel, NULL), 0);
	pair.st.sa[5].seq_next = 50;
	pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW);
	CU_ASSERT_EQUAL(pair.st.sa[5].path_mtu, 1500);
	icmp = said(1400, 60); /* a number of the other SA */
	icmp.spi = own.spi;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &icmp, NOW), PMTU_NOT_OURS);
	icmp.seq = 49;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &icmp, NOW), PMTU_LEARNED);
	CU_ASSERT_EQUAL(sad_tunnel(pair.sad, PAIR_TUNNEL_OUT)->mtu, 1400);
	CU_ASSERT_EQUAL(pair.st.sa[5].path_mtu, 1400);
	CU_ASSERT_EQUAL(pair.st.sa[PAIR_SA_OUT].path_mtu, 1400);
	icmp = said(1300, 100);
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &icmp, NOW), PMTU_LEARNED);
	/* The CPU has it no more. */
	CU_ASSERT_EQUAL_FATAL(sad_tunnel_set(pair.sad, &pair.tunnel_out, NULL), 0);
	CU_ASSERT_EQUAL(sad_del(pair.sad, 5, NULL), 0);
	pmtu_refresh(pmtu, PAIR_TUNNEL_OUT, 1500, NOW);
	icmp = said(1200, 49);
	icmp.spi = own.spi;
	CU_ASSERT_EQUAL(pmtu_hear(pmtu, &icmp, NOW), PMTU_NOT_OURS);
	end();
}

CU_TestInfo pmtu_tests[] = {
	{ "a router is believed, and forgotten", learned_and_forgotten },
	{ "routers that do not say what fits", routers_of_old },
	{ "only about numbers that were sent", numbers_that_are_believed },
	{ "only about numbers that were sent lately", numbers_grow_old },
	{ "about what a CPU sent on an SA of its own", about_a_cpus_own },
	{ "who is not believed", who_is_not_believed },
	{ "pmtu: fixed", fixed_is_fixed },
	{ "probes find what routers do not say", probes_find_it },
	CU_TEST_INFO_NULL,
};
