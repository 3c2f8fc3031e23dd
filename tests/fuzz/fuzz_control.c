/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_control.c - requests of the control socket: a line of JSON, and what a transaction makes of it.
 *
 * Targets: edit_parse(), schema_json_load(), edit_config(), spd_edit_put(), journal's config_save(). A
 * configuration that was made must be one that can be saved and loaded again.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/edit.h"
#include "libxesp/rpc.h"

#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char base_text[] =
	"version: 1\n"
	"tunnels:\n"
	"  - {name: a, local: 192.0.2.1, remote: 192.0.2.2}\n"
	"  - {name: b, local: 192.0.2.1, remote: 192.0.2.3, mode: transport}\n"
	"groups: [{name: g, tunnels: [a]}]\n"
	"sas:\n"
	"  - {name: o, tunnel: a, direction: out, spi: 4096, algorithm: aes-gcm-128, key: 0000000000000000000000000000000000000001}\n"
	"policies:\n"
	"  - {name: p, action: protect, tunnel: a, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n"
	"  - {name: q, action: protect, tunnel: b}\n";

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_control: %s\n", what);
	abort();
}

static struct config *base(void)
{
	static struct config *c;
	struct problems ps = { 0 };

	if (!c && config_load_text(&c, base_text, strlen(base_text), "base", &ps))
		broken("the base does not load");
	c->control = true;
	return c;
}

static void check_made(const struct config *c)
{
	struct problems ps = { 0 };
	struct config *back;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	config_save(c, out);
	fclose(out);
	if (config_load_text(&back, text, len, "saved", &ps)) {
		fprintf(stderr, "%s: %s\n%s", ps.problem[0].path, ps.problem[0].text, text);
		broken("what was made cannot be loaded again");
	}
	if (back->sad.sas_n != c->sad.sas_n || back->spd.n != c->spd.n)
		broken("what was saved is another");
	config_free(back);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_tokener *tok = json_tokener_new_ex(16);
	struct json_object *o = size <= INPUT_MAX ? json_tokener_parse_ex(tok, (const char *)data, (int)size) : NULL;
	struct problems ps = { 0 };
	struct config *out = NULL;
	struct edit e = { 0 };

	json_tokener_free(tok);
	if (json_object_is_type(o, json_type_object)) {
		int err = edit_parse(&e, o, &ps);

		rpc_wipe(o);
		if (!err)
			err = edit_config(&e, base(), &out, &ps);
		if (!err != (out != NULL) || (err && !ps.n && !ps.left_out))
			broken("refused without a sentence");
		if (out)
			check_made(out);
		config_free(out);
		edit_fini(&e);
	}
	json_object_put(o);
	return 0;
}
