/* SPDX-License-Identifier: BSD-2-Clause */
/* yaml_memory.h - libyaml's own memory calls (yaml/yaml_private.h), which we define ourselves. */
#ifndef XESP_KEYD_YAML_MEMORY_H
#define XESP_KEYD_YAML_MEMORY_H

#include <stddef.h>

void *yaml_malloc(size_t size);
void *yaml_realloc(void *p, size_t size);
void yaml_free(void *p);
char *yaml_strdup(const char *text);

/* How many blocks were wiped: a test sees by it that libyaml does call us. */
size_t yaml_memory_wiped(void);

#endif /* XESP_KEYD_YAML_MEMORY_H */
