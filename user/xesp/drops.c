/* SPDX-License-Identifier: BSD-2-Clause */
/* drops.c - see drops.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "xesp/clock.h"
#include "xesp/drops.h"
#include "xesp/fault.h"
#include "xesp/last.h"
#include "xesp/show.h"
#include "xesp/table.h"

#define LAST_DEFAULT 20
#define FOLLOW_US 250000

struct drops {
	const struct settings *s;
	struct pins pins;
	const struct xesp_sa_state *sas; /* mapped */
	size_t sas_len;
	uint64_t *seen;
	uint32_t cpus;
	/* asked for */
	unsigned long most;
	enum xesp_drop why; /* NONE: all */
	bool follow;
};

static void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static void put_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

/* ---- a record as JSON */

static const char *time_text(uint64_t boot_ns, char text[40])
{
	const uint64_t ago = clock_boot_ns() - boot_ns;
	struct timespec now;
	uint64_t ns;
	time_t s;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - ago;
	s = (time_t)(ns / 1000000000u);
	if (!gmtime_r(&s, &tm))
		return NULL;
	len = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, 40 - len, ".%03uZ", (unsigned int)(ns / 1000000 % 1000));
	return text;
}

static const char *proto_text(uint8_t proto, char text[8])
{
	static const char *const names[] = {
		[IPPROTO_ICMP] = "icmp", [IPPROTO_TCP] = "tcp",	   [IPPROTO_UDP] = "udp",	[IPPROTO_GRE] = "gre",
		[IPPROTO_ESP] = "esp",	 [IPPROTO_AH] = "ah",	   [IPPROTO_ICMPV6] = "ipv6-icmp",
		[IPPROTO_SCTP] = "sctp",
	};

	if (proto < sizeof(names) / sizeof(names[0]) && names[proto])
		return names[proto];
	snprintf(text, 8, "%u", proto);
	return text;
}

/* An id may belong to another SA by now. */
static const char *sa_name(const struct drops *d, const struct xesp_dropped *r)
{
	const struct xesp_sa_state *sa;

	if (!r->sa || r->sa >= d->pins.conf.max_sas)
		return NULL;
	sa = &d->sas[r->sa];
	return sa->in_use && sa->spi == r->spi && sa->name[0] ? sa->name : NULL;
}

static void put_names(struct json_object *o, const struct drops *d, const struct xesp_dropped *r)
{
	char interface[IF_NAMESIZE];
	struct xesp_policy policy;

	put_text(o, "sa", sa_name(d, r));
	put_text(o, "policy", r->policy && !bpf_map_lookup_elem(d->pins.fd[PINS_POLICIES], &r->policy, &policy) &&
				      policy.name[0] ? policy.name : NULL);
	put_text(o, "interface", r->ifindex ? if_indextoname(r->ifindex, interface) : NULL);
}

static void put_headers(struct json_object *o, const struct xesp_dropped *r)
{
	const bool icmp = r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6;
	char text[ADDR_TEXT_MAX], proto[8], spi[16];

	put_text(o, "source", r->family ? addr_print(&r->src, text) : NULL);
	put_text(o, "destination", r->family ? addr_print(&r->dst, text) : NULL);
	put_text(o, "protocol", r->family ? proto_text(r->proto, proto) : NULL);
	if (r->fields) {
		put_number(o, icmp ? "icmp_type" : "source_port", ntohs(r->sport));
		put_number(o, icmp ? "icmp_code" : "destination_port", ntohs(r->dport));
	}
	snprintf(spi, sizeof(spi), "0x%08x", ntohl(r->spi));
	put_text(o, "spi", r->spi ? spi : NULL);
	json_object_object_add(o, "sequence", r->seq ? json_object_new_uint64(r->seq) : NULL);
	put_number(o, "bytes", r->len);
}

static struct json_object *record_json(const struct drops *d, const struct last *l)
{
	static const char *const ways[] = { "clear", "out", "in" };
	struct json_object *o = json_object_new_object();
	const struct xesp_dropped *r = &l->d;
	char when[40];

	put_text(o, "time", time_text(r->time_ns, when));
	put_text(o, "reason", drops_name((enum xesp_drop)r->reason));
	put_text(o, "where", l->xdp ? "xdp" : "xespd");
	json_object_object_add(o, "cpu", l->xdp ? json_object_new_int64(l->place) : NULL);
	json_object_object_add(o, "worker", l->xdp ? NULL : json_object_new_int64(l->place));
	json_object_object_add(o, "queue", l->xdp ? json_object_new_int64(r->queue) : NULL);
	put_text(o, "way", r->way < 3 ? ways[r->way] : NULL);
	put_names(o, d, r);
	put_headers(o, r);
	put_number(o, "number", r->number);
	return o;
}

/* ---- for people */

static const char *end_text(struct json_object *o, const char *addr, const char *port, char text[80])
{
	if (!json_object_object_get(o, port))
		return show_text(o, addr);
	snprintf(text, 80, strchr(show_text(o, addr), ':') ? "[%s]:%s" : "%s:%s", show_text(o, addr), show_text(o, port));
	return text;
}

static const char *where_text(struct json_object *o, char text[64])
{
	if (json_object_object_get(o, "worker"))
		snprintf(text, 64, "xespd, worker %s, %s", show_text(o, "worker"), show_text(o, "way"));
	else
		snprintf(text, 64, "xdp, %s queue %s", show_text(o, "interface"), show_text(o, "queue"));
	return text;
}

/* Another word behind those that are there. */
static void add_word(char text[160], const char *word, const char *value)
{
	const size_t used = strlen(text);

	snprintf(text + used, 160 - used, "%s%s %s", used ? " " : "", word, value);
}

/* "SPI 0x00001001 number 7 SA t4-in", "type 8 code 0", "policy lan": what there is. */
static const char *what_text(struct json_object *o, char text[160])
{
	static const char *const words[][2] = { { "icmp_type", "type" }, { "icmp_code", "code" }, { "spi", "SPI" },
						{ "sequence", "number" }, { "sa", "SA" }, { "policy", "policy" } };

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (json_object_object_get(o, words[i][0]))
			add_word(text, words[i][1], show_text(o, words[i][0]));
	return text;
}

static void print_line(struct json_object *o)
{
	char from[80], to[80], where[64], what[160];

	printf("%s %s: %s -> %s %s, %s bytes; %s%s%s\n", show_text(o, "time"), show_text(o, "reason"),
	       end_text(o, "source", "source_port", from), end_text(o, "destination", "destination_port", to),
	       show_text(o, "protocol"), show_text(o, "bytes"), what_text(o, what), what[0] ? "; " : "", where_text(o, where));
}

static void print_table(struct json_object *list)
{
	static const char *const columns[] = { "TIME", "REASON", "FROM", "TO", "PROTO", ">BYTES", "WHAT", "WHERE", NULL };
	struct table *t = table_open(columns);
	char from[80], to[80], where[64], what[160];

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		table_cell(t, "%.12s", show_text(o, "time") + strlen("2026-11-25T"));
		table_cell(t, "%s", show_text(o, "reason"));
		table_cell(t, "%s", end_text(o, "source", "source_port", from));
		table_cell(t, "%s", end_text(o, "destination", "destination_port", to));
		table_cell(t, "%s", show_text(o, "protocol"));
		table_cell(t, "%s", show_text(o, "bytes"));
		table_cell(t, "%s", what_text(o, what));
		table_cell(t, "%s", where_text(o, where));
	}
	table_close(t);
	if (!json_object_array_length(list))
		puts("no dropped packet is kept; `xesp counters` has the totals");
}

/* ---- the command */

static int open_maps(struct drops *d, struct fault *f)
{
	int cpus = libbpf_num_possible_cpus(), err;

	err = pins_open(&d->pins, d->s->pins, f);
	if (err)
		return err;
	d->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	d->sas = pins_mmap(&d->pins, PINS_SA_STATE, 0, &d->sas_len, f);
	if (!d->sas)
		return -EIO;
	d->seen = calloc(LAST_SEEN(d->cpus), sizeof(*d->seen));
	return d->seen ? 0 : fault_set(f, -ENOMEM, "out of memory");
}

static void close_maps(struct drops *d)
{
	free(d->seen);
	if (d->sas)
		munmap((void *)(uintptr_t)d->sas, d->sas_len);
	pins_close(&d->pins);
}

/* The newest of those asked for. */
static int read_list(struct drops *d, unsigned long most, struct json_object **out, struct fault *f)
{
	struct last_list l;
	unsigned long n = 0;
	uint32_t from;
	int err = last_read(&l, &d->pins, d->cpus, d->seen, f);

	if (err) {
		free(l.at);
		return err;
	}
	for (from = l.n; from && n < most; from--)
		n += !d->why || l.at[from - 1].d.reason == d->why;
	*out = json_object_new_array();
	for (; from < l.n; from++)
		if (!d->why || l.at[from].d.reason == d->why)
			json_object_array_add(*out, record_json(d, &l.at[from]));
	free(l.at);
	return 0;
}

static int show_once(struct drops *d, struct fault *f)
{
	struct json_object *list = NULL, *o;
	int err = read_list(d, d->most, &list, f);

	if (err)
		return err;
	if (!d->s->json) {
		print_table(list);
		json_object_put(list);
		return 0;
	}
	o = json_object_new_object();
	json_object_object_add(o, "drops", list);
	command_print_json(o);
	return 0;
}

/* Until it is interrupted, or nobody reads any more. */
static int follow(struct drops *d, struct fault *f)
{
	unsigned long most = d->most;

	for (;;) {
		struct json_object *list = NULL;
		int err = read_list(d, most, &list, f);

		if (err)
			return err;
		most = ULONG_MAX;
		for (size_t i = 0; i < json_object_array_length(list); i++) {
			struct json_object *o = json_object_array_get_idx(list, i);

			if (d->s->json)
				puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
			else
				print_line(o);
		}
		json_object_put(list);
		if (fflush(stdout))
			return 0;
		usleep(FOLLOW_US);
	}
}

static enum xesp_drop reason_of(const char *name)
{
	for (enum xesp_drop why = XESP_DROP_NONE + 1; why < XESP_DROP_MAX; why++)
		if (!strcmp(drops_name(why), name))
			return why;
	return XESP_DROP_NONE;
}

static int take(struct drops *d, int argc, char **argv)
{
	char *end;

	d->most = LAST_DEFAULT;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--follow")) {
			d->follow = true;
		} else if (!strcmp(argv[i], "--last") && i + 1 < argc) {
			d->most = strtoul(argv[++i], &end, 10);
			if (*end || argv[i][0] < '0' || argv[i][0] > '9')
				return command_misused("drops", "--last wants a number");
		} else if (!strcmp(argv[i], "--reason") && i + 1 < argc) {
			d->why = reason_of(argv[++i]);
			if (!d->why)
				return command_misused("drops", "no reason is called '%s'; `xesp counters --all` lists them", argv[i]);
		} else {
			return command_misused("drops", "'%s' is not known", argv[i]);
		}
	}
	return COMMAND_DONE;
}

int drops_command(const struct settings *s, int argc, char **argv)
{
	struct drops d = { .s = s };
	struct fault f = { "" };
	int err;

	if (take(&d, argc, argv) != COMMAND_DONE)
		return COMMAND_USAGE;
	err = open_maps(&d, &f);
	if (!err)
		err = d.follow ? follow(&d, &f) : show_once(&d, &f);
	close_maps(&d);
	return err ? command_refused("drops", &f) : COMMAND_DONE;
}
