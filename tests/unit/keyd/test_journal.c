/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_journal.c - what transactions wrote is there for the next keyd: whole after a kill, refused when
 * it is damaged, and a saved configuration is the one that it was saved of.
 */
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyd/config.h"
#include "keyd/edit.h"
#include "keyd/journal.h"
#include "tests/unit/keyd/fixture.h"
#include "xesp/log.h"

#define KEY(n) "00000000000000000000000000000000000000" n

struct fixture {
	char dir[64], path[80];
	struct config *file, *now;
	struct journal *j;
	struct fault f;
};

static void setup(struct fixture *x)
{
	log_open("test", (enum log_level)0);
	*x = (struct fixture){ .dir = "/tmp/xesp-test-journal-XXXXXX" };
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(x->dir));
	snprintf(x->path, sizeof(x->path), "%s/control", x->dir);
	x->file = fixture_config("version: 1\nsource: control\ndefault: bypass\n"
				 "interfaces: [{name: eth0, role: outer}]\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(x->file);
	CU_ASSERT_EQUAL_FATAL(journal_open(&x->j, x->dir, x->file, &x->now, &x->f), 0);
}

static int reopen(struct fixture *x)
{
	journal_close(x->j);
	x->j = NULL;
	config_free(x->now);
	x->now = NULL;
	return journal_open(&x->j, x->dir, x->file, &x->now, &x->f);
}

static void finish(struct fixture *x)
{
	journal_close(x->j);
	config_free(x->now);
	config_free(x->file);
	unlink(x->path);
	CU_ASSERT_EQUAL(rmdir(x->dir), 0);
}

static void transact(struct fixture *x, const char *text)
{
	struct json_object *o = json_tokener_parse(text);
	struct problems ps = { 0 };
	struct config *next;
	struct edit e;

	CU_ASSERT_EQUAL_FATAL(edit_parse(&e, o, &ps), 0);
	CU_ASSERT_EQUAL_FATAL(edit_config(&e, x->now, &next, &ps), 0);
	edit_fini(&e);
	config_free(x->now);
	x->now = next;
	CU_ASSERT_EQUAL(journal_add(x->j, o, x->now), 0);
	json_object_put(o);
}

static char *saved(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	config_save(c, out);
	fclose(out);
	return text;
}

static const char first[] =
	"{\"set\":{\"tunnels\":[{\"name\":\"t\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.2\",\"dpd\":true,\"probe_remote\":\"10.2.0.1\"}],"
	"\"sas\":[{\"name\":\"o\",\"tunnel\":\"t\",\"direction\":\"out\",\"spi\":4096,\"algorithm\":\"aes-gcm-128\",\"key\":\"" KEY("01") "\"}],"
	"\"policies\":[{\"name\":\"p\",\"action\":\"protect\",\"tunnel\":\"t\",\"remote\":\"10.2.0.0/24\"}]}}";

static void test_survives(void)
{
	struct fixture x;
	struct stat st;
	char line[400], *before, *after;

	setup(&x);
	transact(&x, first);
	CU_ASSERT_EQUAL(stat(x.path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	for (int i = 0; i < 20; i++) {
		snprintf(line, sizeof(line),
			 "{\"set\":{\"policies\":[{\"name\":\"d%d\",\"action\":\"discard\",\"local\":\"10.%d.0.0/16\",\"before\":\"%s\"}]}}",
			 i, i, i % 2 ? "d0" : "p");
		transact(&x, line);
	}
	transact(&x, "{\"delete\":{\"policies\":[\"d3\",\"d4\"]}}");
	before = saved(x.now);
	CU_ASSERT_EQUAL_FATAL(reopen(&x), 0); /* by lines */
	after = saved(x.now);
	CU_ASSERT_STRING_EQUAL(before, after);
	free(after);
	CU_ASSERT_EQUAL_FATAL(reopen(&x), 0); /* as it was written anew */
	after = saved(x.now);
	CU_ASSERT_STRING_EQUAL(before, after);
	CU_ASSERT_EQUAL(x.now->spd.n, 19);
	CU_ASSERT_EQUAL(x.now->spd.default_action, XESP_ACTION_BYPASS); /* the file's */
	CU_ASSERT_EQUAL(x.now->interfaces_n, 1);
	CU_ASSERT_TRUE(x.now->control);
	free(after);
	free(before);
	finish(&x);
}

/* A kill while a line is written: of that one nobody was told that it holds. The rest is there. */
static void test_a_line_cut_off(void)
{
	struct fixture x;
	struct stat whole, st;
	char *all;
	size_t from;
	int fd;

	setup(&x);
	transact(&x, first);
	CU_ASSERT_EQUAL_FATAL(reopen(&x), 0);
	CU_ASSERT_EQUAL(stat(x.path, &st), 0);
	from = (size_t)st.st_size;
	transact(&x, "{\"delete\":{\"policies\":[\"p\"]}}");
	CU_ASSERT_EQUAL(stat(x.path, &whole), 0);
	all = malloc((size_t)whole.st_size);
	fd = open(x.path, O_RDONLY);
	CU_ASSERT_EQUAL(read(fd, all, (size_t)whole.st_size), whole.st_size);
	close(fd);
	for (size_t len = from; len <= (size_t)whole.st_size; len++) {
		fd = open(x.path, O_WRONLY | O_TRUNC);
		CU_ASSERT_EQUAL(write(fd, all, len), (ssize_t)len);
		close(fd);
		CU_ASSERT_EQUAL_FATAL(reopen(&x), 0);
		CU_ASSERT_EQUAL(x.now->spd.n, len < (size_t)whole.st_size);
	}
	free(all);
	finish(&x);
}

static void test_damaged(void)
{
	struct fixture x;
	int fd;

	setup(&x);
	transact(&x, first);
	fd = open(x.path, O_WRONLY | O_APPEND);
	CU_ASSERT_EQUAL(write(fd, "{}}\n", 4), 4);
	close(fd);
	CU_ASSERT_EQUAL(reopen(&x), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(x.f.text, "remove the file to begin with nothing"));
	CU_ASSERT_PTR_NULL(strstr(x.f.text, KEY("01")));
	CU_ASSERT_PTR_NULL(x.now);
	CU_ASSERT_EQUAL(truncate(x.path, 30), 0);
	CU_ASSERT_EQUAL(reopen(&x), -EUCLEAN);
	finish(&x);
}

static void test_many_lines_become_few(void)
{
	struct fixture x;
	struct stat st;
	char line[200];

	setup(&x);
	transact(&x, first);
	for (int i = 0; i < 2500; i++) {
		snprintf(line, sizeof(line),
			 "{\"set\":{\"policies\":[{\"name\":\"p\",\"action\":\"protect\",\"tunnel\":\"t\",\"remote\":\"10.%d.0.0/16\"}]}}",
			 i % 200);
		transact(&x, line);
	}
	CU_ASSERT_EQUAL(stat(x.path, &st), 0);
	CU_ASSERT(st.st_size < 1200 * 150);
	CU_ASSERT_EQUAL_FATAL(reopen(&x), 0);
	CU_ASSERT_EQUAL(x.now->spd.n, 1);
	finish(&x);
}

/* What YAML would take for something else: a comment, a key, an anchor, a quote, the end of an address. */
static void test_names_that_yaml_misreads(void)
{
	struct fixture x;
	char *before, *after;

	setup(&x);
	transact(&x,
		 "{\"set\":{\"tunnels\":[{\"name\":\"#a:\",\"local\":\"2001:db8::\",\"remote\":\"2001:db8::2\"},"
		 "{\"name\":\"'&*\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.2\"}],"
		 "\"groups\":[{\"name\":\"[g\",\"tunnels\":[\"#a:\",\"'&*\"]}],"
		 "\"policies\":[{\"name\":\"-\",\"action\":\"protect\",\"tunnel\":\"[g\",\"local\":\"10.0.0.0/8\"},"
		 "{\"name\":\"~\",\"action\":\"discard\"}]}}");
	before = saved(x.now);
	CU_ASSERT_EQUAL_FATAL(reopen(&x), 0);
	CU_ASSERT_EQUAL_FATAL(reopen(&x), 0);
	after = saved(x.now);
	CU_ASSERT_STRING_EQUAL(before, after);
	free(before);
	free(after);
	finish(&x);
}

/* Each configuration that the tests have, saved, is itself again. */
static void test_saved_is_the_same(void)
{
	DIR *dir = opendir("tests/config");
	struct dirent *d;
	int n = 0;

	if (!dir) /* run from elsewhere */
		return;
	while ((d = readdir(dir))) {
		char path[400], *text, *again;
		struct problems ps = { 0 };
		struct config *c, *back = NULL;

		snprintf(path, sizeof(path), "tests/config/%s", d->d_name);
		if (!strstr(d->d_name, ".yaml") || config_load(&c, path, &ps))
			continue;
		if (!c->xfrm) {
			text = saved(c);
			ps.n = 0;
			if (config_load_text(&back, text, strlen(text), "saved", &ps))
				fprintf(stderr, "journal: %s: %s: %s\n", path, ps.problem[0].path,
					ps.problem[0].text);
			CU_ASSERT_PTR_NOT_NULL_FATAL(back);
			again = saved(back);
			CU_ASSERT_STRING_EQUAL(text, again);
			for (uint32_t i = 0; i < c->sad.sas_n; i++)
				CU_ASSERT_EQUAL(memcmp(c->sad.sas[i].digest, back->sad.sas[i].digest,
						       SECRET_DIGEST_LEN), 0);
			free(text);
			free(again);
			config_free(back);
			n++;
		}
		config_free(c);
	}
	closedir(dir);
	CU_ASSERT(n >= 10);
}

CU_TestInfo journal_tests[] = {
	{ "what was written is there for the next keyd", test_survives },
	{ "a line cut off anywhere", test_a_line_cut_off },
	{ "a damaged journal is refused, with what to do", test_damaged },
	{ "many lines become few", test_many_lines_become_few },
	{ "names that YAML would misread", test_names_that_yaml_misreads },
	{ "a saved configuration is the same", test_saved_is_the_same },
	CU_TEST_INFO_NULL,
};
