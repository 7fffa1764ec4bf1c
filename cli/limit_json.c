/* SPDX-License-Identifier: Apache-2.0 */
/* limit_json.c: rate limits as JSON, in Firecracker's form. */
#include "cli/limit_spec.h"

#include <jansson.h>

static json_t *bucket(const struct bucket_limit *l)
{
	if (l->size == 0 || l->refill_ms == 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "size", (json_int_t)l->size, "one_time_burst",
			 (json_int_t)l->burst, "refill_time", (json_int_t)l->refill_ms);
}

json_t *limit_json(const struct limit_values *v)
{
	return json_pack("{s:o, s:o}", "bandwidth", bucket(&v->bytes), "ops", bucket(&v->ops));
}
