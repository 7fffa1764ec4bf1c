/* SPDX-License-Identifier: Apache-2.0 */
/* users.c: passwd(5) and group(5) of the image.
 *
 * The files are the image's and may be anything: a missing one is empty, lines that do not
 * parse are passed over, names are compared whole, and a number is decimal digits below
 * 2^32 - 1 (which means "no user" to the kernel).  Read whole, once, at most USERS_FILE bytes:
 * what lies behind does not exist. */
#include "guest/users.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct text {
	const char *p;
	size_t len;
};

enum { PASSWD_NAME = 0, PASSWD_UID = 2, PASSWD_GID = 3, PASSWD_HOME = 5 };
enum { GROUP_NAME = 0, GROUP_GID = 2, GROUP_MEMBERS = 3 };

/* Splits the first piece of @rest, up to @separator or its end, off into @piece. */
static bool split(struct text *rest, char separator, struct text *piece)
{
	const char *end;

	if (!rest->p)
		return false;
	end = memchr(rest->p, separator, rest->len);
	piece->p = rest->p;
	piece->len = end ? (size_t)(end - rest->p) : rest->len;
	rest->p = end ? end + 1 : NULL;
	rest->len = end ? rest->len - piece->len - 1 : 0;
	return true;
}

static struct text field(struct text line, unsigned n)
{
	struct text f = { NULL, 0 };

	for (unsigned i = 0; i <= n; i++)
		if (!split(&line, ':', &f))
			return (struct text){ NULL, 0 };
	return f;
}

static bool same(struct text a, struct text b)
{
	return a.p && b.p && a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

static bool number(struct text t, uint32_t *out)
{
	uint64_t v = 0;

	if (!t.p || t.len < 1 || t.len > 10)
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	*out = (uint32_t)v;
	return v < UINT32_MAX;
}

/* The file's contents in @buf; empty when it is missing or not a regular file. */
static struct text slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct text t = { buf, 0 };
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return t;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		while (t.len < size && (n = read(fd, buf + t.len, size - t.len)) > 0)
			t.len += (size_t)n;
	close(fd);
	return t;
}

static void set_home(struct identity *id, struct text home)
{
	if (home.len < 1 || home.len >= sizeof(id->home) || home.p[0] != '/')
		return;
	memcpy(id->home, home.p, home.len);
	id->home[home.len] = '\0';
}

/* Finds @user by name, else by number; *@name becomes the entry's name. */
static bool find_user(struct text passwd, struct text user, struct identity *id,
		      struct text *name)
{
	uint32_t wanted = 0, uid, gid;
	bool by_number = number(user, &wanted), found = false;
	struct text line;

	while (split(&passwd, '\n', &line)) {
		bool named = same(field(line, PASSWD_NAME), user);

		if (!number(field(line, PASSWD_UID), &uid) ||
		    !number(field(line, PASSWD_GID), &gid))
			continue;
		if (!named && (found || !by_number || uid != wanted))
			continue;
		id->uid = uid;
		id->gid = gid;
		memcpy(id->home, "/", 2);
		set_home(id, field(line, PASSWD_HOME));
		*name = field(line, PASSWD_NAME);
		found = true;
		if (named)
			break;
	}
	if (!found && by_number)
		id->uid = wanted;
	return found || by_number;
}

static bool find_group(struct text group, struct text wanted, uint32_t *gid)
{
	struct text line;

	while (split(&group, '\n', &line))
		if (same(field(line, GROUP_NAME), wanted) &&
		    number(field(line, GROUP_GID), gid))
			return true;
	return number(wanted, gid);
}

static bool has_member(struct text members, struct text name)
{
	struct text member;

	while (split(&members, ',', &member))
		if (same(member, name))
			return true;
	return false;
}

static void add_groups(struct identity *id, struct text group, struct text name)
{
	struct text line;
	uint32_t gid;

	while (id->ngroups < USERS_GROUPS && split(&group, '\n', &line))
		if (number(field(line, GROUP_GID), &gid) &&
		    has_member(field(line, GROUP_MEMBERS), name))
			id->groups[id->ngroups++] = gid;
}

static int resolve(struct identity *id, const char *spec, struct text passwd,
		   struct text groups, struct fail *f)
{
	struct text rest = { spec, strlen(spec) }, user = { NULL, 0 }, name = { NULL, 0 };

	memset(id, 0, sizeof(*id));
	memcpy(id->home, "/", 2);
	if (!split(&rest, ':', &user) || user.len == 0)
		user = (struct text){ "0", 1 };
	if (!find_user(passwd, user, id, &name))
		return fail(f, PROTO_FAIL_SETUP,
			    "user %.*s is not in the image's /etc/passwd; a number needs no entry",
			    (int)min_u64(user.len, 64), user.p);
	if (!rest.p) {
		if (name.p)
			add_groups(id, groups, name);
		return 0;
	}
	if (!find_group(groups, rest, &id->gid))
		return fail(f, PROTO_FAIL_SETUP,
			    "group %.*s is not in the image's /etc/group; a number needs no entry",
			    (int)min_u64(rest.len, 64), rest.p);
	return 0;
}

int users_lookup(struct identity *id, const char *spec, struct fail *f)
{
	static char passwd[USERS_FILE], group[USERS_FILE];

	return resolve(id, spec, slurp("/etc/passwd", passwd, sizeof(passwd)),
		       slurp("/etc/group", group, sizeof(group)), f);
}
