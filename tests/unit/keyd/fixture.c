/* SPDX-License-Identifier: BSD-2-Clause */
/* fixture.c - see fixture.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/keyd/fixture.h"
#include "keyd/config.h"

struct config *fixture_config(const char *fmt, ...)
{
	char path[] = "/tmp/xesp-test-keyd-XXXXXX", line[1024];
	struct problems ps = { 0 };
	struct config *c = NULL;
	int fd = mkstemp(path);
	va_list ap;

	if (fd < 0)
		return NULL;
	va_start(ap, fmt);
	vdprintf(fd, fmt, ap);
	va_end(ap);
	close(fd);
	if (config_load(&c, path, &ps)) {
		for (uint32_t i = 0; i < ps.n; i++) {
			problems_print_one(&ps, i, path, line, sizeof(line));
			printf("  %s\n", line);
		}
	}
	unlink(path);
	return c;
}

const char *fixture_sa(char buf[256], const char *name, const char *direction, unsigned int spi,
		       unsigned int seed, const char *more)
{
	snprintf(buf, 256,
		 "  - {name: %s, tunnel: t, direction: %s, spi: %u, algorithm: aes-gcm-128, key: %08x%032x%s}\n",
		 name, direction, spi, seed, 0x11223344u, more);
	return buf;
}

#define FIXTURE_SLOTS 16384
#define FIXTURE_CPUS 2

bool fixture_pins(struct pins *p, uint32_t max_sas, uint32_t replay_words)
{
	LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
	LIBBPF_OPTS(bpf_map_create_opts, sparse, .map_flags = BPF_F_NO_PREALLOC);
	const struct xesp_conf conf = { .abi = XESP_STEER_ABI, .spd_slots = FIXTURE_SLOTS, .max_policies = max_sas };
	const struct bpf_map_create_opts *none = NULL;
	const uint32_t zero = 0;
	const struct {
		enum bpf_map_type type;
		uint32_t key, value, n;
		const struct bpf_map_create_opts *opts;
	} maps[PINS_MAX] = {
		[PINS_CONF] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_conf), 1, &mapped },
		[PINS_IFACES] = { BPF_MAP_TYPE_HASH, 4, sizeof(struct xesp_iface), 4, none },
		[PINS_XSKS] = { BPF_MAP_TYPE_XSKMAP, 4, 4, 4, none },
		[PINS_LOCAL] = { BPF_MAP_TYPE_HASH, 16, 4, 64, &sparse },
		[PINS_ENDPOINTS] = { BPF_MAP_TYPE_HASH, 16, 4, 64, &sparse },
		[PINS_NATT_PORT] = { BPF_MAP_TYPE_HASH, 2, 4, 64, &sparse },
		[PINS_SPD_HEAD] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_head), 2,
				    &mapped },
		[PINS_SPD_TUPLE] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_tuple),
				     2 * XESP_DIR_MAX * XESP_TUPLES_MAX, &mapped },
		[PINS_SPD_SLOT] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_slot),
				    XESP_SPD_ROOM(FIXTURE_SLOTS), &mapped },
		[PINS_SPD_ENTRY] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_entry),
				     FIXTURE_SLOTS / 4, &mapped },
		[PINS_SPD_RULE] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_rule), max_sas,
				    &mapped },
		[PINS_FLOWS] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_flow), 4, none },
		[PINS_FRAGMENTS] = { BPF_MAP_TYPE_LRU_HASH, sizeof(struct xesp_fragment_key),
				     sizeof(struct xesp_fragment), 64, none },
		[PINS_POLICIES] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_policy), max_sas,
				    none },
		[PINS_POLICY_HITS] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_policy_hits),
				       FIXTURE_CPUS * XESP_HITS_OF_CPU(max_sas), &mapped },
		[PINS_POLICY_DROPS] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_policy_drops),
					max_sas, &mapped },
		[PINS_TUNNELS] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_tunnel), max_sas,
				   none },
		[PINS_SA_IN] = { BPF_MAP_TYPE_HASH, sizeof(struct xesp_sa_in_key),
				 sizeof(struct xesp_sa_in_val), max_sas, &sparse },
		[PINS_SA_STATE] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_sa_state), max_sas,
				    &mapped },
		[PINS_REPLAY] = { BPF_MAP_TYPE_ARRAY, 4, 8, replay_words, &mapped },
		[PINS_DROPS] = { BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, XESP_DROP_SLOTS, none },
		[PINS_WORKER_STATS] = { BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_worker_stats), 2,
					&mapped },
		[PINS_LAST_XDP] = { BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, none },
		[PINS_LAST_WORKERS] = { BPF_MAP_TYPE_ARRAY, 4, 8, 1, &mapped },
	};

	memset(p, 0, sizeof(*p));
	snprintf(p->dir, sizeof(p->dir), "(test)");
	for (int i = 0; i < PINS_MAX; i++)
		p->fd[i] = -1;
	for (int i = 0; i < PINS_MAX; i++) {
		p->fd[i] = bpf_map_create(maps[i].type, pins_name((enum pins_map)i), maps[i].key,
					  maps[i].value, maps[i].n, maps[i].opts);
		if (p->fd[i] < 0) {
			printf("  bpf(2): map %s: %s\n", pins_name((enum pins_map)i),
			       strerror(errno));
			pins_close(p);
			return false;
		}
	}
	return !bpf_map_update_elem(p->fd[PINS_CONF], &zero, &conf, BPF_ANY);
}

bool peer_connect(struct peer *p, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memset(p, 0, sizeof(*p));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return p->fd >= 0 && !connect(p->fd, (struct sockaddr *)&addr, sizeof(addr));
}

void peer_close(struct peer *p)
{
	close(p->fd);
	p->fd = -1;
}

bool peer_send(struct peer *p, void *message, enum xesp_keymsg_type type, size_t len)
{
	struct xesp_keymsg *h = message;

	*h = (struct xesp_keymsg){ .len = (uint32_t)len, .type = (uint16_t)type,
				   .version = XESP_KEYMSG_VERSION, .seq = ++p->seq };
	return send(p->fd, message, len, MSG_NOSIGNAL) == (ssize_t)len;
}

bool peer_hello(struct peer *p, uint32_t steer_abi)
{
	struct xesp_keymsg_hello m = { .steer_abi = steer_abi, .pid = 1 };

	return peer_send(p, &m, XESP_KEYMSG_HELLO, sizeof(m));
}

bool peer_request_lease(struct peer *p, uint32_t id)
{
	struct xesp_keymsg_id m = { .id = id };

	return peer_send(p, &m, XESP_KEYMSG_LEASE_REQUEST, sizeof(m));
}

bool peer_ack(struct peer *p, uint32_t seq, int error, const char *text)
{
	struct xesp_keymsg_ack m = { .acked_seq = seq, .error = error };

	snprintf(m.text, sizeof(m.text), "%s", text);
	return peer_send(p, &m, XESP_KEYMSG_ACK, sizeof(m));
}

static bool is_over(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec >= 2;
}

/* What came: bytes, 0 the end, -1 nothing within 2 s. */
static ssize_t wait_packet(struct peer *p, struct event_base *base)
{
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		struct pollfd fd = { .fd = p->fd, .events = POLLIN };

		event_base_loop(base, EVLOOP_NONBLOCK);
		if (poll(&fd, 1, 1) > 0) {
			ssize_t n = recv(p->fd, p->buf, sizeof(p->buf), MSG_DONTWAIT);

			return n < 0 ? 0 : n; /* a reset is an end too */
		}
	} while (!is_over(&start));
	return -1;
}

enum xesp_keymsg_type peer_receive(struct peer *p, struct event_base *base)
{
	ssize_t n = wait_packet(p, base);

	p->len = n > 0 ? (size_t)n : 0;
	return p->len >= sizeof(struct xesp_keymsg) ?
		       (enum xesp_keymsg_type)peer_header(p)->type :
		       (enum xesp_keymsg_type)0;
}

bool peer_sees_end(struct peer *p, struct event_base *base)
{
	ssize_t n;

	do
		n = wait_packet(p, base);
	while (n > 0);
	return n == 0;
}

const struct xesp_keymsg *peer_header(const struct peer *p)
{
	return (const void *)p->buf;
}
