/* SPDX-License-Identifier: Apache-2.0 */
/* limit_spec.c: "tx-bw=10M,iops=500" to buckets and back. */
#include "cli/limit_spec.h"
#include "cli/run_values.h"

#include <stdio.h>
#include <string.h>

enum { SECOND_MS = 1000 };

enum what { BW, IOPS, BURST, WHATS };

static const char *const keys[WHATS] = { [BW] = "bw", [IOPS] = "iops", [BURST] = "burst" };
static const char *const prefixes[LIMITS_DIRECTIONS] = { [LIMITS_OUT] = "tx-", [LIMITS_IN] = "rx-" };

/* Which directions (bits) and what; *@value is behind the '='.  False: none of the keys. */
static bool take_key(const char *word, unsigned *directions, enum what *what, const char **value)
{
	size_t len = strcspn(word, "=");

	*directions = (1u << LIMITS_DIRECTIONS) - 1;
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		if (strncmp(word, prefixes[d], 3) == 0 && len > 3) {
			*directions = 1u << d;
			word += 3;
			len -= 3;
			break;
		}
	*value = word[len] != 0 ? word + len + 1 : NULL;
	for (*what = BW; *what < WHATS; (*what)++)
		if (strlen(keys[*what]) == len && memcmp(keys[*what], word, len) == 0)
			return *value != NULL;
	return false;
}

bool limit_spec_is(const char *word)
{
	unsigned directions;
	enum what what;
	const char *value;

	return take_key(word, &directions, &what, &value);
}

static void set(struct limit_values *v, enum what what, uint64_t n)
{
	switch (what) {
	case BW:
		v->bytes.size = n;
		v->bytes.refill_ms = SECOND_MS;
		break;
	case IOPS:
		v->ops = (struct bucket_limit){ .size = n, .refill_ms = SECOND_MS };
		break;
	case BURST:
		v->bytes.burst = n;
		break;
	case WHATS:
		break;
	}
}

const char *limit_spec_word(const char *word, bool directions,
			    struct limit_values v[LIMITS_DIRECTIONS])
{
	unsigned which;
	enum what what;
	const char *value;
	uint64_t n;

	if (!take_key(word, &which, &what, &value))
		return "wanted bw=SIZE, iops=N or burst=SIZE";
	if (!directions && word[2] == '-')
		return "a disk has one limit for both directions: no tx-, no rx-";
	if (what == IOPS ? !value_count(value, 0, BUCKET_TOKENS_MAX, &n) : !value_size(value, &n))
		return what == IOPS ? "not a number of operations a second"
				    : "not a size; try 10M or 512K";
	if (n > BUCKET_TOKENS_MAX)
		return "larger than 2^60";
	for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
		if ((which & 1u << d) != 0 && (directions || d == LIMITS_OUT))
			set(&v[d], what, n);
	return NULL;
}

static void print_one(char *buf, size_t size, const char *prefix, const char *key,
		      const struct bucket_limit *l)
{
	size_t at = strlen(buf);
	char every[32] = "";

	if (l->size == 0 || l->refill_ms == 0)
		return;
	if (l->refill_ms != SECOND_MS)
		snprintf(every, sizeof(every), "/%llums", (unsigned long long)l->refill_ms);
	snprintf(buf + at, size - at, "%s%s%s=%llu%s", at > 0 ? "," : "", prefix, key,
		 (unsigned long long)l->size, every);
	at = strlen(buf);
	if (l->burst != 0)
		snprintf(buf + at, size - at, ",%s%s=%llu", prefix,
			 strcmp(key, "bw") == 0 ? "burst" : "iops-burst",
			 (unsigned long long)l->burst);
}

void limit_spec_print(char *buf, size_t size, bool directions,
		      const struct limit_values v[LIMITS_DIRECTIONS])
{
	buf[0] = 0;
	for (unsigned d = 0; d < (directions ? LIMITS_DIRECTIONS : 1u); d++) {
		print_one(buf, size, directions ? prefixes[d] : "", keys[BW], &v[d].bytes);
		print_one(buf, size, directions ? prefixes[d] : "", keys[IOPS], &v[d].ops);
	}
	if (buf[0] == 0)
		snprintf(buf, size, "none");
}
