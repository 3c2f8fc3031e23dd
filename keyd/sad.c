/* SPDX-License-Identifier: BSD-2-Clause */
/* sad.c - see sad.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/dead_peer.h"
#include "keyd/group.h"
#include "keyd/index.h"
#include "keyd/natt.h"
#include "keyd/numbers.h"
#include "keyd/path_mtu.h"
#include "keyd/pfp.h"
#include "keyd/sa_cpu.h"
#include "keyd/sa_key.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "keyd/transport.h"
#include "libxesp/addr.h"
#include "libxesp/secret.h"
#include "xesp/fault.h"

#define SPI_MIN 256 /* RFC 4303 section 2.1: 1 to 255 are reserved, 0 is local */
#define WINDOW_MIN 32
#define WINDOW_MAX 65536
#define LEASE_DEFAULT_ESN (1ull << 26)
#define LEASE_DEFAULT (1ull << 22)
#define LEASE_MAX (1ull << 40)
#define MTU_MIN_IP4 576
#define MTU_MIN_IP6 1280 /* RFC 8200 section 5 */

int sad_take_name(char out[XESP_NAME_MAX], const char *name, const char *path,
		  struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	size_t len = strlen(name);

	problems_below(where, path, "name");
	if (!len || len >= XESP_NAME_MAX)
		return problems_add(ps, where, "%s has %zu characters: a name has 1 to %d",
				    problems_shown(name, shown), len, XESP_NAME_MAX - 1);
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
			return problems_add(ps, where,
					    "a name has printable ASCII characters without spaces and slashes");
	memset(out, 0, XESP_NAME_MAX);
	memcpy(out, name, len);
	return 0;
}

/* ---- tunnels */

static int take_address(struct xesp_addr *a, const char *text, const char *path, const char *key,
			struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];

	problems_below(where, path, key);
	if (addr_parse(a, text, NULL))
		return problems_add(ps, where, "%s is not an IPv4 or IPv6 address",
				    problems_shown(text, shown));
	return 0;
}

static int take_outer_header(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
			     struct problems *ps)
{
	static const uint8_t df[] = { XESP_DF_COPY, XESP_DF_COPY, XESP_DF_SET, XESP_DF_CLEAR };
	const struct number_range mtus = { addr_is_ip4(&t->local) ? MTU_MIN_IP4 : MTU_MIN_IP6,
					   UINT16_MAX, NULL };
	uint64_t mtu = 0;
	char where[PROBLEMS_PATH_MAX];
	int err;

	problems_below(where, path, "mtu");
	err = numbers_take(&mtu, raw->mtu, &mtus, where, ps);
	err |= marks_take(t, raw, path, ps);
	t->mtu = (uint32_t)mtu;
	t->df = df[raw->df];
	t->ecn = raw->ecn == RAW_ECN_COMPATIBILITY ? XESP_ECN_COMPATIBILITY : XESP_ECN_NORMAL;
	t->mode = raw->mode == RAW_MODE_TRANSPORT ? XESP_MODE_TRANSPORT : XESP_MODE_TUNNEL;
	return err | transport_check(t, path, ps);
}

static bool is_unicast(const struct xesp_addr *a)
{
	uint32_t ip4 = ntohl(a->w[3]);

	if (addr_is_ip4(a))
		return ip4 && ip4 >> 28 != 0xe && ip4 != UINT32_MAX;
	return (a->w[0] | a->w[1] | a->w[2] | a->w[3]) && ntohl(a->w[0]) >> 24 != 0xff;
}

int sad_take_tunnel(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
		    struct problems *ps)
{
	int err;

	t->sa_out = t->sa_cpu = SAD_NONE;
	err = sad_take_name(t->name, raw->name, path, ps);
	err |= take_address(&t->local, raw->local, path, "local", ps);
	err |= take_address(&t->remote, raw->remote, path, "remote", ps);
	if (err)
		return err;
	if (addr_is_ip4(&t->local) != addr_is_ip4(&t->remote))
		return problems_add(ps, path, "local and remote are not of one IP version");
	if (addr_equal(&t->local, &t->remote))
		return problems_add(ps, path, "local and remote are the same address: %s", raw->local);
	if (!is_unicast(&t->local) || !is_unicast(&t->remote))
		return problems_add(ps, path,
				    "local and remote must be unicast addresses of single machines");
	err = take_outer_header(t, raw, path, ps);
	err |= path_mtu_take(t, raw, path, ps);
	err |= natt_take(t, raw, path, ps);
	return dead_peer_take(t, raw, path, ps) | err;
}

static int init_tunnels(struct sad *sad, const struct raw_config *raw, struct index *names,
			struct problems *ps)
{
	int err = 0;

	for (uint32_t i = 0; i < raw->tunnels_count; i++) {
		struct tunnel *t = &sad->tunnels[i];
		char path[PROBLEMS_PATH_MAX];
		uint32_t found;

		sad->tunnels_n = i + 1;
		snprintf(path, sizeof(path), "tunnels[%u]", i);
		if (sad_take_tunnel(t, &raw->tunnels[i], path, ps))
			err = -EINVAL;
		if (!t->name[0])
			continue;
		if (index_add(names, t->name, i, &found))
			return problems_add(ps, path, "out of memory");
		snprintf(path, sizeof(path), "tunnels[%u].name", i);
		if (found != INDEX_NONE)
			err = problems_add(ps, path, "'%s' is also the name of tunnels[%u]", t->name,
					   found);
	}
	return err;
}

/* ---- SAs */

static int take_sequence(struct sa *sa, const struct raw_sa *raw, const char *path,
			 struct problems *ps)
{
	const struct number_range windows = { WINDOW_MIN, WINDOW_MAX, "32 to 65536; 0 turns anti-replay off" };
	struct number_range leases = { 1, UINT32_MAX, NULL };
	uint64_t window = XESP_WINDOW_DEFAULT, lease;
	char where[PROBLEMS_PATH_MAX];

	sa->esn = raw->esn != RAW_NO;
	lease = sa->esn ? LEASE_DEFAULT_ESN : LEASE_DEFAULT;
	problems_below(where, path, "replay_window");
	if (raw->replay_window && sa->dir == XESP_DIR_OUT)
		return problems_add(ps, where, "an outbound SA has no replay window");
	if (raw->replay_window && !strcmp(raw->replay_window, "0"))
		window = 0;
	else if (numbers_take(&window, raw->replay_window, &windows, where, ps))
		return -EINVAL;
	problems_below(where, path, "lease");
	if (raw->lease && sa->dir == XESP_DIR_IN)
		return problems_add(ps, where, "an inbound SA leases no numbers: its peer counts");
	if (sa->esn)
		leases.max = LEASE_MAX;
	if (numbers_take(&lease, raw->lease, &leases, where, ps))
		return -EINVAL;
	if (sa->dir == XESP_DIR_IN)
		sa->window = (uint32_t)window;
	else
		sa->lease = lease;
	return 0;
}

int sad_take_sa(struct sa *sa, struct sa_key *key, const struct raw_sa *raw, const char *dir,
		const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	static const struct number_range spis = { SPI_MIN, UINT32_MAX,
						  "256 to 0xffffffff (RFC 4303 section 2.1)" };
	uint64_t spi = 0;
	int err;

	sa->dir = raw->direction == RAW_DIRECTION_IN ? XESP_DIR_IN : XESP_DIR_OUT;
	sa->proto = raw->protocol == RAW_PROTOCOL_AH ? IPPROTO_AH : IPPROTO_ESP;
	err = sad_take_name(sa->name, raw->name, path, ps);
	problems_below(where, path, "spi");
	err |= numbers_take(&spi, raw->spi, &spis, where, ps);
	sa->spi = (uint32_t)spi;
	err |= take_sequence(sa, raw, path, ps);
	err |= limits_take(sa, raw, path, ps);
	err |= pfp_take_sa(sa, raw->selector, path, ps);
	err |= sa_cpu_take(sa, raw, path, ps);
	err |= sa_key_take(sa, key, raw, dir, path, ps);
	return err;
}

void sad_spots_init(struct sad_spots *spots, uint32_t n)
{
	index_init(&spots->by_name, XESP_NAME_MAX);
	index_init(&spots->by_spi, sizeof(struct sad_spi));
	index_init(&spots->by_key, SECRET_DIGEST_LEN);
	index_expect(&spots->by_name, n);
	index_expect(&spots->by_spi, n);
	index_expect(&spots->by_key, n);
}

void sad_spots_fini(struct sad_spots *spots)
{
	index_fini(&spots->by_name);
	index_fini(&spots->by_spi);
	index_fini(&spots->by_key);
	free(spots->spis);
	spots->spis = NULL;
}

int sad_join_tunnel(struct sad *sad, uint32_t i, const char *path, struct problems *ps)
{
	struct sa *sa = &sad->sas[i];
	struct tunnel *t = &sad->tunnels[sa->tunnel];
	char where[PROBLEMS_PATH_MAX];

	problems_below(where, path, "tunnel");
	if (t->members_n)
		return problems_add(ps, where,
				    "%s is a group: an SA belongs to one of its tunnels", t->name);
	if (sa->proto == IPPROTO_AH && t->natt.encap == XESP_ENCAP_UDP)
		return problems_add(ps, where,
				    "tunnel '%s' is in UDP, and AH cannot pass a NAT (RFC 3948 is for ESP)",
				    t->name);
	if (sa->proto == IPPROTO_AH && (t->marks.tfc || t->marks.dummy_pps))
		return problems_add(ps, where, "tunnel '%s' has tfc or dummy, which are ESP's alone",
				    t->name);
	if (sa->dir == XESP_DIR_IN)
		return 0;
	if (sa->cpu != SAD_NONE)
		return sa_cpu_join(sad, i, path, ps);
	if (t->sa_out != SAD_NONE && sa->values.mask)
		return 0; /* a unique one: pfp.c looks for another with its values */
	if (t->sa_out != SAD_NONE)
		return problems_add(ps, where, "tunnel '%s' has an outbound SA already, '%s'", t->name,
				    sad->sas[t->sa_out].name);
	t->sa_out = i;
	return 0;
}

int sad_find_tunnel(struct sa *sa, const char *tunnel, const struct index *tunnels,
		    const char *path, struct problems *ps)
{
	char name[XESP_NAME_MAX] = "", where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];

	if (strlen(tunnel) < sizeof(name))
		memcpy(name, tunnel, strlen(tunnel));
	sa->tunnel = index_find(tunnels, name);
	if (sa->tunnel != INDEX_NONE)
		return 0;
	problems_below(where, path, "tunnel");
	return problems_add(ps, where, "no tunnel is named %s", problems_shown(tunnel, shown));
}

static struct sad_spi spi_of(const struct sad *sad, const struct sa *sa)
{
	const struct tunnel *t = &sad->tunnels[sa->tunnel];
	const bool in = sa->dir == XESP_DIR_IN;

	return (struct sad_spi){ in ? t->local : t->remote, sa->spi, sa->proto, in ? 0 : t->natt.remote_port };
}

int sad_say_spots(const struct sad *sad, uint32_t i, uint32_t other, const char *path, struct problems *ps)
{
	const struct sa *sa = &sad->sas[i], *was = &sad->sas[other];
	const struct sad_spi spi = spi_of(sad, sa), taken = spi_of(sad, was);
	char where[PROBLEMS_PATH_MAX], text[ADDR_TEXT_MAX];

	if (!memcmp(sa->name, was->name, sizeof(sa->name))) {
		problems_below(where, path, "name");
		return problems_add(ps, where, "'%s' is also the name of sas[%u]", sa->name, other);
	}
	if (!memcmp(&spi, &taken, sizeof(spi))) {
		problems_below(where, path, "spi");
		return problems_add(ps, where, "0x%x is also the SPI of '%s' towards %s", sa->spi, was->name,
				    addr_print(&spi.dst, text));
	}
	/* RFC 4106 section 3: two senders under one key would repeat nonces. */
	problems_below(where, path, "key");
	return problems_add(ps, where,
			    "the key is also that of '%s': nonces would repeat; each SA needs a key of its own",
			    was->name);
}

int sad_take_spots(const struct sad *sad, uint32_t i, struct sad_spots *spots, const char *path,
		   struct problems *ps)
{
	const struct sa *sa = &sad->sas[i];
	uint32_t name, spi, key;

	spots->spis[i] = spi_of(sad, sa);
	if (index_add(&spots->by_name, sa->name, i, &name) ||
	    index_add(&spots->by_spi, &spots->spis[i], i, &spi) ||
	    index_add(&spots->by_key, sa->digest, i, &key))
		return problems_add(ps, path, "out of memory");
	if (name == INDEX_NONE && spi == INDEX_NONE && key == INDEX_NONE)
		return 0;
	return sad_say_spots(sad, i, name != INDEX_NONE ? name : spi != INDEX_NONE ? spi : key, path, ps);
}

uint32_t sad_meet_spots(const struct sad *sad, uint32_t old, const struct sad_spots *spots)
{
	const struct sa *sa = &sad->sas[old];
	const struct sad_spi spi = spi_of(sad, sa);
	uint32_t at;

	at = index_find(&spots->by_name, sa->name);
	if (at == INDEX_NONE)
		at = index_find(&spots->by_spi, &spi);
	return at == INDEX_NONE ? index_find(&spots->by_key, sa->digest) : at;
}

static bool has_addresses(const struct tunnel *t)
{
	return !addr_is_unset(&t->local) && !addr_is_unset(&t->remote);
}

static int init_sas(struct sad *sad, const struct raw_config *raw, const char *dir,
		    const struct index *tunnels, struct problems *ps)
{
	struct sad_spots spots = { .spis = calloc(raw->sas_count + 1, sizeof(*spots.spis)) };
	char path[PROBLEMS_PATH_MAX];
	int err = 0, alone = 0;

	sad_spots_init(&spots, raw->sas_count);
	if (!spots.spis)
		return problems_add(ps, "sas", "out of memory");
	for (uint32_t i = 0; i < raw->sas_count; i++) {
		int bad, lost;

		snprintf(path, sizeof(path), "sas[%u]", i);
		bad = sad_take_sa(&sad->sas[i], &sad->keys[i], &raw->sas[i], dir, path, ps);
		lost = sad_find_tunnel(&sad->sas[i], raw->sas[i].tunnel, tunnels, path, ps);
		if (!lost)
			lost = sad_join_tunnel(sad, i, path, ps);
		bad |= lost;
		if (!bad && has_addresses(&sad->tunnels[sad->sas[i].tunnel]))
			bad = sad_take_spots(sad, i, &spots, path, ps);
		err |= bad;
	}
	sad_spots_fini(&spots);
	for (uint32_t i = 0; i < raw->sas_count && !err; i++) {
		snprintf(path, sizeof(path), "sas[%u]", i);
		alone |= sa_cpu_check(sad, i, path, ps);
	}
	return err | alone ? -EINVAL : 0;
}

/* ---- the whole */

int sad_init(struct sad *sad, const struct raw_config *raw, const char *dir, struct problems *ps)
{
	struct index names;
	int err;

	*sad = (struct sad){ 0 };
	sad->tunnels = calloc(raw->tunnels_count + raw->groups_count + 1, sizeof(*sad->tunnels));
	sad->sas = calloc(raw->sas_count + 1, sizeof(*sad->sas));
	if (!sad->tunnels || !sad->sas)
		return problems_add(ps, "", "out of memory");
	sad->keys_room = raw->sas_count + 1;
	sad->keys = secret_alloc(sad->keys_room * sizeof(*sad->keys));
	if (!sad->keys)
		return problems_add(ps, "sas", "no locked memory for keys: raise RLIMIT_MEMLOCK");
	/* So that sad_fini() wipes the whole, however far we get. */
	sad->sas_n = raw->sas_count;
	index_init(&names, XESP_NAME_MAX);
	index_expect(&names, raw->tunnels_count + raw->groups_count);
	err = init_tunnels(sad, raw, &names, ps);
	err |= group_init(sad, raw, &names, ps);
	err |= init_sas(sad, raw, dir, &names, ps);
	index_fini(&names);
	return err ? -EINVAL : 0;
}

void sad_fini(struct sad *sad)
{
	for (uint32_t i = 0; sad->sas && i < sad->sas_n; i++)
		free(sad->sas[i].reason);
	for (uint32_t i = 0; sad->tunnels && i < sad->tunnels_n; i++)
		free(sad->tunnels[i].members);
	secret_free(sad->keys, sad->keys_room * sizeof(*sad->keys));
	free(sad->sas);
	free(sad->tunnels);
	free(sad->by_id);
	*sad = (struct sad){ 0 };
}

uint32_t sad_find(const struct sad *sad, uint32_t id)
{
	return id < sad->by_id_n ? sad->by_id[id] : SAD_NONE;
}

void sad_end(struct sad *sad, uint32_t sa)
{
	secret_wipe(&sad->keys[sa], sizeof(sad->keys[sa]));
	sad->sas[sa].over = true;
}

void sad_stand(struct sa *sa, enum sa_standing standing, const char *reason)
{
	char *copy = reason ? strdup(reason) : NULL;

	free(sa->reason);
	sa->reason = copy;
	sa->standing = standing;
}

uint64_t sad_last_number(const struct sa *sa)
{
	uint64_t bound = limits_key_bound(sa), most = sa->esn ? UINT64_MAX - 1 : UINT32_MAX;

	return bound < most ? bound : most;
}

uint32_t sad_out_id(const struct sad *sad, const struct tunnel *t)
{
	if (t->sa_out == SAD_NONE || sad->sas[t->sa_out].standing == SA_REFUSED)
		return 0;
	return sad->sas[t->sa_out].id;
}

uint64_t sad_fingerprint(const struct sa *sa)
{
	uint64_t f;

	memcpy(&f, sa->fingerprint, sizeof(f));
	return f;
}

const char *sad_print_fingerprint(const struct sa *sa, char buf[20])
{
	for (int i = 0; i < SECRET_FINGERPRINT_LEN; i++)
		snprintf(buf + 2 * i, 3, "%02x", sa->fingerprint[i]);
	return buf;
}

struct algorithm sad_algorithm(const struct sa *sa)
{
	return (struct algorithm){ sa->alg, sa->auth, sa->key_len, sa->auth_key_len, sa->salt_len };
}
