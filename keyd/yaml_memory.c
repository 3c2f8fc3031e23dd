/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yaml_memory.c - libyaml's memory calls, replaced by ones that wipe what they free.
 *
 * Why it exists: libyaml copies every scalar, keys too, into token, event and input buffers. glibc
 * does not overwrite small freed blocks (those that stay in the thread's cache), also with
 * M_PERTURB. libyaml calls its own four memory functions through the dynamic symbol table, so
 * definitions in the program take their place; tests/unit/keyd/test_source.c checks that they do.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/yaml_memory.h"
#include "libxesp/secret.h"

static size_t wiped_n;

size_t yaml_memory_wiped(void)
{
	return wiped_n;
}

void *yaml_malloc(size_t size)
{
	return malloc(size ? size : 1);
}

void yaml_free(void *p)
{
	if (!p)
		return;
	secret_wipe(p, malloc_usable_size(p));
	wiped_n++;
	free(p);
}

void *yaml_realloc(void *p, size_t size)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *fresh = yaml_malloc(size);

	if (!fresh)
		return NULL;
	if (p)
		memcpy(fresh, p, old < size ? old : size);
	yaml_free(p);
	return fresh;
}

char *yaml_strdup(const char *text)
{
	size_t len;
	char *copy;

	if (!text)
		return NULL;
	len = strlen(text) + 1;
	copy = yaml_malloc(len);
	if (copy)
		memcpy(copy, text, len);
	return copy;
}
