/* SPDX-License-Identifier: Apache-2.0 */
/* mac.c: parsed, derived, printed.
 *
 * A derived address is a hash of the VM's name (FNV-1a, 64 bits), so that a VM that is started
 * again is the same neighbour.  46 bits of it count; it keeps nobody from choosing a name that
 * collides, who could give the address itself. */
#include "jailer/mac.h"

#include <stdio.h>
#include <string.h>

static int digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c != 0 ? strchr(digits, c) : NULL;

	if (at == NULL)
		return -1;
	return (int)(at - digits) - (at - digits > 15 ? 6 : 0);
}

bool mac_parse(const char *text, uint8_t mac[static MAC_BYTES])
{
	unsigned any = 0;

	for (int i = 0; i < MAC_BYTES; i++, text += 3) {
		int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);

		if (low < 0 || text[2] != (i + 1 < MAC_BYTES ? ':' : 0))
			return false;
		mac[i] = (uint8_t)(high * 16 + low);
		any |= mac[i];
	}
	return any != 0 && (mac[0] & 1) == 0;
}

void mac_derive(const char *name, unsigned index, uint8_t mac[static MAC_BYTES])
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name != 0; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
	hash = (hash ^ index) * 0x100000001b3u;
	for (int i = 0; i < MAC_BYTES; i++)
		mac[i] = (uint8_t)(hash >> 8 * i);
	/* Local, and one interface's. */
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}

const char *mac_format(const uint8_t mac[static MAC_BYTES], char text[static MAC_TEXT])
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return text;
}
