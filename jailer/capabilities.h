/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities.h: none, in any of the five sets, and no way to get one back. */
#ifndef IMMURE_JAILER_CAPABILITIES_H
#define IMMURE_JAILER_CAPABILITIES_H

#include "core/base.h"

/* First half, while the process may still change its ids: empties the bounding set and locks
 * the securebits.  Needs CAP_SETPCAP.  Returns 0 or -errno. */
must_check int capabilities_bound(void);

/* Second half: empties the permitted, effective, inheritable and ambient sets.  Returns 0 or
 * -errno. */
must_check int capabilities_drop(void);

#endif
