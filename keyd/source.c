/* SPDX-License-Identifier: BSD-2-Clause */
/* source.c - see source.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "keyd/source.h"
#include "libxesp/secret.h"

#define DEPTH_MAX 8
#define KEYS_MAX 64 /* in one mapping; the schema's largest has 16 */

/* ---- reading */

static int read_whole(struct source *s, int fd, size_t size)
{
	while (s->len < size) {
		ssize_t n = read(fd, s->text + s->len, size - s->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break; /* shorter than fstat() said: someone is writing it */
		s->len += (size_t)n;
	}
	return 0;
}

static int check_bytes(const struct source *s, struct problems *ps)
{
	/* A byte order mark would shift what libyaml counts; NUL ends C strings early. */
	if (s->len && (memchr(s->text, 0, s->len) || strchr("\xef\xfe\xff", s->text[0])))
		return problems_add(ps, "", "not UTF-8 text without a byte order mark");
	return 0;
}

int source_open(struct source *s, const char *path, struct problems *ps)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = 0;

	*s = (struct source){ 0 };
	if (fd < 0)
		return problems_add(ps, "", "cannot open: %s", strerror(errno));
	if (fstat(fd, &st)) {
		err = problems_add(ps, "", "cannot stat: %s", strerror(errno));
		goto close_file;
	}
	if (!S_ISREG(st.st_mode)) {
		err = problems_add(ps, "", "not a regular file");
		goto close_file;
	}
	if (st.st_size > SOURCE_BYTES_MAX) {
		err = problems_add(ps, "", "larger than %u MiB", SOURCE_BYTES_MAX >> 20);
		goto close_file;
	}
	s->mode = st.st_mode;
	s->text = secret_alloc((size_t)st.st_size + 1);
	if (!s->text) {
		err = problems_add(ps, "", "no locked memory to read it: raise RLIMIT_MEMLOCK");
		goto close_file;
	}
	err = read_whole(s, fd, (size_t)st.st_size);
	if (err)
		problems_add(ps, "", "cannot read: %s", strerror(-err));
	else
		err = check_bytes(s, ps);
close_file:
	close(fd);
	return err ? -EINVAL : 0;
}

int source_open_text(struct source *s, const char *text, size_t len, struct problems *ps)
{
	*s = (struct source){ .text = secret_alloc(len + 1) };
	if (!s->text)
		return problems_add(ps, "", "no locked memory to read it: raise RLIMIT_MEMLOCK");
	memcpy(s->text, text, len);
	s->len = len;
	return check_bytes(s, ps);
}

void source_close(struct source *s)
{
	secret_free(s->text, s->len + 1);
	secret_free(s->loadable, s->loadable_size);
	*s = (struct source){ 0 };
}

/* ---- walking */

struct frame {
	bool mapping;
	bool at_value;    /* mapping: the next node is a value */
	uint32_t next;    /* sequence: index of the next entry */
	size_t path_len;  /* of the path down to this node */
	uint32_t keys_n;
	uint64_t keys[KEYS_MAX]; /* hashes of the keys seen */
};

struct walk;
typedef void (*node_fn)(struct walk *w, const yaml_event_t *e);

struct walk {
	struct problems *ps; /* NULL: the text was checked before */
	node_fn on_node;     /* at each value, with w->path */
	void *ctx;
	char path[PROBLEMS_PATH_MAX];
	int depth;
	int documents_n;
	bool stop;
	struct frame frame[DEPTH_MAX];
};

/* A finding of the walk itself knows its line. */
static void refuse(struct walk *w, const yaml_event_t *e, const char *what)
{
	w->stop = true;
	if (!w->ps)
		return;
	problems_add(w->ps, w->path, "%s", what);
	if (w->ps->n)
		w->ps->problem[w->ps->n - 1].line = (uint32_t)e->start_mark.line + 1;
}

static uint64_t hash_text(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
	return h;
}

bool source_is_showable(const char *key, size_t len)
{
	return len && len < 24 && strspn(key, "abcdefghijklmnopqrstuvwxyz_-") == len;
}

/* As snprintf() cuts it off, which took a tenth of the whole walk. */
static void append(struct walk *w, size_t at, const char *text, size_t len)
{
	if (at >= sizeof(w->path))
		return;
	if (len > sizeof(w->path) - 1 - at)
		len = sizeof(w->path) - 1 - at;
	memcpy(w->path + at, text, len);
	w->path[at + len] = '\0';
}

static void append_index(struct walk *w, size_t at, uint32_t index)
{
	char text[16], *c = text + sizeof(text);

	*--c = ']';
	do {
		*--c = (char)('0' + index % 10);
		index /= 10;
	} while (index);
	*--c = '[';
	append(w, at, c, (size_t)(text + sizeof(text) - c));
}

static void take_key(struct walk *w, struct frame *f, const yaml_event_t *e)
{
	const char *key = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	const uint64_t h = hash_text(key, len);

	if (!source_is_showable(key, len)) {
		key = "?";
		len = 1;
	}
	append(w, f->path_len, f->path_len ? "." : "", f->path_len ? 1 : 0);
	append(w, f->path_len + (f->path_len ? 1 : 0), key, len);
	f->at_value = true;
	for (uint32_t i = 0; i < f->keys_n; i++) {
		if (f->keys[i] == h) {
			refuse(w, e, "this key is there twice");
			return;
		}
	}
	if (f->keys_n == KEYS_MAX) {
		refuse(w, e, "more keys than any mapping here can have");
		return;
	}
	f->keys[f->keys_n++] = h;
}

static void enter(struct walk *w, const yaml_event_t *e)
{
	struct frame *f;

	if (w->depth == DEPTH_MAX) {
		refuse(w, e, "nested too deeply");
		return;
	}
	f = &w->frame[w->depth++];
	f->mapping = e->type == YAML_MAPPING_START_EVENT;
	f->at_value = false;
	f->next = 0;
	f->keys_n = 0;
	f->path_len = strlen(w->path);
}

/* Gives the node its place in the path; false: it was a mapping's key. */
static bool place(struct walk *w, const yaml_event_t *e)
{
	struct frame *f = w->depth ? &w->frame[w->depth - 1] : NULL;

	if (!f)
		return true;
	if (!f->mapping) {
		append_index(w, f->path_len, f->next++);
		return true;
	}
	if (f->at_value) {
		f->at_value = false;
		return true;
	}
	w->path[f->path_len] = '\0';
	if (e->type == YAML_SCALAR_EVENT)
		take_key(w, f, e);
	else
		refuse(w, e, "a key must be a plain word");
	return false;
}

static bool is_decorated(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return e->data.scalar.anchor || e->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.anchor || e->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.anchor || e->data.mapping_start.tag;
	default:
		return e->type == YAML_ALIAS_EVENT;
	}
}

static void take_event(struct walk *w, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (w->documents_n++)
			refuse(w, e, "a second document (---) is not read: one file, one document");
		break;
	case YAML_ALIAS_EVENT:
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		if (is_decorated(e)) {
			refuse(w, e, "anchors, aliases and tags are not supported");
			break;
		}
		if (!place(w, e))
			break;
		if (w->on_node)
			w->on_node(w, e);
		if (e->type != YAML_SCALAR_EVENT)
			enter(w, e);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		w->path[w->frame[--w->depth].path_len] = '\0';
		break;
	case YAML_STREAM_END_EVENT:
		w->stop = true;
		break;
	default:
		break;
	}
}

static void refuse_syntax(struct walk *w, const yaml_parser_t *p)
{
	w->stop = true;
	if (!w->ps)
		return;
	/* libyaml's words are about structure and never quote the text. */
	problems_add(w->ps, "", "not YAML: %s%s%s", p->context ? p->context : "",
		     p->context ? ", " : "", p->problem ? p->problem : "cannot be read");
	if (w->ps->n)
		w->ps->problem[w->ps->n - 1].line = (uint32_t)p->problem_mark.line + 1;
}

static void walk_text(const struct source *s, struct walk *w)
{
	yaml_parser_t parser;
	yaml_event_t e;

	if (!yaml_parser_initialize(&parser)) {
		if (w->ps)
			problems_add(w->ps, "", "no memory to read it");
		return;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)s->text, s->len);
	while (!w->stop) {
		if (!yaml_parser_parse(&parser, &e)) {
			refuse_syntax(w, &parser);
			break;
		}
		take_event(w, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
}

/* ---- lists */

/* A scalar that becomes a list of one. */
struct bracket {
	size_t begin, end; /* bytes of the text */
	bool quote;
};

struct lists {
	const char *const *paths;
	size_t chars; /* libyaml counts characters, we bytes: both up to here */
	size_t bytes;
	const struct source *s;
	struct bracket *brackets;
	size_t n, room;
	bool no_memory;
	/* when all are found */
	size_t copied; /* bytes of s->text already in out */
	char *out;
	size_t out_len;
};

/* "policies[3].local" fits "policies[].local". */
static bool path_fits(const char *path, const char *pattern)
{
	for (; *pattern; path++, pattern++) {
		if (*path != *pattern)
			return false;
		if (*pattern == '[')
			path += strspn(path + 1, "0123456789");
	}
	return !*path;
}

static size_t byte_offset(struct lists *l, size_t chars)
{
	while (l->chars < chars && l->bytes < l->s->len) {
		l->bytes++;
		while (l->bytes < l->s->len && ((uint8_t)l->s->text[l->bytes] & 0xc0) == 0x80)
			l->bytes++;
		l->chars++;
	}
	return l->bytes;
}

static void note_bracket(struct lists *l, const yaml_event_t *e, bool quote)
{
	if (l->n == l->room) {
		const size_t room = l->room * 2 + 64;
		struct bracket *more = reallocarray(l->brackets, room, sizeof(*more));

		if (!more) {
			l->no_memory = true;
			return;
		}
		l->brackets = more;
		l->room = room;
	}
	l->brackets[l->n].begin = byte_offset(l, e->start_mark.index);
	l->brackets[l->n].end = byte_offset(l, e->end_mark.index);
	l->brackets[l->n++].quote = quote;
}

static void bracket_node(struct walk *w, const yaml_event_t *e)
{
	struct lists *l = w->ctx;
	bool plain, quote;

	if (e->type != YAML_SCALAR_EVENT || !e->data.scalar.length)
		return;
	plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (!plain && e->data.scalar.style != YAML_SINGLE_QUOTED_SCALAR_STYLE &&
	    e->data.scalar.style != YAML_DOUBLE_QUOTED_SCALAR_STYLE)
		return;
	for (size_t i = 0; l->paths[i]; i++) {
		if (!path_fits(w->path, l->paths[i]))
			continue;
		/* Inside brackets a comma or a colon would end a plain scalar: quote it. */
		quote = plain && !strchr((const char *)e->data.scalar.value, '\'');
		note_bracket(l, e, quote);
		return;
	}
}

static void put(struct lists *l, const char *text, size_t len)
{
	memcpy(l->out + l->out_len, text, len);
	l->out_len += len;
}

static void put_text_until(struct lists *l, size_t bytes)
{
	put(l, l->s->text + l->copied, bytes - l->copied);
	l->copied = bytes;
}

static void put_all(struct lists *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const bool quote = l->brackets[i].quote;

		put_text_until(l, l->brackets[i].begin);
		put(l, "['", quote ? 2 : 1);
		put_text_until(l, l->brackets[i].end);
		put(l, quote ? "']" : "]", quote ? 2 : 1);
	}
	put_text_until(l, l->s->len);
}

int source_prepare(struct source *s, const char *const *list_paths, struct problems *ps)
{
	struct lists l = { .paths = list_paths, .s = s };
	struct walk w = { .ps = ps, .on_node = bracket_node, .ctx = &l };
	uint32_t before = ps->n + ps->left_out;

	int err = 0;

	walk_text(s, &w);
	if (l.no_memory)
		problems_add(ps, "", "no memory to read it");
	if (ps->n + ps->left_out > before) {
		err = -EINVAL;
		goto free_brackets;
	}
	s->loadable_size = s->len + 4 * l.n + 1; /* four more at most: [''] */
	s->loadable = secret_alloc(s->loadable_size);
	if (!s->loadable) {
		err = problems_add(ps, "", "no locked memory to read it: raise RLIMIT_MEMLOCK");
		goto free_brackets;
	}
	l.out = s->loadable;
	put_all(&l);
	s->loadable_len = l.out_len;

free_brackets:
	free(l.brackets);
	return err;
}

/* ---- lines */

/* A node's line serves for every problem at it or, until something nearer comes, below it. */
static void locate_node(struct walk *w, const yaml_event_t *e)
{
	struct problems *ps = w->ctx;
	size_t len = strlen(w->path);

	for (uint32_t i = 0; len && i < ps->n; i++) {
		struct problem *p = &ps->problem[i];

		if (strncmp(p->path, w->path, len) || !strchr(".[", p->path[len]))
			continue;
		p->line = (uint32_t)e->start_mark.line + 1;
	}
}

void source_locate(const struct source *s, struct problems *ps)
{
	struct walk w = { .on_node = locate_node, .ctx = ps };

	/* Problems with a line have it from the walk that found them, and end it: nothing more. */
	for (uint32_t i = 0; i < ps->n; i++)
		if (ps->problem[i].line)
			return;
	walk_text(s, &w);
}
