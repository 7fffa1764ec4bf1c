/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_production.c: gathers and prints the advice; the groups of checks have their own files. */
#include "cli/doctor_host.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = {
	[ADVICE_OK] = "ok", [ADVICE_GIVEN] = "advice", [ADVICE_UNKNOWN] = "unknown",
};

void advise(struct advices *to, const char *name, enum advice_result result, const char *why,
	    const char *fix, const char *fmt, ...)
{
	struct advice *a = &to->a[to->n < ADVICE_MAX ? to->n++ : ADVICE_MAX - 1];
	va_list args;

	*a = (struct advice){ .result = result, .why = why, .fix = fix };
	snprintf(a->name, sizeof(a->name), "%s", name);
	va_start(args, fmt);
	vsnprintf(a->state, sizeof(a->state), fmt, args);
	va_end(args);
	say_clean(a->name);
	say_clean(a->state);
}

int doctor_line(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	ssize_t n = -1;

	if (fd >= 0)
		n = read(fd, buf, size - 1);
	if (n < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	say_clean(buf);
	return err;
}

void advise_all(struct advices *to)
{
	struct doctor_host h = {
		.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.sys = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.etc = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};

	*to = (struct advices){ .n = 0 };
	advise_cpu(&h, to);
	advise_memory(&h, to);
	advise_sysctl(&h, to);
	advise_kernel(to);
	advise_cgroup(&h, to);
	advise_admin(&h, to);
	if (h.proc >= 0)
		close(h.proc);
	if (h.sys >= 0)
		close(h.sys);
	if (h.etc >= 0)
		close(h.etc);
}

void advices_print(const struct advices *all)
{
	for (unsigned i = 0; i < all->n; i++) {
		const struct advice *a = &all->a[i];

		printf("%-8s %-33s %s\n", words[a->result], a->name, a->state);
		if (a->result != ADVICE_OK)
			printf("         why: %s\n         fix: %s\n", a->why, a->fix);
	}
}

struct json_t *advices_json(const struct advices *all)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < all->n; i++) {
		const struct advice *a = &all->a[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "check", a->name,
						      "result", words[a->result], "detail", a->state,
						      "why", a->why, "fix", a->fix));
	}
	return list;
}

unsigned advices_given(const struct advices *all)
{
	unsigned n = 0;

	for (unsigned i = 0; i < all->n; i++)
		n += all->a[i].result == ADVICE_GIVEN;
	return n;
}

int doctor_status(unsigned missing, bool production, unsigned given)
{
	return missing == 0 && (!production || given == 0) ? 0 : 1;
}
