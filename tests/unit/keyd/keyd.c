/* SPDX-License-Identifier: BSD-2-Clause */
/* keyd.c - see keyd.h. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keyd/lease.h"
#include "tests/unit/keyd/keyd.h"
#include "xesp/log.h"

/* The maps' descriptors are doubled, so that a keyd can end and another begin on the same maps. */
static void open_maps(struct keyd *x)
{
	struct pins own = x->pins;

	for (int i = 0; i < PINS_MAX; i++)
		own.fd[i] = dup(x->pins.fd[i]);
	CU_ASSERT_EQUAL_FATAL(maps_adopt(&x->change.maps, &own, &x->f), 0);
}

void keyd_setup(struct keyd *x, uint32_t max_sas, uint32_t words)
{
	log_open("test", (enum log_level)0); /* refusals are what these tests are about */
	*x = (struct keyd){ .path = "/tmp/xesp-test-change-XXXXXX" };
	CU_ASSERT_FATAL(fixture_pins(&x->pins, max_sas, words));
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(x->path));
	CU_ASSERT_EQUAL_FATAL(state_dir_open(&x->dir, x->path, STATE_DIR_CREATE, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lease_create(&x->dir, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lease_open(&x->grants.book, &x->dir, NULL), 0);
	x->change.grants = &x->grants;
	open_maps(x);
}

static void end_keyd(struct keyd *x)
{
	config_free(x->change.now);
	maps_close(x->change.maps);
	lease_close(x->grants.book);
	free(x->grants.wants);
	x->grants = (struct grants){ 0 };
	x->change = (struct change){ .grants = &x->grants };
}

void keyd_restart(struct keyd *x)
{
	end_keyd(x);
	CU_ASSERT_EQUAL_FATAL(lease_open(&x->grants.book, &x->dir, NULL), 0);
	open_maps(x);
}

void keyd_finish(struct keyd *x)
{
	char file[96];

	end_keyd(x);
	state_dir_close(&x->dir);
	pins_close(&x->pins);
	snprintf(file, sizeof(file), "%s/leases", x->path);
	unlink(file);
	snprintf(file, sizeof(file), "%s/lock", x->path);
	unlink(file);
	rmdir(x->path);
}

static const char head[] = "version: 1\n"
			   "tunnels:\n"
			   "  - {name: t, local: 192.0.2.1, remote: 192.0.2.2}\n";

int keyd_apply(struct keyd *x, struct change_result *r, const char *sas, const char *policies)
{
	struct config *c = fixture_config("%s%s%s%s%s", head, sas[0] ? "sas:\n" : "", sas,
					  policies[0] ? "policies:\n" : "", policies);
	int err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	x->f.text[0] = '\0';
	err = change_apply(&x->change, c, r, &x->f);
	if (err)
		config_free(c);
	return err;
}

const struct sa *keyd_sa(const struct keyd *x, const char *name)
{
	const struct sad *sad = &x->change.now->sad;

	for (uint32_t i = 0; i < sad->sas_n; i++)
		if (!strcmp(sad->sas[i].name, name))
			return &sad->sas[i];
	return NULL;
}
