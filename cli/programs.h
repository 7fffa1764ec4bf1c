/* SPDX-License-Identifier: Apache-2.0 */
/* programs.h: where the programs that belong to immure are. */
#ifndef IMMURE_CLI_PROGRAMS_H
#define IMMURE_CLI_PROGRAMS_H

#include "core/base.h"

/* Puts the path of program @name ("immure-jailer") into @path: beside the running executable, or
 * where `make install` puts it.  False when it is in none of these places. */
must_check bool program_find(const char *name, char *path, size_t size);

#endif
