/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schema_table.h - the tables of schema.c, for the two that read by them: libcyaml, and
 * schema_json.c.
 */
#ifndef XESP_KEYD_SCHEMA_TABLE_H
#define XESP_KEYD_SCHEMA_TABLE_H

#include <cyaml/cyaml.h>
#include <stdint.h>

/* Of struct raw_config; ends with a NULL key. */
extern const cyaml_schema_field_t schema_config_fields[];

/* "a, b, c": the keys of a mapping, the words of a value; synonyms are left out. */
void schema_list_keys(const cyaml_schema_field_t *fields, char *buf, size_t len);
void schema_list_words(const cyaml_strval_t *words, uint32_t n, char *buf, size_t len);

#endif /* XESP_KEYD_SCHEMA_TABLE_H */
