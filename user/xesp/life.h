/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * life.h - lines of `xesp sa NAME` about an SA's lifetime, its numbers, and how late packets come.
 */
#ifndef XESP_LIFE_H
#define XESP_LIFE_H

struct json_object;

/* `sa` is an element of keyd's answer to "sa", docs/control.md. */
void life_print(struct json_object *sa);

#endif /* XESP_LIFE_H */
