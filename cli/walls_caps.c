/* SPDX-License-Identifier: Apache-2.0 */
/* walls_caps.c: capability sets in words, with libcap-ng's names. */
#include "cli/walls.h"

#include <cap-ng.h>
#include <stdio.h>

const char *walls_caps(uint64_t set, char *buf, size_t size)
{
	size_t used = 0;

	snprintf(buf, size, "none");
	for (unsigned i = 0; i < 64; i++) {
		const char *name = set >> i & 1 ? capng_capability_to_name(i) : NULL;
		char number[8];

		if ((set >> i & 1) == 0)
			continue;
		snprintf(number, sizeof(number), "%u", i);
		if (used + 24 > size) {		/* no name is longer */
			snprintf(buf + used, size - used, ",...");
			break;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%s", used > 0 ? "," : "",
					 name != NULL ? name : number);
	}
	return buf;
}
