/* SPDX-License-Identifier: Apache-2.0 */
/* config_wall.c: lists of text to the numbers the packet wall compares. */
#include "jailer/config_wall.h"
#include "jailer/wall_text.h"

static int bad_line(struct failure *f, const char *prefix, const char *key, size_t i, const char *text,
	       const char *wrong)
{
	return fail(f, 0, NULL, "config: %s.%s[%zu]: %.80s: %s", prefix, key, i, text, wrong);
}

static int read_addresses(struct config_net *net, const json_t *list, const char *prefix, struct failure *f)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i)), *wrong;
		uint32_t before = net->wall.flags;

		wrong = text ? wall_address_parse(text, &net->wall) : "must be a string";
		if (!wrong && net->wall.flags == before)
			wrong = "one of each kind, IPv4 and IPv6, and no more";
		if (wrong)
			return bad_line(f, prefix, "addresses", i, text ? text : "", wrong);
	}
	return 0;
}

static int read_allow(struct config_net *net, const json_t *list, const char *prefix, struct failure *f)
{
	if (json_array_size(list) > WALL_ALLOW_MAX)
		return fail(f, 0, NULL, "config: %s.allow: at most %d lines", prefix, WALL_ALLOW_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i)), *wrong;

		wrong = text ? wall_allow_parse(text, &net->wall.allow[i]) : "must be a string";
		if (wrong)
			return bad_line(f, prefix, "allow", i, text ? text : "", wrong);
	}
	net->wall.flags |= list ? WALL_HAS_ALLOW : 0u;
	return 0;
}

int config_wall_read(struct config_net *net, const json_t *object, const char *prefix, struct failure *f)
{
	wall_config_init(&net->wall, net->mac);
	net->wall.rate = net->frame_rate;
	/* It has been checked. */
	if (net->tap == NULL && wall_address_parse(net->user.host, &net->wall) != NULL)
		return bad_line(f, prefix, "user", 0, net->user.host, "not an address");
	if (read_addresses(net, json_object_get(object, "addresses"), prefix, f) != 0 ||
	    read_allow(net, json_object_get(object, "allow"), prefix, f) != 0)
		return -1;
	if (net->wall.rate == 0 && (net->wall.flags & WALL_HAS_ALLOW) == 0)
		return 0;
	if (net->wall_mode == CONFIG_WALL_OFF)
		return fail(f, 0, NULL, "config: %s.wall: \"off\" keeps neither allow nor frame_rate",
			    prefix);
	net->wall_mode = CONFIG_WALL_ON;
	return 0;
}
