/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_print.c - the configuration as keyd understood it: see config_print() in config.h.
 * Every default is spelled out, so that a golden file shows what a short configuration means.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "keyd/config.h"
#include "keyd/natt.h"
#include "keyd/pfp.h"
#include "libxesp/addr.h"
#include "xesp/keymsg.h"

static const char *const roles[] = { "", "inner", "outer", "both" };
static const char *const dfs[] = { "copy", "set", "clear" };
static const char *const ecns[] = { "normal", "compatibility" };
static const char *const modes[] = { "tunnel", "transport" };
static const char *const actions[] = { "", "discard", "bypass", "protect" };

static const char *print_dirs(uint8_t dirs)
{
	if (dirs == 1 << XESP_DIR_OUT)
		return "out";
	return dirs == 1 << XESP_DIR_IN ? "in" : "both";
}

#define WORD_MAX (2 * ADDR_TEXT_MAX + 2)

/*
 * For people as it is; for a file that is read again in quotes: a name may begin with what YAML takes for
 * something else, and so may the end of an IPv6 address.
 */
static const char *word(bool saved, const char *text, char buf[WORD_MAX])
{
	char *to = buf;

	if (!saved)
		return text;
	*to++ = '\'';
	for (; *text && to < buf + WORD_MAX - 4; text++) {
		*to++ = *text;
		if (*text == '\'')
			*to++ = '\'';
	}
	*to++ = '\'';
	*to = '\0';
	return buf;
}

static void print_path(const struct tunnel *t, bool saved, FILE *out)
{
	char quoted[WORD_MAX];
	char text[ADDR_TEXT_MAX];

	fprintf(out, "    pmtu: %s\n", t->pmtu == XESP_PMTU_LEARN ? "learn" : "fixed");
	fprintf(out, "    pmtu_floor: %u\n", t->pmtu_floor);
	fprintf(out, "    pmtu_age: %u\n", t->pmtu_age);
	fprintf(out, "    pmtu_probe: %s\n", t->pmtu_probe ? "yes" : "no");
	fprintf(out, "    dpd: %s\n", t->dpd_ms ? "yes" : "no");
	if (t->dpd_ms)
		fprintf(out, "    dpd_interval: %u\n    dpd_misses: %u\n", t->dpd_ms,
			t->dpd_misses);
	if (!addr_is_unset(&t->probe_local))
		fprintf(out, "    probe_local: %s\n",
			word(saved, addr_print(&t->probe_local, text), quoted));
	if (!addr_is_unset(&t->probe_remote))
		fprintf(out, "    probe_remote: %s\n",
			word(saved, addr_print(&t->probe_remote, text), quoted));
	if (t->mss > XESP_MSS_AUTO)
		fprintf(out, "    mss: %u\n", t->mss);
	else
		fprintf(out, "    mss: %s\n", t->mss == XESP_MSS_AUTO ? "auto" : "off");
	fprintf(out, "    icmp_check: %s\n", t->icmp_check ? "yes" : "no");
}

static void print_tunnel(const struct tunnel *t, bool saved, FILE *out)
{
	char text[ADDR_TEXT_MAX], quoted[WORD_MAX];

	fprintf(out, "  - name: %s\n", word(saved, t->name, quoted));
	fprintf(out, "    local: %s\n", word(saved, addr_print(&t->local, text), quoted));
	fprintf(out, "    remote: %s\n", word(saved, addr_print(&t->remote, text), quoted));
	fprintf(out, "    df: %s\n", dfs[t->df]);
	marks_print(t, out);
	fprintf(out, "    ecn: %s\n", ecns[t->ecn]);
	fprintf(out, "    mode: %s\n", modes[t->mode]);
	if (t->mtu)
		fprintf(out, "    mtu: %u\n", t->mtu);
	print_path(t, saved, out);
	natt_print(t, out);
}

static void print_group(const struct sad *sad, const struct tunnel *g, bool saved, FILE *out)
{
	char quoted[WORD_MAX];

	fprintf(out, "  - name: %s\n    tunnels: [", word(saved, g->name, quoted));
	for (uint32_t i = 0; i < g->members_n; i++)
		fprintf(out, "%s%s", i ? ", " : "",
			word(saved, sad->tunnels[g->members[i]].name, quoted));
	fprintf(out, "]\n");
}

static void print_value(void *out, const char *key, const char *value)
{
	fprintf(out, "      %s: %s\n", key, value);
}

static void print_hex(const uint8_t *bytes, size_t n, FILE *out)
{
	for (size_t i = 0; i < n; i++) {
		fputc("0123456789abcdef"[bytes[i] >> 4], out);
		fputc("0123456789abcdef"[bytes[i] & 15], out);
	}
}

/* As sa_key.c takes them: the salt is the end of the one key whose nonce it is part of. */
static void print_keys(const struct sa *sa, const struct sa_key *key, FILE *out)
{
	const bool gmac = sa->auth == XESP_AUTH_AES_GMAC;

	if (sa->key_len && !gmac) {
		fputs("    key: ", out);
		print_hex(key->key, sa->key_len, out);
		print_hex(key->salt, sa->salt_len, out);
		fputc('\n', out);
	}
	if (!sa->auth_key_len)
		return;
	fputs("    integrity_key: ", out);
	print_hex(key->key + sa->key_len, sa->auth_key_len, out);
	if (gmac)
		print_hex(key->salt, sa->salt_len, out);
	fputc('\n', out);
}

static void print_sa(const struct sad *sad, const struct sa *sa, const struct sa_key *key, FILE *out)
{
	const struct algorithm algorithm = sad_algorithm(sa);
	char text[20], quoted[WORD_MAX];

	fprintf(out, "  - name: %s\n", word(key, sa->name, quoted));
	fprintf(out, "    tunnel: %s\n", word(key, sad->tunnels[sa->tunnel].name, quoted));
	fprintf(out, "    direction: %s\n", sa->dir == XESP_DIR_IN ? "in" : "out");
	fprintf(out, "    protocol: %s\n", sa->proto == IPPROTO_AH ? "ah" : "esp");
	fprintf(out, "    spi: 0x%08x\n", sa->spi);
	if (sa->cpu != SAD_NONE)
		fprintf(out, "    cpu: %u\n", sa->cpu);
	if (sa->alg)
		fprintf(out, "    algorithm: %s\n", algorithm_name(&algorithm));
	if (sa->auth)
		fprintf(out, "    integrity: %s\n", algorithm_auth_name(&algorithm));
	if (key)
		print_keys(sa, key, out);
	else
		fprintf(out, "    # key fingerprint: %s\n", sad_print_fingerprint(sa, text));
	fprintf(out, "    esn: %s\n", sa->esn ? "yes" : "no");
	if (sa->dir == XESP_DIR_IN)
		fprintf(out, "    replay_window: %u\n", sa->window);
	else
		fprintf(out, "    lease: %llu\n", (unsigned long long)sa->lease);
	limits_print(sa, out);
	if (sa->values.mask) {
		fprintf(out, "    selector:\n");
		pfp_each(&sa->values, pfp_proto(sad, sa), print_value, out);
	}
}

static void print_prefixes(const char *key, const struct selector *s, const struct prefix *p,
			   uint32_t n, FILE *out)
{
	char text[ADDR_TEXT_MAX], end[ADDR_TEXT_MAX];
	struct xesp_addr last;

	fprintf(out, "    %s: [", key);
	if (!s->family)
		fprintf(out, "any");
	for (uint32_t i = 0, next; s->family && i < n; i = next) {
		next = selector_range_end(p, i, &last);
		if (p[i].more)
			fprintf(out, "%s'%s-%s'", i ? ", " : "", addr_print(&p[i].addr, text),
				addr_print(&last, end));
		else
			fprintf(out, "%s'%s'", i ? ", " : "",
				addr_print_prefix(&p[i].addr, p[i].len, text));
	}
	fprintf(out, "]\n");
}

static void print_ports(const char *key, const struct selector *s, const struct port_range *r,
			uint32_t n, FILE *out)
{
	fprintf(out, "    %s: [%s", key, s->opaque ? "opaque" : n ? "" : "any");
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%s%u-%u", i ? ", " : "", r[i].first, r[i].last);
	fprintf(out, "]\n");
}

struct words {
	FILE *out;
	uint32_t n;
};

static void print_fields(const struct selector *s, FILE *out)
{
	switch (selector_fields(s->proto)) {
	case SELECTOR_ICMP:
		print_ports("icmp_type", s, s->local_ports, s->local_ports_n, out);
		print_ports("icmp_code", s, s->remote_ports, s->remote_ports_n, out);
		break;
	case SELECTOR_MH:
		print_ports("mh_type", s, s->local_ports, s->local_ports_n, out);
		break;
	default:
		print_ports("local_ports", s, s->local_ports, s->local_ports_n, out);
		print_ports("remote_ports", s, s->remote_ports, s->remote_ports_n, out);
	}
}

static void print_word(void *ctx, const char *key, const char *value)
{
	struct words *w = ctx;

	(void)value;
	fprintf(w->out, "%s%s", w->n++ ? ", " : "", key);
}

static void print_pfp(const struct tunnel *t, FILE *out)
{
	const struct xesp_values any = { .mask = t->pfp };
	struct words w = { out, 0 };

	fprintf(out, "    pfp: [");
	pfp_each(&any, t->pfp_proto, print_word, &w);
	fprintf(out, "]\n");
}

static void print_policy(const struct sad *sad, const struct policy *p, bool saved, FILE *out)
{
	const struct selector *s = &p->sel;
	char proto[8], quoted[WORD_MAX];

	fprintf(out, "  - name: %s\n", word(saved, p->name, quoted));
	fprintf(out, "    action: %s\n", actions[p->action]);
	if (p->action == XESP_ACTION_PROTECT)
		fprintf(out, "    tunnel: %s\n", word(saved, sad->tunnels[p->tunnel].name, quoted));
	fprintf(out, "    direction: %s\n", print_dirs(p->dirs));
	print_prefixes("local", s, s->local, s->local_n, out);
	print_prefixes("remote", s, s->remote, s->remote_n, out);
	fprintf(out, "    protocol: %s\n", selector_print_own_proto(s, proto));
	print_fields(s, out);
	if (p->action == XESP_ACTION_PROTECT && sad->tunnels[p->tunnel].pfp)
		print_pfp(&sad->tunnels[p->tunnel], out);
}

static const char *const spreads[] = {
	[XESP_SPREAD_AUTO] = "auto",
	[XESP_SPREAD_NEVER] = "never",
	[XESP_SPREAD_ALWAYS] = "always",
};

static void print_config(const struct config *c, bool keys, FILE *out)
{
	char quoted[WORD_MAX];
	uint32_t groups = 0;

	fprintf(out, "version: 1\n");
	if (c->xfrm)
		fprintf(out, "source: xfrm\nfallback: %s\n", c->fallback ? "kernel" : "drop");
	if (c->control && !keys)
		fprintf(out, "source: control\n");
	fprintf(out, "default: %s\n", actions[c->spd.default_action]);
	fprintf(out, "routes: %s\n", c->routes ? "install" : "none");
	if (c->spread)
		fprintf(out, "spread: %s\n", spreads[c->spread]);
	fprintf(out, "interfaces:%s\n", c->interfaces_n ? "" : " []");
	for (uint32_t i = 0; i < c->interfaces_n; i++)
		fprintf(out, "  - name: %s\n    role: %s\n",
			word(keys, c->interfaces[i].name, quoted), roles[c->interfaces[i].role]);
	for (uint32_t i = 0; i < c->sad.tunnels_n; i++)
		groups += c->sad.tunnels[i].members_n != 0;
	fprintf(out, "tunnels:%s\n", groups < c->sad.tunnels_n ? "" : " []");
	for (uint32_t i = 0; i < c->sad.tunnels_n; i++)
		if (!c->sad.tunnels[i].members_n)
			print_tunnel(&c->sad.tunnels[i], keys, out);
	if (groups)
		fprintf(out, "groups:\n");
	for (uint32_t i = 0; i < c->sad.tunnels_n; i++)
		if (c->sad.tunnels[i].members_n)
			print_group(&c->sad, &c->sad.tunnels[i], keys, out);
	fprintf(out, "sas:%s\n", c->sad.sas_n ? "" : " []");
	for (uint32_t i = 0; i < c->sad.sas_n; i++)
		if (!keys)
			print_sa(&c->sad, &c->sad.sas[i], NULL, out);
		else if (!c->sad.sas[i].over) /* its key is wiped: it cannot come back */
			print_sa(&c->sad, &c->sad.sas[i], &c->sad.keys[i], out);
	fprintf(out, "policies:%s\n", c->spd.n ? "" : " []");
	for (uint32_t i = 0; i < c->spd.n; i++)
		print_policy(&c->sad, &c->spd.policies[i], keys, out);
}

void config_print(const struct config *c, FILE *out)
{
	print_config(c, false, out);
}

void config_save(const struct config *c, FILE *out)
{
	print_config(c, true, out);
}
