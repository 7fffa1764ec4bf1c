/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.h: what the processes of a VM share of a processor with others. */
#ifndef IMMURE_JAILER_CPU_H
#define IMMURE_JAILER_CPU_H

#include "core/base.h"
#include "jailer/config.h"
#include "jailer/failure.h"

/* Does to the calling process, for ever, what @c asks for: takes its speculation away, and gives
 * it a core scheduling cookie that nobody else has.  Children inherit both.  Returns 0, or -1
 * with @f filled where the kernel cannot do it and it would make a difference. */
must_check int cpu_restrict(const struct config *c, struct failure *f);

#endif
