/* SPDX-License-Identifier: BSD-2-Clause */
/* schema_json.c - see schema_json.h. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/schema_json.h"
#include "keyd/schema_table.h"
#include "keyd/source.h"
#include "libxesp/secret.h"

#define BLOCK_LEN (256u << 10)

/* ---- memory: one request's, wiped at the end */

struct schema_json_block {
	struct schema_json_block *next;
	size_t len; /* of bytes[] */
	_Alignas(max_align_t) uint8_t bytes[];
};

static void *take(struct schema_json *j, size_t len)
{
	struct schema_json_block *b = j->blocks;
	void *p;

	len = (len + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (!b || b->len - j->used < len) {
		const size_t room = len > BLOCK_LEN ? len : BLOCK_LEN;

		b = calloc(1, sizeof(*b) + room);
		if (!b)
			return NULL;
		b->len = room;
		b->next = j->blocks;
		j->blocks = b;
		j->used = 0;
	}
	p = b->bytes + j->used;
	j->used += len;
	return p;
}

void schema_json_free(struct schema_json *j)
{
	struct schema_json_block *b;

	while ((b = j->blocks)) {
		j->blocks = b->next;
		secret_wipe(b->bytes, b->len);
		free(b);
	}
	*j = (struct schema_json){ 0 };
}

/* ---- values */

struct reader {
	struct schema_json *j;
	struct problems *ps;
	const char *prefix; /* before each path */
};

static int bad(struct reader *r, const char *path, const char *sentence)
{
	char where[PROBLEMS_PATH_MAX];

	problems_below(where, r->prefix, path);
	return problems_add(r->ps, path[0] ? where : r->prefix, "%s", sentence);
}

/* The text of a single value, as it would stand in the file; NULL after a problem. */
static char *take_text(struct reader *r, struct json_object *o, const char *path)
{
	const char *text;
	size_t len;
	char *copy;

	switch (json_object_get_type(o)) {
	case json_type_string:
		text = json_object_get_string(o);
		len = (size_t)json_object_get_string_len(o);
		if (memchr(text, 0, len)) {
			bad(r, path, "has a zero byte");
			return NULL;
		}
		break;
	case json_type_boolean:
	case json_type_int:
		text = json_object_to_json_string(o);
		len = strlen(text);
		break;
	default: /* fractions too: nothing here is one */
		bad(r, path, "must be a single value");
		return NULL;
	}
	if (!len) {
		bad(r, path, "is empty");
		return NULL;
	}
	copy = take(r->j, len + 1);
	if (!copy)
		bad(r, path, "out of memory");
	else
		memcpy(copy, text, len);
	return copy;
}

static int take_word(struct reader *r, const cyaml_schema_value_t *v, struct json_object *o,
		     const char *path, void *dest)
{
	char list[192], shown[PROBLEMS_SHOWN_MAX], sentence[FAULT_TEXT_MAX];
	char *text = take_text(r, o, path);

	if (!text)
		return -EINVAL;
	for (uint32_t i = 0; i < v->enumeration.count; i++) {
		const int32_t value = (int32_t)v->enumeration.strings[i].val;

		if (strcmp(text, v->enumeration.strings[i].str))
			continue;
		_Static_assert(sizeof(enum raw_switch) == sizeof(value), "of WORD()");
		memcpy(dest, &value, sizeof(value));
		return 0;
	}
	schema_list_words(v->enumeration.strings, v->enumeration.count, list, sizeof(list));
	snprintf(sentence, sizeof(sentence), "%s is not one of: %s", problems_shown(text, shown),
		 list);
	return bad(r, path, sentence);
}

static int take_value(struct reader *r, const cyaml_schema_value_t *v, struct json_object *o,
		      const char *path, void *dest);
static int take_mapping(struct reader *r, const cyaml_schema_field_t *fields,
			struct json_object *o, const char *path, void *dest);

static int take_list(struct reader *r, const cyaml_schema_field_t *f, struct json_object *o,
		     const char *path, uint8_t *dest)
{
	const bool is_list = json_object_is_type(o, json_type_array);
	const cyaml_schema_value_t *entry = f->value.sequence.entry;
	const bool is_text = entry->type == CYAML_STRING;
	const size_t n = is_list ? json_object_array_length(o) : 1;
	const size_t size = is_text ? sizeof(char *) : entry->data_size;
	char where[PROBLEMS_PATH_MAX], sentence[48];
	unsigned int count = (unsigned int)n;
	uint8_t *all;
	int err = 0;

	if (!is_list && !is_text)
		return bad(r, path, "must be a list");
	if (n > f->value.sequence.max) {
		snprintf(sentence, sizeof(sentence), "more than %u entries",
			 f->value.sequence.max);
		return bad(r, path, sentence);
	}
	all = take(r->j, (n + 1) * size);
	if (!all)
		return bad(r, path, "out of memory");
	for (size_t i = 0; i < n; i++) {
		problems_entry(where, path, (uint32_t)i);
		err |= take_value(r, entry, is_list ? json_object_array_get_idx(o, i) : o,
				  is_list ? where : path, all + i * size);
	}
	memcpy(dest + f->data_offset, &all, sizeof(all));
	memcpy(dest + f->count_offset, &count, sizeof(count));
	return err ? -EINVAL : 0;
}

static int take_value(struct reader *r, const cyaml_schema_value_t *v, struct json_object *o,
		      const char *path, void *dest)
{
	const size_t size = v->data_size;
	char *text;
	void *p;

	switch (v->type) {
	case CYAML_ENUM:
		return take_word(r, v, o, path, dest);
	case CYAML_MAPPING:
		if (!(v->flags & CYAML_FLAG_POINTER))
			return take_mapping(r, v->mapping.fields, o, path, dest);
		p = take(r->j, size);
		if (!p)
			return bad(r, path, "out of memory");
		memcpy(dest, &p, sizeof(p));
		return take_mapping(r, v->mapping.fields, o, path, p);
	default:
		text = take_text(r, o, path);
		memcpy(dest, &text, sizeof(text));
		return text ? 0 : -EINVAL;
	}
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const char *key)
{
	for (; fields->key; fields++)
		if (!strcmp(fields->key, key))
			return fields;
	return NULL;
}

/* Where a policy is to stand is no matter of the file, where it just stands. */
static char **place_of(const cyaml_schema_field_t *fields, const char *key, void *dest)
{
	struct raw_policy *p = dest;

	if (!find_field(fields, "remote_ports"))
		return NULL;
	return !strcmp(key, "before") ? &p->before : !strcmp(key, "after") ? &p->after : NULL;
}

static int refuse_key(struct reader *r, const cyaml_schema_field_t *fields, const char *path,
		      const char *key)
{
	char where[PROBLEMS_PATH_MAX], list[192], sentence[FAULT_TEXT_MAX];

	problems_below(where, path, source_is_showable(key, strlen(key)) ? key : "?");
	schema_list_keys(fields, list, sizeof(list));
	snprintf(sentence, sizeof(sentence), "unknown key; known here: %s", list);
	return bad(r, where, sentence);
}

static int take_mapping(struct reader *r, const cyaml_schema_field_t *fields,
			struct json_object *o, const char *path, void *dest)
{
	char where[PROBLEMS_PATH_MAX];
	int err = 0;

	if (!json_object_is_type(o, json_type_object))
		return bad(r, path, "must be a mapping");
	json_object_object_foreach(o, key, value) {
		const cyaml_schema_field_t *f = find_field(fields, key);
		char **place = f ? NULL : place_of(fields, key, dest);

		problems_below(where, path, key);
		if (place) {
			*place = take_text(r, value, where);
			err |= *place ? 0 : -EINVAL;
		} else if (!f) {
			err |= refuse_key(r, fields, path, key);
		} else if (f->value.type == CYAML_SEQUENCE) {
			err |= take_list(r, f, value, where, dest);
		} else {
			err |= take_value(r, &f->value, value, where,
					  (uint8_t *)dest + f->data_offset);
		}
	}
	for (; fields->key; fields++) {
		if (fields->value.flags & CYAML_FLAG_OPTIONAL ||
		    json_object_object_get_ex(o, fields->key, NULL))
			continue;
		problems_below(where, path, fields->key);
		err |= bad(r, where, "missing");
	}
	return err ? -EINVAL : 0;
}

/* ---- the whole */

static const char *const lists[] = { "tunnels", "groups", "sas", "policies" };

int schema_json_load(struct schema_json *j, struct json_object *o, const char *path,
		     struct problems *ps)
{
	struct reader r = { .j = j, .ps = ps, .prefix = path };
	int err = 0;

	if (!json_object_is_type(o, json_type_object))
		return bad(&r, "", "must be a mapping");
	json_object_object_foreach(o, key, value) {
		const cyaml_schema_field_t *f = NULL;

		for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && !f; i++)
			if (!strcmp(lists[i], key))
				f = find_field(schema_config_fields, key);
		if (f)
			err |= take_list(&r, f, value, key, (uint8_t *)&j->raw);
		else
			err |= bad(&r, source_is_showable(key, strlen(key)) ? key : "?",
				   "unknown key; known here: tunnels, groups, sas, policies");
	}
	return err ? -EINVAL : 0;
}

int schema_json_names(struct schema_json *j, struct json_object *o, const char *key,
		      const char *path, char ***names, unsigned int *n, struct problems *ps)
{
	struct reader r = { .j = j, .ps = ps, .prefix = path };
	struct json_object *list;
	char where[PROBLEMS_PATH_MAX];
	int err = 0;

	*names = NULL;
	*n = 0;
	if (!json_object_object_get_ex(o, key, &list))
		return 0;
	if (!json_object_is_type(list, json_type_array))
		return bad(&r, key, "must be a list of names");
	*names = take(j, (json_object_array_length(list) + 1) * sizeof(**names));
	if (!*names)
		return bad(&r, key, "out of memory");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		problems_entry(where, key, (uint32_t)i);
		(*names)[i] = take_text(&r, json_object_array_get_idx(list, i), where);
		err |= (*names)[i] ? 0 : -EINVAL;
	}
	*n = (unsigned int)json_object_array_length(list);
	return err;
}
