/* SPDX-License-Identifier: BSD-2-Clause */
/* journal.c - see journal.h. From top to bottom: reading, writing, opening. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "keyd/config.h"
#include "keyd/edit.h"
#include "keyd/journal.h"
#include "keyd/spd_edit.h"
#include "keyd/state_dir.h"
#include "libxesp/rpc.h"
#include "libxesp/secret.h"
#include "xesp/log.h"

#define NAME "control"
#define MARK "...\n"    /* YAML's own end of a document: lines of transactions follow */
#define LINES_MAX 1000  /* then it is written anew */
#define BUFFER_LEN 65536

struct journal {
	struct state_dir dir;
	char *path;
	int fd; /* for the next line; -1: none, see problem */
	uint32_t lines;
	struct fault problem;
	bool on_disk;
};

/* ---- reading */

/* Policies alone are changed where they stand; whatever else makes a new configuration. */
static int replay_edit(struct edit *e, struct config **c, struct problems *ps)
{
	const struct index *names;
	struct config *next;
	struct spd_edit se;
	int err;

	if (!edit_is_of_policies(e, *c)) {
		err = edit_config(e, *c, &next, ps);
		if (err)
			return err;
		config_free(*c);
		*c = next;
		return 0;
	}
	names = config_tunnel_names(*c);
	if (!names)
		return problems_add(ps, "", "out of memory");
	err = spd_edit_begin(&se, &(*c)->spd, &(*c)->sad, names, edit_policies_n(e));
	if (!err)
		err = edit_policies(e, &se, ps);
	spd_edit_fini(&se);
	return err;
}

static int replay_line(const char *line, size_t len, struct config **c, struct problems *ps)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = tok ? json_tokener_parse_ex(tok, line, (int)len) : NULL;
	struct edit e = { 0 };
	int err = 0;

	if (!o || !json_object_is_type(o, json_type_object) || json_tokener_get_parse_end(tok) != len)
		err = problems_add(ps, "", "a line of it is not JSON");
	if (tok)
		json_tokener_free(tok);
	if (!err)
		err = edit_parse(&e, o, ps);
	if (!err)
		err = replay_edit(&e, c, ps);
	edit_fini(&e);
	if (o) {
		rpc_wipe(o);
		json_object_put(o);
	}
	return err;
}

/* A last line without its end was being written when keyd was killed: nobody was told that it holds. */
static int replay(struct journal *j, const char *text, size_t len, struct config **c,
		  struct problems *ps)
{
	const char *end, *at = text;
	int err = 0;

	while (!err && (end = memchr(at, '\n', len - (size_t)(at - text)))) {
		err = replay_line(at, (size_t)(end - at), c, ps);
		at = end + 1;
		j->lines++;
	}
	return err;
}

static int read_journal(struct journal *j, const struct config *file, struct config **out,
			struct fault *f)
{
	const struct config_room none = { 0 };
	struct problems ps = { 0 };
	uint8_t *data;
	size_t len;
	struct stat st;
	char *mark;
	int err = state_dir_read(&j->dir, NAME, &data, &len, &st, f);

	if (err == -ENOENT) {
		*out = config_clone(file, &none);
		return *out ? 0 : fault_set(f, -ENOMEM, "out of memory");
	}
	if (err)
		return err;
	data[len] = '\0'; /* state_dir_read() has room for it */
	mark = strstr((char *)data, "\n" MARK);
	err = mark ? config_load_text(out, (char *)data, (size_t)(mark + 1 - (char *)data), j->path,
				      &ps) :
		     problems_add(&ps, "", "its end is missing");
	if (!err) {
		mark += 1 + strlen(MARK);
		err = replay(j, mark, len - (size_t)(mark - (char *)data), out, &ps);
	}
	if (!err && config_join_file(*out, file))
		err = problems_add(&ps, "", "out of memory");
	secret_wipe(data, len);
	free(data);
	if (!err)
		return 0;
	config_free(*out);
	*out = NULL;
	problems_fault(&ps, j->path, f);
	return fault_set(f, -EUCLEAN,
			 "%.160s; what came over the control socket cannot be read: remove the file to begin with nothing",
			 f->text);
}

/* ---- writing */

static int spoil(struct journal *j, int err, const char *what)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	fault_set(&j->problem, err, "%s: %s: %s; the next xesp-keyd will not know what transactions wrote",
		  j->path, what, strerror(-err));
	log_error("journal: %s", j->problem.text);
	return err;
}

static int save(const struct config *now, int fd)
{
	char *buffer = secret_alloc(BUFFER_LEN);
	FILE *out = buffer ? fdopen(fd, "w") : NULL;
	int err = 0;

	if (!out) {
		close(fd);
		secret_free(buffer, BUFFER_LEN);
		return -ENOMEM;
	}
	setvbuf(out, buffer, _IOFBF, BUFFER_LEN);
	config_save(now, out);
	fputs(MARK, out);
	if (fflush(out) || ferror(out))
		err = errno ? -errno : -EIO;
	fclose(out);
	secret_free(buffer, BUFFER_LEN);
	return err;
}

int journal_rewrite(struct journal *j, const struct config *now)
{
	struct fault f = { "" };
	struct stat st;
	int fd, copy, err = state_dir_begin(&j->dir, NAME, &fd, &st, &f);

	if (err)
		return spoil(j, err, f.text);
	/* One for writing all of it, one for the lines that follow; they share their place in the file. */
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = copy < 0 ? -errno : save(now, copy);
	copy = err ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (err || copy < 0) {
		close(fd);
		return spoil(j, err ? err : -errno, "cannot be written");
	}
	err = state_dir_commit(&j->dir, NAME, fd, NULL, 0, &f);
	if (err) {
		close(copy);
		return spoil(j, err, f.text);
	}
	if (j->fd >= 0)
		close(j->fd);
	j->fd = copy;
	j->lines = 0;
	j->problem.text[0] = '\0';
	return 0;
}

static int write_line(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int journal_add(struct journal *j, struct json_object *params, const struct config *now)
{
	const char *text;
	size_t len;
	int err;

	if (j->fd < 0 || ++j->lines > LINES_MAX)
		return journal_rewrite(j, now);
	text = json_object_to_json_string_length(params, JSON_C_TO_STRING_PLAIN, &len);
	if (!text)
		return spoil(j, -ENOMEM, "cannot be written");
	err = write_line(j->fd, text, len);
	secret_wipe((char *)(uintptr_t)text, len); /* json-c's own copy */
	if (!err)
		err = write_line(j->fd, "\n", 1);
	return err ? spoil(j, err, "cannot be written") : 0;
}

const char *journal_problem(const struct journal *j)
{
	if (!j)
		return "";
	if (!j->problem.text[0] && j->on_disk)
		return "the run directory is on a disk: keys that come over the control socket are stored there";
	return j->problem.text;
}

/* ---- opening */

static bool is_on_disk(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || ((unsigned long)fs.f_type != TMPFS_MAGIC &&
				    (unsigned long)fs.f_type != RAMFS_MAGIC);
}

int journal_open(struct journal **out, const char *dir, const struct config *file,
		 struct config **config, struct fault *f)
{
	struct journal *j = calloc(1, sizeof(*j));
	int err;

	*config = NULL;
	if (!j)
		return fault_set(f, -ENOMEM, "out of memory");
	j->fd = j->dir.fd = j->dir.lock_fd = -1;
	j->dir.calls = &state_dir_system;
	j->dir.path = dir;
	if (asprintf(&j->path, "%s/" NAME, dir) < 0)
		j->path = NULL;
	j->dir.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!j->path || j->dir.fd < 0) {
		err = fault_set(f, -errno, "cannot open %s: %s", dir, strerror(errno));
		goto close_journal;
	}
	j->on_disk = is_on_disk(j->dir.fd);
	err = read_journal(j, file, config, f);
	if (err)
		goto close_journal;
	if (j->on_disk)
		log_warn("journal: %s", journal_problem(j));
	/* Begun anew: what was left of a line is gone, and lines become few again. */
	if (journal_rewrite(j, *config)) {
		err = fault_set(f, -EIO, "%s", j->problem.text);
		config_free(*config);
		*config = NULL;
		goto close_journal;
	}
	*out = j;
	return 0;

close_journal:
	journal_close(j);
	return err;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	if (j->dir.fd >= 0)
		close(j->dir.fd);
	free(j->path);
	free(j);
}
