/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schema.c - see schema.h. The tables first, then how libcyaml's findings become problems: it
 * tells them as log lines, the finding first and then where it was, innermost first.
 */
#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/schema.h"
#include "keyd/schema_table.h"
#include "keyd/source.h"
#include "libxesp/secret.h"

const char *const schema_list_paths[] = {
	"groups[].tunnels",
	"tunnels[].dscp_map",
	"policies[].local",
	"policies[].remote",
	"policies[].local_ports",
	"policies[].remote_ports",
	"policies[].icmp_type",
	"policies[].icmp_code",
	"policies[].mh_type",
	"policies[].pfp",
	NULL,
};

static const cyaml_strval_t default_words[] = {
	{ "discard", RAW_DEFAULT_DISCARD },
	{ "bypass", RAW_DEFAULT_BYPASS },
};
static const cyaml_strval_t source_words[] = {
	{ "file", RAW_SOURCE_FILE },
	{ "xfrm", RAW_SOURCE_XFRM },
	{ "control", RAW_SOURCE_CONTROL },
};
static const cyaml_strval_t fallback_words[] = {
	{ "drop", RAW_FALLBACK_DROP },
	{ "kernel", RAW_FALLBACK_KERNEL },
};
static const cyaml_strval_t routes_words[] = {
	{ "install", RAW_ROUTES_INSTALL },
	{ "none", RAW_ROUTES_NONE },
};
static const cyaml_strval_t spread_words[] = {
	{ "auto", RAW_SPREAD_AUTO },
	{ "never", RAW_SPREAD_NEVER },
	{ "always", RAW_SPREAD_ALWAYS },
};
static const cyaml_strval_t role_words[] = {
	{ "inner", RAW_ROLE_INNER },
	{ "outer", RAW_ROLE_OUTER },
	{ "both", RAW_ROLE_BOTH },
};
static const cyaml_strval_t df_words[] = {
	{ "copy", RAW_DF_COPY },
	{ "set", RAW_DF_SET },
	{ "clear", RAW_DF_CLEAR },
};
static const cyaml_strval_t pmtu_words[] = {
	{ "learn", RAW_PMTU_LEARN },
	{ "fixed", RAW_PMTU_FIXED },
};
static const cyaml_strval_t ecn_words[] = {
	{ "normal", RAW_ECN_NORMAL },
	{ "compatibility", RAW_ECN_COMPATIBILITY },
};
static const cyaml_strval_t mode_words[] = {
	{ "tunnel", RAW_MODE_TUNNEL },
	{ "transport", RAW_MODE_TRANSPORT },
};
static const cyaml_strval_t protocol_words[] = {
	{ "esp", RAW_PROTOCOL_ESP },
	{ "ah", RAW_PROTOCOL_AH },
};
/* `udp` as strongSwan has it; `ip xfrm` calls it espinudp. */
static const cyaml_strval_t encap_words[] = {
	{ "none", RAW_ENCAP_NONE },
	{ "udp", RAW_ENCAP_UDP },
	{ "espinudp", RAW_ENCAP_UDP },
};
static const cyaml_strval_t encap_accept_words[] = {
	{ "configured", RAW_ENCAP_ACCEPT_CONFIGURED },
	{ "any", RAW_ENCAP_ACCEPT_ANY },
};
static const cyaml_strval_t udp_checksum_words[] = {
	{ "auto", RAW_UDP_CHECKSUM_AUTO },
	{ "zero", RAW_UDP_CHECKSUM_ZERO },
	{ "compute", RAW_UDP_CHECKSUM_COMPUTE },
};
static const cyaml_strval_t dscp_in_words[] = {
	{ "keep", RAW_DSCP_IN_KEEP },
	{ "copy", RAW_DSCP_IN_COPY },
};
static const cyaml_strval_t flow_label_words[] = {
	{ "sa", RAW_FLOW_LABEL_SA },
	{ "copy", RAW_FLOW_LABEL_COPY },
	{ "zero", RAW_FLOW_LABEL_ZERO },
	{ "flow", RAW_FLOW_LABEL_FLOW },
};
static const cyaml_strval_t sa_direction_words[] = {
	{ "out", RAW_DIRECTION_OUT },
	{ "in", RAW_DIRECTION_IN },
};
static const cyaml_strval_t policy_direction_words[] = {
	{ "both", RAW_DIRECTION_BOTH },
	{ "out", RAW_DIRECTION_OUT },
	{ "in", RAW_DIRECTION_IN },
};
/* libcyaml's own booleans take any word they do not know for true. */
static const cyaml_strval_t switch_words[] = {
	{ "yes", RAW_YES },  { "no", RAW_NO },	  { "true", RAW_YES },
	{ "false", RAW_NO }, { "on", RAW_YES }, { "off", RAW_NO },
};
static const cyaml_strval_t action_words[] = {
	{ "protect", RAW_ACTION_PROTECT },
	{ "bypass", RAW_ACTION_BYPASS },
	{ "discard", RAW_ACTION_DISCARD },
};
#define OPTIONAL CYAML_FLAG_OPTIONAL
#define REQUIRED CYAML_FLAG_DEFAULT
#define WORD(key, flags, type, member, words)                                                      \
	CYAML_FIELD_ENUM(key, (flags) | CYAML_FLAG_STRICT, type, member, words,                    \
			 CYAML_ARRAY_LEN(words))
#define TEXT(key, flags, type, member)                                                             \
	CYAML_FIELD_STRING_PTR(key, (flags) | CYAML_FLAG_POINTER, type, member, 1, CYAML_UNLIMITED)
#define LIST(key, type, member, entry, max)                                                        \
	CYAML_FIELD_SEQUENCE(key, OPTIONAL | CYAML_FLAG_POINTER, type, member, entry, 0, max)

static const cyaml_schema_field_t interface_fields[] = {
	TEXT("name", REQUIRED, struct raw_interface, name),
	WORD("role", REQUIRED, struct raw_interface, role, role_words),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t list_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t tunnel_fields[] = {
	TEXT("name", REQUIRED, struct raw_tunnel, name),
	TEXT("local", REQUIRED, struct raw_tunnel, local),
	TEXT("remote", REQUIRED, struct raw_tunnel, remote),
	TEXT("ttl", OPTIONAL, struct raw_tunnel, ttl),
	WORD("df", OPTIONAL, struct raw_tunnel, df, df_words),
	TEXT("dscp", OPTIONAL, struct raw_tunnel, dscp),
	LIST("dscp_map", struct raw_tunnel, dscp_map, &list_entry, SCHEMA_DSCP_MAX),
	WORD("dscp_in", OPTIONAL, struct raw_tunnel, dscp_in, dscp_in_words),
	WORD("flow_label", OPTIONAL, struct raw_tunnel, flow_label, flow_label_words),
	TEXT("tfc", OPTIONAL, struct raw_tunnel, tfc),
	TEXT("dummy", OPTIONAL, struct raw_tunnel, dummy),
	WORD("ecn", OPTIONAL, struct raw_tunnel, ecn, ecn_words),
	TEXT("mtu", OPTIONAL, struct raw_tunnel, mtu),
	WORD("pmtu", OPTIONAL, struct raw_tunnel, pmtu, pmtu_words),
	TEXT("pmtu_floor", OPTIONAL, struct raw_tunnel, pmtu_floor),
	TEXT("pmtu_age", OPTIONAL, struct raw_tunnel, pmtu_age),
	WORD("pmtu_probe", OPTIONAL, struct raw_tunnel, pmtu_probe, switch_words),
	TEXT("probe_local", OPTIONAL, struct raw_tunnel, probe_local),
	TEXT("probe_remote", OPTIONAL, struct raw_tunnel, probe_remote),
	TEXT("mss", OPTIONAL, struct raw_tunnel, mss),
	WORD("dpd", OPTIONAL, struct raw_tunnel, dpd, switch_words),
	TEXT("dpd_interval", OPTIONAL, struct raw_tunnel, dpd_interval),
	TEXT("dpd_misses", OPTIONAL, struct raw_tunnel, dpd_misses),
	WORD("icmp_check", OPTIONAL, struct raw_tunnel, icmp_check, switch_words),
	WORD("mode", OPTIONAL, struct raw_tunnel, mode, mode_words),
	WORD("encap", OPTIONAL, struct raw_tunnel, encap, encap_words),
	WORD("encap_accept", OPTIONAL, struct raw_tunnel, encap_accept, encap_accept_words),
	TEXT("local_port", OPTIONAL, struct raw_tunnel, local_port),
	TEXT("remote_port", OPTIONAL, struct raw_tunnel, remote_port),
	TEXT("keepalive", OPTIONAL, struct raw_tunnel, keepalive),
	WORD("follow_peer", OPTIONAL, struct raw_tunnel, follow_peer, switch_words),
	WORD("udp_checksum", OPTIONAL, struct raw_tunnel, udp_checksum, udp_checksum_words),
	TEXT("nat_oa_local", OPTIONAL, struct raw_tunnel, nat_oa_local),
	TEXT("nat_oa_remote", OPTIONAL, struct raw_tunnel, nat_oa_remote),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t lifetime_fields[] = {
	TEXT("soft_seconds", OPTIONAL, struct raw_lifetime, soft_seconds),
	TEXT("hard_seconds", OPTIONAL, struct raw_lifetime, hard_seconds),
	TEXT("soft_bytes", OPTIONAL, struct raw_lifetime, soft_bytes),
	TEXT("hard_bytes", OPTIONAL, struct raw_lifetime, hard_bytes),
	TEXT("soft_packets", OPTIONAL, struct raw_lifetime, soft_packets),
	TEXT("hard_packets", OPTIONAL, struct raw_lifetime, hard_packets),
	TEXT("warn_seconds", OPTIONAL, struct raw_lifetime, warn_seconds),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t selector_fields[] = {
	TEXT("local", OPTIONAL, struct raw_selector, local),
	TEXT("remote", OPTIONAL, struct raw_selector, remote),
	TEXT("protocol", OPTIONAL, struct raw_selector, protocol),
	TEXT("local_port", OPTIONAL, struct raw_selector, local_port),
	TEXT("remote_port", OPTIONAL, struct raw_selector, remote_port),
	TEXT("icmp_type", OPTIONAL, struct raw_selector, icmp_type),
	TEXT("icmp_code", OPTIONAL, struct raw_selector, icmp_code),
	TEXT("mh_type", OPTIONAL, struct raw_selector, mh_type),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t sa_fields[] = {
	TEXT("name", REQUIRED, struct raw_sa, name),
	TEXT("tunnel", REQUIRED, struct raw_sa, tunnel),
	WORD("direction", REQUIRED, struct raw_sa, direction, sa_direction_words),
	WORD("protocol", OPTIONAL, struct raw_sa, protocol, protocol_words),
	TEXT("spi", REQUIRED, struct raw_sa, spi),
	TEXT("algorithm", OPTIONAL, struct raw_sa, algorithm),
	TEXT("integrity", OPTIONAL, struct raw_sa, integrity),
	TEXT("key", OPTIONAL, struct raw_sa, key),
	TEXT("key_file", OPTIONAL, struct raw_sa, key_file),
	TEXT("integrity_key", OPTIONAL, struct raw_sa, integrity_key),
	TEXT("integrity_key_file", OPTIONAL, struct raw_sa, integrity_key_file),
	WORD("esn", OPTIONAL, struct raw_sa, esn, switch_words),
	TEXT("replay_window", OPTIONAL, struct raw_sa, replay_window),
	TEXT("lease", OPTIONAL, struct raw_sa, lease),
	TEXT("cpu", OPTIONAL, struct raw_sa, cpu),
	CYAML_FIELD_MAPPING_PTR("lifetime", OPTIONAL | CYAML_FLAG_POINTER, struct raw_sa, lifetime,
				lifetime_fields),
	CYAML_FIELD_MAPPING_PTR("selector", OPTIONAL | CYAML_FLAG_POINTER, struct raw_sa, selector,
				selector_fields),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t group_fields[] = {
	TEXT("name", REQUIRED, struct raw_group, name),
	LIST("tunnels", struct raw_group, tunnels, &list_entry, SCHEMA_LIST_MAX),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t policy_fields[] = {
	TEXT("name", REQUIRED, struct raw_policy, name),
	WORD("action", REQUIRED, struct raw_policy, action, action_words),
	TEXT("tunnel", OPTIONAL, struct raw_policy, tunnel),
	WORD("direction", OPTIONAL, struct raw_policy, direction, policy_direction_words),
	LIST("local", struct raw_policy, local, &list_entry, SCHEMA_LIST_MAX),
	LIST("remote", struct raw_policy, remote, &list_entry, SCHEMA_LIST_MAX),
	TEXT("protocol", OPTIONAL, struct raw_policy, protocol),
	LIST("local_ports", struct raw_policy, local_ports, &list_entry, SCHEMA_LIST_MAX),
	LIST("remote_ports", struct raw_policy, remote_ports, &list_entry, SCHEMA_LIST_MAX),
	LIST("icmp_type", struct raw_policy, icmp_type, &list_entry, SCHEMA_LIST_MAX),
	LIST("icmp_code", struct raw_policy, icmp_code, &list_entry, SCHEMA_LIST_MAX),
	LIST("mh_type", struct raw_policy, mh_type, &list_entry, SCHEMA_LIST_MAX),
	LIST("pfp", struct raw_policy, pfp, &list_entry, SCHEMA_LIST_MAX),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t interface_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_interface, interface_fields),
};
static const cyaml_schema_value_t tunnel_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_tunnel, tunnel_fields),
};
static const cyaml_schema_value_t group_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_group, group_fields),
};
static const cyaml_schema_value_t sa_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_sa, sa_fields),
};
static const cyaml_schema_value_t policy_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_policy, policy_fields),
};

const cyaml_schema_field_t schema_config_fields[] = {
	TEXT("version", REQUIRED, struct raw_config, version),
	WORD("source", OPTIONAL, struct raw_config, source, source_words),
	WORD("fallback", OPTIONAL, struct raw_config, fallback, fallback_words),
	WORD("default", OPTIONAL, struct raw_config, default_action, default_words),
	WORD("routes", OPTIONAL, struct raw_config, routes, routes_words),
	WORD("spread", OPTIONAL, struct raw_config, spread, spread_words),
	LIST("interfaces", struct raw_config, interfaces, &interface_entry, CYAML_UNLIMITED),
	LIST("tunnels", struct raw_config, tunnels, &tunnel_entry, CYAML_UNLIMITED),
	LIST("groups", struct raw_config, groups, &group_entry, CYAML_UNLIMITED),
	LIST("sas", struct raw_config, sas, &sa_entry, CYAML_UNLIMITED),
	LIST("policies", struct raw_config, policies, &policy_entry, CYAML_UNLIMITED),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config, schema_config_fields),
};

/* ---- memory: libcyaml copies keys, and grows a list by one entry at a time */

struct block {
	size_t size; /* bytes behind this header */
	size_t pad;
};

static void *resize_wiping(void *ctx, void *ptr, size_t size)
{
	struct block *old = ptr ? (struct block *)ptr - 1 : NULL;
	struct block *fresh;
	size_t room = size;

	(void)ctx;
	if (old && size && size <= old->size)
		return ptr;
	fresh = NULL;
	if (size) {
		/* Half as much again when it grows, or 100 000 entries would be copied often. */
		if (old)
			room += size / 2;
		fresh = malloc(sizeof(*fresh) + room);
		if (!fresh)
			return NULL;
		fresh->size = room;
		if (old)
			memcpy(fresh + 1, old + 1, old->size);
	}
	if (old) {
		secret_wipe(old, sizeof(*old) + old->size);
		free(old);
	}
	return fresh ? fresh + 1 : NULL;
}

/* ---- libcyaml's log lines */

#define STEPS_MAX 8

struct findings {
	struct problems *ps;
	char what[160];               /* the finding, as libcyaml says it */
	char step[STEPS_MAX][32];     /* ".spi", "[1]", ".sas" */
	uint32_t steps_n;
};

__attribute__((format(printf, 3, 0)))
static void take_log_line(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct findings *f = ctx;
	char line[160], name[24];
	unsigned int entry;

	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "  in mapping field '%23[^']'", name) == 1 && f->steps_n < STEPS_MAX)
		snprintf(f->step[f->steps_n++], sizeof(f->step[0]), ".%s", name);
	else if (sscanf(line, "  in sequence entry '%u'", &entry) == 1 && f->steps_n < STEPS_MAX)
		/* It counts from 1. */
		snprintf(f->step[f->steps_n++], sizeof(f->step[0]), "[%u]", entry - 1);
	else if (line[0] != ' ' && !strstr(line, "Backtrace") && !f->what[0])
		snprintf(f->what, sizeof(f->what), "%s", line);
secret_wipe(line, sizeof(line));
}

static void print_path(const struct findings *f, char *path, size_t len)
{
	path[0] = '\0';
	for (uint32_t i = f->steps_n; i-- > 0;) {
		const char *step = f->step[i];
		size_t used = strlen(path);

		snprintf(path + used, len - used, "%s", !used && *step == '.' ? step + 1 : step);
	}
}

/* The fields of the mapping that holds the finding, for "known here: ...". */
static const cyaml_schema_field_t *fields_at(const struct findings *f)
{
	const cyaml_schema_field_t *fields = schema_config_fields;

	for (uint32_t i = f->steps_n; i-- > 0;) {
		if (f->step[i][0] != '.')
			continue;
		for (; fields->key && strcmp(fields->key, f->step[i] + 1); fields++)
			;
		if (!fields->key)
			return NULL;
		if (fields->value.type == CYAML_MAPPING)
			fields = fields->value.mapping.fields;
		else if (fields->value.type == CYAML_SEQUENCE &&
			 fields->value.sequence.entry->type == CYAML_MAPPING)
			fields = fields->value.sequence.entry->mapping.fields;
		else
			return NULL;
	}
	return fields;
}

void schema_list_keys(const cyaml_schema_field_t *fields, char *buf, size_t len)
{
	buf[0] = '\0';
	for (const cyaml_schema_field_t *k = fields; k && k->key; k++) {
		size_t used = strlen(buf);

		snprintf(buf + used, len - used, "%s%s", used ? ", " : "", k->key);
	}
}

/* Another name for the value of an earlier word: taken, but not worth the room in a sentence. */
static bool is_synonym(const cyaml_strval_t *words, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (words[k].val == words[i].val)
			return true;
	return false;
}

void schema_list_words(const cyaml_strval_t *words, uint32_t n, char *buf, size_t len)
{
	buf[0] = '\0';
	for (uint32_t i = 0; i < n; i++) {
		size_t used = strlen(buf);

		if (!is_synonym(words, i))
			snprintf(buf + used, len - used, "%s%s", used ? ", " : "", words[i].str);
	}
}

static void list_words(struct findings *f, char *buf, size_t len)
{
	const cyaml_schema_field_t *k;
	struct findings above = *f;

	buf[0] = '\0';
	if (!above.steps_n)
		return;
	/* Without the innermost step: the mapping that has the field. */
	memmove(above.step[0], above.step[1], sizeof(above.step) - sizeof(above.step[0]));
	above.steps_n--;
	for (k = fields_at(&above); k && k->key; k++)
		if (!strcmp(k->key, f->step[0] + 1))
			break;
	if (k && k->key)
		schema_list_words(k->value.enumeration.strings, k->value.enumeration.count, buf,
				  len);
}

static void add_problem(struct findings *f, cyaml_err_t err)
{
	char path[PROBLEMS_PATH_MAX], list[192], value[PROBLEMS_SHOWN_MAX];
	const char *word;
	size_t used;

	/* What is missing is missed at the mapping's end: the step names the last key that was there. */
	if (err == CYAML_ERR_MAPPING_FIELD_MISSING && f->steps_n && f->step[0][0] == '.') {
		memmove(f->step[0], f->step[1], sizeof(f->step) - sizeof(f->step[0]));
		f->steps_n--;
	}
	print_path(f, path, sizeof(path));
	used = strlen(path);
	if (strstr(f->what, "Expecting")) {
		problems_add(f->ps, path, "must be a %s",
			     strstr(f->what, "Expecting SEQUENCE") ? "list (lines that start with -)" :
			     strstr(f->what, "Expecting MAPPING") ? "mapping (lines of key: value)" :
								    "single value");
		return;
	}
	switch (err) {
	case CYAML_ERR_INVALID_KEY:
		word = strrchr(f->what, ' ') ? strrchr(f->what, ' ') + 1 : "";
		snprintf(path + used, sizeof(path) - used, "%s%s", used ? "." : "",
			 source_is_showable(word, strlen(word)) ? word : "?");
		schema_list_keys(fields_at(f), list, sizeof(list));
		problems_add(f->ps, path, "unknown key; known here: %s", list);
		return;
	case CYAML_ERR_MAPPING_FIELD_MISSING:
		snprintf(path + used, sizeof(path) - used, "%s%s", used ? "." : "",
			 strrchr(f->what, ' ') ? strrchr(f->what, ' ') + 1 : "?");
		problems_add(f->ps, path, "missing");
		return;
	case CYAML_ERR_INVALID_VALUE:
		/* "Load: Invalid ENUM value: WORD": the schema has no other values to be wrong. */
		word = strstr(f->what, "value: ");
		list_words(f, list, sizeof(list));
		problems_add(f->ps, path, "%s is not one of: %s",
			     problems_shown(word ? word + strlen("value: ") : "", value), list);
		return;
	case CYAML_ERR_STRING_LENGTH_MIN:
		problems_add(f->ps, path, "is empty");
		return;
	case CYAML_ERR_SEQUENCE_ENTRIES_MAX:
		problems_add(f->ps, path, "more than %u entries", SCHEMA_LIST_MAX);
		return;
	default:
		problems_add(f->ps, path, "%s", cyaml_strerror(err));
	}
}

/* ---- load and free */

static const cyaml_config_t free_settings = {
	.mem_fn = resize_wiping,
	.log_level = CYAML_LOG_ERROR,
	.flags = CYAML_CFG_NO_ALIAS,
};

int schema_load(const struct source *s, struct raw_config **out, struct problems *ps)
{
	struct findings f = { .ps = ps };
	cyaml_config_t settings = free_settings;
	cyaml_err_t err;

	settings.log_fn = take_log_line;
	settings.log_ctx = &f;
	*out = NULL;
	err = cyaml_load_data((const uint8_t *)s->loadable, s->loadable_len, &settings,
			      &config_schema, (cyaml_data_t **)out, NULL);
	if (!err && !*out)
		return problems_add(ps, "", "the file is empty");
	if (!err)
		return 0;
	add_problem(&f, err);
	secret_wipe(f.what, sizeof(f.what));
	return -EINVAL;
}

void schema_free(struct raw_config *raw)
{
	if (raw)
		cyaml_free(&free_settings, &config_schema, raw, 0);
}
