/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - the Internet checksum, RFC 1071, over what the slow path writes itself.
 */
#ifndef XESP_SLOW_CHECK_H
#define XESP_SLOW_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds n bytes as big-endian words; an odd last byte counts as if a zero followed. */
uint32_t check_add(uint32_t sum, const uint8_t *p, size_t n);

/* The value of the checksum field, host byte order. */
uint16_t check_fold(uint32_t sum);

#endif /* XESP_SLOW_CHECK_H */
