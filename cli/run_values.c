/* SPDX-License-Identifier: Apache-2.0 */
/* run_values.c: strict readers.  What is not understood whole is refused: a limit that was
 * half understood is worse than none. */
#include "cli/run_values.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits; *@end points behind them.  False without a digit or on overflow. */
static bool digits(const char *s, const char **end, uint64_t *v)
{
	*v = 0;
	if (!is_digit(*s))
		return false;
	for (; is_digit(*s); s++)
		if (!mul_u64(*v, 10, v) || !add_u64(*v, (uint64_t)(*s - '0'), v))
			return false;
	*end = s;
	return true;
}

bool value_size(const char *s, uint64_t *bytes)
{
	static const char units[] = "KMGTkmgt";
	const char *rest, *unit;
	uint64_t v;

	if (!digits(s, &rest, &v))
		return false;
	unit = *rest ? strchr(units, *rest) : NULL;
	if (unit) {
		if (!mul_u64(v, 1ull << (10 * ((unit - units) % 4 + 1)), &v))
			return false;
		rest++;
		if (strcasecmp(rest, "iB") == 0 || strcasecmp(rest, "B") == 0)
			rest += strlen(rest);
	}
	*bytes = v;
	return *rest == '\0' && v <= INT64_MAX;
}

bool value_time(const char *s, uint64_t *ms)
{
	static const struct { const char *name; uint64_t ms; } units[] = {
		{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 },
		{ "min", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
	};
	const uint64_t year = 366ull * 24 * 3600 * 1000;
	uint64_t v, milli = 0, scale = 100;
	const char *rest;

	if (!digits(s, &rest, &v) || v > year)
		return false;
	if (*rest == '.') {
		if (!is_digit(rest[1]))
			return false;
		/* Thousandths of the unit; what is finer is cut off. */
		for (rest++; is_digit(*rest); rest++, scale /= 10)
			milli += (uint64_t)(*rest - '0') * scale;
	}
	for (size_t i = 0; i < array_len(units); i++) {
		if (strcmp(rest, units[i].name) != 0)
			continue;
		*ms = v * units[i].ms + milli * units[i].ms / 1000;
		return *ms <= year;
	}
	return false;
}

bool value_count(const char *s, uint64_t min, uint64_t max, uint64_t *count)
{
	const char *rest;

	return digits(s, &rest, count) && *rest == '\0' && *count >= min && *count <= max;
}

bool value_name(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				      "._-";
	size_t len = strlen(s);

	return len >= 1 && len <= 64 && strspn(s, letters) == len && !strchr("._-", s[0]);
}
