/* SPDX-License-Identifier: Apache-2.0 */
/* mac.h: the address of a VM's network interface. */
#ifndef IMMURE_JAILER_MAC_H
#define IMMURE_JAILER_MAC_H

#include "core/base.h"

enum { MAC_BYTES = 6, MAC_TEXT = 18 };

/* Reads "52:54:00:12:34:56": six times two hexadecimal digits.  False: it is something else, or
 * no address that one interface can have (all zero, or a group's). */
must_check bool mac_parse(const char *text, uint8_t mac[static MAC_BYTES]);

/* An address for interface @index of the VM @name: always the same, locally administered. */
void mac_derive(const char *name, unsigned index, uint8_t mac[static MAC_BYTES]);

/* Writes the text form to @text, returns it. */
const char *mac_format(const uint8_t mac[static MAC_BYTES], char text[static MAC_TEXT]);

#endif
