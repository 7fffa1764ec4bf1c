/* SPDX-License-Identifier: Apache-2.0 */
/* aml.h: writes ACPI Machine Language into a bounded buffer (ACPI 6.5 §20.2).
 *
 * Every call appends; when the buffer is full nothing more is written and the overflow is
 * remembered, so that only the end result needs checking.  Packages nest as calls do:
 *
 *     size_t dev = aml_open_device(a, "VR00");
 *     aml_name_integer(a, "_UID", 0);
 *     aml_close(a, dev); */
#ifndef IMMURE_VMM_ACPI_AML_H
#define IMMURE_VMM_ACPI_AML_H

#include "core/base.h"

struct aml {
	uint8_t *buf;
	size_t size;
	size_t len;			/* <= size */
	bool overflow;
};

void aml_init(struct aml *a, uint8_t *buf, size_t size);

void aml_bytes(struct aml *a, const void *bytes, size_t len);
void aml_integer(struct aml *a, uint32_t value);

/* Name (@name, ...); @name is one segment of four characters.  After aml_name() the caller
 * appends the object itself. */
void aml_name(struct aml *a, const char *name);
void aml_name_integer(struct aml *a, const char *name, uint32_t value);
void aml_name_string(struct aml *a, const char *name, const char *value);

/* Opens an object that has a length, which aml_close() fills in: Scope (\@name), Device
 * (@name), Package () of @elements, Buffer () of @bytes. */
size_t aml_open_scope(struct aml *a, const char *name);
size_t aml_open_device(struct aml *a, const char *name);
size_t aml_open_package(struct aml *a, uint8_t elements);
size_t aml_open_buffer(struct aml *a, uint8_t bytes);
void aml_close(struct aml *a, size_t opened);

#endif
