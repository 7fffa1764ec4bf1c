/* SPDX-License-Identifier: Apache-2.0 */
/* config_wall.h: what the configuration says of an interface's packet wall. */
#ifndef IMMURE_JAILER_CONFIG_WALL_H
#define IMMURE_JAILER_CONFIG_WALL_H

#include "jailer/config.h"

#include <jansson.h>

/* Fills net->wall from @object, the JSON of the interface, whose scalars are in @net already and
 * whose "addresses" and "allow" are arrays if they are there.  @prefix names it in messages.
 * Returns 0, or -1 with @f filled. */
must_check int config_wall_read(struct config_net *net, const json_t *object, const char *prefix,
				struct failure *f);

#endif
