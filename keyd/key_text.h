/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key_text.h - a key as people write it: hex in the configuration or in a file of its own.
 *
 * No sentence made here contains any of the text. Main thread.
 */
#ifndef XESP_KEYD_KEY_TEXT_H
#define XESP_KEYD_KEY_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct fault;

#define KEY_TEXT_BYTES_MAX 64

/*
 * Hex digits, an even number of them, "0x" before them allowed, into out[KEY_TEXT_BYTES_MAX],
 * which the caller wipes. *len gets the bytes. -EINVAL
 */
int key_text_parse(uint8_t *out, size_t *len, const char *text, struct fault *f);

/*
 * The same from a file: white space around the digits is allowed. `dir` is where a relative path
 * starts. The file must be a regular one, owned by us or root, closed to group and others.
 * -EINVAL, or -errno of open() and read(); the sentence names the path.
 */
int key_text_read(uint8_t *out, size_t *len, const char *dir, const char *path, struct fault *f);

#endif /* XESP_KEYD_KEY_TEXT_H */
