/* SPDX-License-Identifier: Apache-2.0 */
/* walls_parse.c: see walls_parse.h. */
#include "cli/walls_parse.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const walls_ns_names[WALLS_NS] = {
	"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time",
};
const char *const walls_cap_names[WALLS_CAPS] = {
	"inheritable", "permitted", "effective", "bounding", "ambient",
};
const char *const walls_limit_names[WALLS_RLIMITS] = {
	"core", "nofile", "nproc", "fsize", "memlock", "msgqueue", "nice", "rtprio", "as",
};

/* ---- lines and numbers ---- */

static const char *next_line(const char *at)
{
	const char *eol = strchr(at, '\n');

	return eol != NULL ? eol + 1 : NULL;
}

/* What follows "KEY:" and blanks on its line, or NULL. */
static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = text; at != NULL; at = next_line(at))
		if (strncmp(at, key, len) == 0 && at[len] == ':')
			return at + len + 1 + strspn(at + len + 1, " \t");
	return NULL;
}

/* An unsigned number at *@at, which moves past it.  No sign, no leading blank line, no overflow. */
static bool number(const char **at, int base, uint64_t *value)
{
	const char *start = *at + strspn(*at, " \t");
	char *end;

	if (!isxdigit((unsigned char)*start))
		return false;
	errno = 0;
	*value = strtoull(start, &end, base);
	if (errno != 0 || end == start || (*end != 0 && !isspace((unsigned char)*end)))
		return false;
	*at = end;
	return true;
}

static bool number_of(const char *text, const char *key, int base, uint64_t max, uint64_t *value)
{
	const char *at = value_of(text, key);

	return at != NULL && number(&at, base, value) && *value <= max;
}

static bool unsigned_of(const char *text, const char *key, unsigned *value)
{
	uint64_t n;

	if (!number_of(text, key, 10, UINT_MAX, &n))
		return false;
	*value = (unsigned)n;
	return true;
}

/* ---- status ---- */

static bool four_ids(const char *text, const char *key, uint32_t id[4])
{
	const char *at = value_of(text, key);
	uint64_t n;

	for (unsigned i = 0; i < 4; i++) {
		if (at == NULL || !number(&at, 10, &n) || n > UINT32_MAX)
			return false;
		id[i] = (uint32_t)n;
	}
	return true;
}

/* How many numbers stand on the line of @key, and the last of them. */
static bool count_of(const char *text, const char *key, unsigned *count, unsigned *final)
{
	const char *at = value_of(text, key);
	uint64_t n;

	*count = 0;
	*final = 0;
	if (at == NULL || strchr(at, '\n') == NULL)
		return false;
	while (number(&at, 10, &n)) {
		*final = (unsigned)n;
		(*count)++;
	}
	return at[strspn(at, " \t")] == '\n';
}

static bool name_of(const char *text, char *name, size_t size)
{
	const char *at = value_of(text, "Name");

	if (at == NULL)
		return false;
	snprintf(name, size, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

static void words_of(const char *text, const char *key, char *words, size_t size)
{
	const char *at = value_of(text, key);

	snprintf(words, size, "%.*s", at != NULL ? (int)strcspn(at, "\n") : 0, at != NULL ? at : "");
}

bool walls_parse_status(const char *text, struct walls_status *s)
{
	static const char *const sets[WALLS_CAPS] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	const char *state = value_of(text, "State");
	unsigned ppid, tracer, nnp, unused;

	*s = (struct walls_status){ .ppid = 0 };
	if (!name_of(text, s->name, sizeof(s->name)) || state == NULL || !unsigned_of(text, "PPid", &ppid) ||
	    !unsigned_of(text, "TracerPid", &tracer) || !four_ids(text, "Uid", s->uid) ||
	    !four_ids(text, "Gid", s->gid) || !count_of(text, "Groups", &s->groups, &unused) ||
	    !count_of(text, "NSpid", &s->levels, &s->nspid) ||
	    !unsigned_of(text, "Threads", &s->threads) || !unsigned_of(text, "NoNewPrivs", &nnp) ||
	    !unsigned_of(text, "Seccomp", &s->mode) ||
	    !unsigned_of(text, "Seccomp_filters", &s->filters))
		return false;
	for (unsigned i = 0; i < WALLS_CAPS; i++)
		if (!number_of(text, sets[i], 16, UINT64_MAX, &s->cap[i]))
			return false;
	s->state = state[0];
	s->ppid = (pid_t)ppid;
	s->tracer = (pid_t)tracer;
	s->no_new_privs = nnp == 1;
	words_of(text, "Speculation_Store_Bypass", s->store_bypass, sizeof(s->store_bypass));
	words_of(text, "SpeculationIndirectBranch", s->indirect_branch, sizeof(s->indirect_branch));
	return true;
}

/* ---- the small ones ---- */

bool walls_parse_ns(const char *text, const char *name, uint64_t *inode)
{
	size_t len = strlen(name);
	char *end;

	if (strncmp(text, name, len) != 0 || strncmp(text + len, ":[", 2) != 0 ||
	    !isdigit((unsigned char)text[len + 2]))
		return false;
	errno = 0;
	*inode = strtoull(text + len + 2, &end, 10);
	return errno == 0 && strcmp(end, "]") == 0;
}

bool walls_parse_map(const char *text, struct walls_map *m)
{
	uint64_t total = 0;

	*m = (struct walls_map){ .count = 0 };
	for (const char *at = text; at != NULL && *at != 0; at = next_line(at)) {
		struct walls_map line;
		const char *p = at;

		if (!number(&p, 10, &line.inside) || !number(&p, 10, &line.outside) ||
		    !number(&p, 10, &line.count) || !add_u64(total, line.count, &total))
			return false;
		if (at == text)
			*m = line;
	}
	m->count = total;
	return true;
}

/* True when "ro" is one of the words of the comma-separated list at @at. */
static bool has_ro(const char *at)
{
	size_t len = strcspn(at, " \n");

	for (const char *w = at; w < at + len; w += strcspn(w, ", \n") + 1)
		if (strncmp(w, "ro", 2) == 0 && strchr(", \n", w[2]) != NULL)
			return true;
	return false;
}

/* Field @n of the line at @at (0 is the first), or NULL when the line ends before. */
static const char *field(const char *at, unsigned n)
{
	for (; n > 0; n--) {
		at += strcspn(at, " \n");
		if (*at != ' ')
			return NULL;
		at++;
	}
	return *at != 0 && *at != '\n' && *at != ' ' ? at : NULL;
}

/* "36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw": a mount is read-only when the
 * mount is, or all of its file system. */
bool walls_parse_mounts(const char *text, struct walls_mounts *m)
{
	*m = (struct walls_mounts){ 0, 0 };
	for (const char *at = text; at != NULL && *at != 0; at = next_line(at)) {
		const char *eol = strchr(at, '\n'), *options = field(at, 5);
		const char *dash = strstr(at, " - ");
		const char *super = dash != NULL && dash < eol ? field(dash + 1, 3) : NULL;

		if (eol == NULL || options == NULL || super == NULL)
			return false;
		m->n++;
		m->writable += !has_ro(options) && !has_ro(super);
	}
	return true;
}

static bool limit_value(const char **at, uint64_t *value)
{
	static const char word[] = "unlimited";

	*at += strspn(*at, " ");
	if (strncmp(*at, word, strlen(word)) != 0)
		return number(at, 10, value);
	*at += strlen(word);
	*value = UINT64_MAX;
	return true;
}

bool walls_parse_limits(const char *text, struct walls_limits *l)
{
	static const char *const titles[WALLS_RLIMITS] = {
		"Max core file size ", "Max open files ", "Max processes ", "Max file size ",
		"Max locked memory ", "Max msgqueue size ", "Max nice priority ",
		"Max realtime priority ", "Max address space ",
	};
	unsigned seen = 0;

	for (const char *at = text; at != NULL; at = next_line(at)) {
		for (unsigned i = 0; i < WALLS_RLIMITS; i++) {
			const char *p = at + strlen(titles[i]);

			if (strncmp(at, titles[i], strlen(titles[i])) != 0)
				continue;
			if (!limit_value(&p, &l->soft[i]) || !limit_value(&p, &l->hard[i]))
				return false;
			seen |= 1u << i;
		}
	}
	return seen == (1u << WALLS_RLIMITS) - 1;
}

/* ---- descriptors ---- */

unsigned walls_parse_link(const char *text)
{
	static const struct {
		const char *prefix;
		unsigned kind;
	} all[] = {
		{ "socket:[", KIND_SOCKET }, { "pipe:[", KIND_PIPE },
		{ "anon_inode:[eventfd]", KIND_EVENTFD }, { "anon_inode:[eventpoll]", KIND_EPOLL },
		{ "anon_inode:[pidfd]", KIND_PIDFD }, { "pidfd:[", KIND_PIDFD },
		{ "anon_inode:[signalfd]", KIND_SIGNALFD }, { "anon_inode:[timerfd]", KIND_TIMERFD },
		{ "anon_inode:kvm-vm", KIND_KVM_VM }, { "anon_inode:kvm-vcpu", KIND_KVM_VCPU },
		{ "/memfd:", KIND_MEMFD }, { "/dev/kvm", KIND_KVM },
	};

	for (size_t i = 0; i < array_len(all); i++)
		if (strncmp(text, all[i].prefix, strlen(all[i].prefix)) == 0)
			return all[i].kind;
	return text[0] == '/' ? KIND_UNKNOWN : KIND_OTHER;
}

static unsigned kind_by_lines(const char *text)
{
	static const struct {
		const char *key;
		unsigned kind;
	} all[] = {
		{ "eventfd-count", KIND_EVENTFD }, { "tfd", KIND_EPOLL }, { "sigmask", KIND_SIGNALFD },
		{ "clockid", KIND_TIMERFD }, { "scm_fds", KIND_SOCKET },
		{ "iff", KIND_CHAR },		/* a tap */
		{ "Pid", KIND_PIDFD },
	};

	for (size_t i = 0; i < array_len(all); i++)
		if (value_of(text, all[i].key) != NULL)
			return all[i].kind;
	return KIND_UNKNOWN;
}

bool walls_parse_fdinfo(const char *text, struct walls_fdinfo *f)
{
	static const char *const modes[] = { "r", "w", "rw", "?" };
	uint64_t flags, inode = 0;

	if (!number_of(text, "flags", 8, UINT64_MAX, &flags))
		return false;
	(void)number_of(text, "ino", 10, UINT64_MAX, &inode);	/* from Linux 5.14 on */
	*f = (struct walls_fdinfo){ .inode = inode, .kind = kind_by_lines(text) };
	snprintf(f->access, sizeof(f->access), "%s", flags & O_PATH ? "-" : modes[flags & O_ACCMODE]);
	return true;
}

/* The last component of @path, when what is before it ends with @parent. */
static bool last_below(const char *path, const char *parent, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t len = strlen(parent);

	if (slash == NULL || slash[1] == 0 || strlen(slash + 1) >= size ||
	    (size_t)(slash - path) < len || strncmp(slash - len, parent, len) != 0)
		return false;
	snprintf(name, size, "%s", slash + 1);
	return true;
}

bool walls_parse_group(const char *path, char *name, size_t size)
{
	return last_below(path, "/immure", name, size);
}

bool walls_parse_run_dir(const char *path, char *name, size_t size)
{
	static const char tmp[] = "/tmp/immure-";
	const char *digits = path + strlen(tmp);

	if (last_below(path, "/immure", name, size))
		return true;
	if (strncmp(path, tmp, strlen(tmp)) != 0 || digits[strspn(digits, "0123456789")] != '/')
		return false;
	return last_below(path, "", name, size) && strcspn(digits, "/") + 1 + strlen(name) == strlen(digits);
}
