/* SPDX-License-Identifier: Apache-2.0 */
/* config_user.h: what a network through passt may look like. */
#ifndef IMMURE_JAILER_CONFIG_USER_H
#define IMMURE_JAILER_CONFIG_USER_H

#include "jailer/config.h"

enum { USER_MTU = 1500, USER_MTU_MAX = 32000 };

/* Checks @net, whose other side is passt and of which all strings are read, and fills in what was not
 * given.  @prefix: where in the configuration that is.  Returns 0, or -1 with @f filled. */
must_check int config_user_check(struct config_net *net, const char *prefix, struct failure *f);

/* Where the host may have passt; the first that is there counts. */
#define USER_PASST_PLACES { "/usr/bin/passt", "/usr/local/bin/passt" }

#endif
