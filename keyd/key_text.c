/* SPDX-License-Identifier: BSD-2-Clause */
/* key_text.c - see key_text.h. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyd/key_text.h"
#include "libxesp/secret.h"
#include "xesp/fault.h"

#define FILE_BYTES_MAX 1024

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int key_text_parse(uint8_t *out, size_t *len, const char *text, struct fault *f)
{
	size_t digits;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	digits = strlen(text);
	for (size_t i = 0; i < digits; i++)
		if (digit_value(text[i]) < 0)
			return fault_set(f, -EINVAL, "character %zu of the key is not a hex digit",
					 i + 1);
	if (!digits || digits % 2)
		return fault_set(f, -EINVAL,
				 "the key has %zu hex digits: two are needed for each byte", digits);
	if (digits / 2 > KEY_TEXT_BYTES_MAX)
		return fault_set(f, -EINVAL, "the key has %zu bytes: no algorithm takes so many",
				 digits / 2);
	for (size_t i = 0; i < digits / 2; i++)
		out[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
	*len = digits / 2;
	return 0;
}

static int check_file(int fd, const char *path, struct fault *f)
{
	struct stat st;

	if (fstat(fd, &st))
		return fault_set(f, -errno, "cannot stat %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fault_set(f, -EINVAL, "%s is not a regular file", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return fault_set(f, -EINVAL,
				 "%s has mode %04o and so is open to others: chmod 600 it, and change the key if others could read it",
				 path, (unsigned int)st.st_mode & 07777);
	if (st.st_uid && st.st_uid != geteuid())
		return fault_set(f, -EINVAL, "%s belongs to uid %u: it must be root's or keyd's own",
				 path, (unsigned int)st.st_uid);
	if (st.st_size >= FILE_BYTES_MAX)
		return fault_set(f, -EINVAL, "%s has %lld bytes: not a key", path,
				 (long long)st.st_size);
	return 0;
}

static int parse_file(int fd, char *text, uint8_t *out, size_t *len, struct fault *f)
{
	ssize_t n = read(fd, text, FILE_BYTES_MAX - 1);
	char *start = text, *end;

	if (n < 0)
		return fault_set(f, -errno, "cannot read: %s", strerror(errno));
	end = text + n;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	while (isspace((unsigned char)*start))
		start++;
	return key_text_parse(out, len, start, f);
}

int key_text_read(uint8_t *out, size_t *len, const char *dir, const char *path, struct fault *f)
{
	char full[PATH_MAX];
	char *text;
	int fd, err;

	if (snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" : dir,
		     path[0] == '/' ? "" : "/", path) >= (int)sizeof(full))
		return fault_set(f, -ENAMETOOLONG, "the path is too long");
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fault_set(f, -errno, "cannot open %s: %s", full, strerror(errno));
	err = check_file(fd, full, f);
	if (err)
		goto close_file;
	text = secret_alloc(FILE_BYTES_MAX);
	if (!text) {
		err = fault_set(f, -ENOMEM, "no locked memory: raise RLIMIT_MEMLOCK");
		goto close_file;
	}
	err = parse_file(fd, text, out, len, f);
	if (err)
		fault_in(f, err, "%s", full);
	secret_free(text, FILE_BYTES_MAX);
close_file:
	close(fd);
	return err;
}
