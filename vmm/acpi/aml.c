/* SPDX-License-Identifier: Apache-2.0 */
/* aml.c: writes ACPI Machine Language into a bounded buffer (ACPI 6.5 §20.2).
 *
 * Lengths of packages are always written in the two-byte form (§20.2.4), so that they can be
 * filled in afterwards: up to 4095 bytes, which is more than our whole buffer. */
#include "vmm/acpi/aml.h"

#include <string.h>

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
	ROOT_CHAR = 0x5c,
	LENGTH_BYTES = 2,
	LENGTH_MAX = 0xfff,
	NAME_BYTES = 4,
};

void aml_init(struct aml *a, uint8_t *buf, size_t size)
{
	*a = (struct aml){ .buf = buf, .size = size };
}

void aml_bytes(struct aml *a, const void *bytes, size_t len)
{
	if (a->overflow || len > a->size - a->len) {
		a->overflow = true;
		return;
	}
	memcpy(a->buf + a->len, bytes, len);
	a->len += len;
}

static void put(struct aml *a, uint8_t byte)
{
	aml_bytes(a, &byte, 1);
}

/* The shortest encoding, as every compiler emits it (§20.2.3). */
void aml_integer(struct aml *a, uint32_t value)
{
	if (value <= 1) {
		put(a, value == 0 ? OP_ZERO : OP_ONE);
	} else if (value <= UINT8_MAX) {
		put(a, OP_BYTE);
		aml_bytes(a, &value, 1);
	} else if (value <= UINT16_MAX) {
		put(a, OP_WORD);
		aml_bytes(a, &value, 2);
	} else {
		put(a, OP_DWORD);
		aml_bytes(a, &value, 4);
	}
}

void aml_name(struct aml *a, const char *name)
{
	put(a, OP_NAME);
	aml_bytes(a, name, NAME_BYTES);
}

void aml_name_integer(struct aml *a, const char *name, uint32_t value)
{
	aml_name(a, name);
	aml_integer(a, value);
}

void aml_name_string(struct aml *a, const char *name, const char *value)
{
	aml_name(a, name);
	put(a, OP_STRING);
	aml_bytes(a, value, strlen(value) + 1);
}

/* Leaves room for the length and returns where that is. */
static size_t open_length(struct aml *a)
{
	static const uint8_t room[LENGTH_BYTES];
	size_t at = a->len;

	aml_bytes(a, room, sizeof(room));
	return at;
}

size_t aml_open_scope(struct aml *a, const char *name)
{
	size_t at;

	put(a, OP_SCOPE);
	at = open_length(a);
	put(a, ROOT_CHAR);
	aml_bytes(a, name, NAME_BYTES);
	return at;
}

size_t aml_open_device(struct aml *a, const char *name)
{
	size_t at;

	put(a, OP_EXT);
	put(a, OP_EXT_DEVICE);
	at = open_length(a);
	aml_bytes(a, name, NAME_BYTES);
	return at;
}

size_t aml_open_package(struct aml *a, uint8_t elements)
{
	size_t at;

	put(a, OP_PACKAGE);
	at = open_length(a);
	put(a, elements);
	return at;
}

size_t aml_open_buffer(struct aml *a, uint8_t bytes)
{
	size_t at;

	put(a, OP_BUFFER);
	at = open_length(a);
	aml_integer(a, bytes);
	return at;
}

void aml_close(struct aml *a, size_t opened)
{
	size_t len = a->len - opened;

	if (a->overflow || len > LENGTH_MAX) {
		a->overflow = true;
		return;
	}
	a->buf[opened] = (uint8_t)(0x40 | (len & 0xf));
	a->buf[opened + 1] = (uint8_t)(len >> 4);
}
