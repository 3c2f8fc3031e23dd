/* SPDX-License-Identifier: BSD-2-Clause */
/* vector.c - see vector.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pair/vector.h"

#define FIELDS_MAX 16

int vector_each(const char *path, int fields, void (*row)(char **field, void *ctx), void *ctx)
{
	FILE *file = fopen(path, "r");
	char *field[FIELDS_MAX], *line = NULL;
	size_t room = 0;
	int rows = 0;

	if (!file) {
		perror(path);
		return -1;
	}
	while (rows >= 0 && getline(&line, &room, file) > 0) {
		int n = 0;

		if (line[0] == '#')
			continue;
		for (char *s = strtok(line, " \n"); s && n < FIELDS_MAX; s = strtok(NULL, " \n"))
			field[n++] = s;
		if (n != fields) {
			fprintf(stderr, "%s: row %d has %d fields\n", path, rows + 1, n);
			rows = -1;
			break;
		}
		row(field, ctx);
		rows++;
	}
	free(line);
	fclose(file);
	return rows;
}

uint32_t vector_hex(uint8_t *out, size_t room, const char *hex)
{
	uint32_t n = 0;
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
		if (n == room) {
			fprintf(stderr, "vector longer than %zu bytes\n", room);
			exit(70);
		}
		out[n++] = (uint8_t)byte;
	}
	return n;
}
