/* SPDX-License-Identifier: Apache-2.0 */
/* rundir.c: opens, and at the end empties, the directory of the VM's sockets.
 *
 * The supervisor keeps this directory until the end: to connect to sockets in it and to remove
 * it.  A plain directory descriptor would be a way back to the whole file system by "..", so
 * what is kept is a detached mount of just this directory (open_tree), whose ".." is itself.
 * Rootless kernels may refuse that; the plain descriptor then gives the supervisor no file
 * that its user could not reach anyway, and Landlock still stands in the way.
 *
 * Everything is done relative to the descriptor: socket addresses are 108 bytes, paths are
 * longer, and a component that is swapped meanwhile changes nothing.
 *
 * A mount can only be detached from inside our own mount namespace, and rootless one cannot tell
 * there any more whom a directory on the way belongs to.  So the path is judged before, and what
 * it leads to later must be the same directory. */
#include "jailer/rundir.h"
#include "core/log.h"
#include "core/pages.h"
#include "jailer/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

enum {
	BACKLOG = 128,
	ENTRIES_MAX = 4096,	/* removed at most: a directory is never walked for ever */
};

static const char seq_suffix[] = ".seq";

const char *rundir_socket_name(const struct config *c)
{
	return strrchr(c->vsock_path, '/') + 1;
}

/* Opens directory @plain, which it closes, so that nothing outside can be reached from it. */
static int detach(int plain)
{
	int tree, dir;

	if (plain < 0)
		return plain;
	tree = (int)syscall(SYS_open_tree, plain, "",
			    AT_EMPTY_PATH | OPEN_TREE_CLONE | O_CLOEXEC);
	if (tree < 0 && errno != EPERM && errno != EINVAL)
		return -errno;
	dir = path_open(tree < 0 ? plain : tree, ".", O_RDONLY | O_DIRECTORY, PATH_BELOW);
	/* @tree stays open until the supervisor claims its descriptors: closing it takes the
	 * mount apart, and the kernel then waits for a grace period. */
	close(plain);
	return dir;
}

/* @path without its last component, to @dir. */
static void parent_of(const char *path, char dir[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == path ? 1 : (size_t)(slash - path);

	memcpy(dir, path, len);
	dir[len] = 0;
}

/* Which of the two paths is given, and the directory it lies in. */
static const char *named(const struct config *c, char dir[PATH_MAX])
{
	const char *path = c->run_dir != NULL ? c->run_dir : c->vsock_path;

	parent_of(path, dir);
	return path;
}

static int same_directory(int a, int b)
{
	struct stat x, y;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return -errno;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino ? 0 : -ELOOP;
}

static int bind_here(int sock, const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	memcpy(un.sun_path, name, strlen(name));
	return bind(sock, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
}

/* True when nobody listens on the socket @name any more. */
static bool stale(int dir, const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;
	bool refused;
	int sock;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(un.sun_path, name, strlen(name));
	refused = sock >= 0 && connect(sock, (struct sockaddr *)&un, sizeof(un)) < 0 &&
		  errno == ECONNREFUSED;
	close(sock);
	return refused;
}

/* An error number, or 0 with *@sock bound to @name in @dir. */
static int bind_in(int dir, const char *name, int type, int *sock)
{
	int rc;

	*sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*sock < 0 || fchdir(dir) < 0)
		return -errno;
	rc = bind_here(*sock, name);
	if (rc == -EADDRINUSE && stale(dir, name)) {
		unlinkat(dir, name, 0);
		rc = bind_here(*sock, name);
	}
	return rc;
}

/* "<name>.seq": where clients connect that want messages. */
static const char *seq_name(const struct config *c, char name[sizeof(((struct sockaddr_un *)0)->sun_path)])
{
	log_format(name, sizeof(((struct sockaddr_un *)0)->sun_path), "%s%s",
		   rundir_socket_name(c), seq_suffix);
	return name;
}

/* Listens on @name of @type, which is @suffix behind the configured path. */
static int listen_on(struct opened *o, const struct config *c, int type, int index,
		     struct failure *f)
{
	char seq[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *name = type == SOCK_STREAM ? rundir_socket_name(c) : seq_name(c, seq);
	const char *suffix = type == SOCK_STREAM ? "" : seq_suffix;
	int dir = o->fd[OBJ_RUNDIR][0], sock, rc;

	rc = bind_in(dir, name, type, &sock);
	if (rc == -EADDRINUSE)
		return fail(f, 0, "choose another path, or stop who uses it",
			    "listen on %s%s: exists and is in use", c->vsock_path, suffix);
	if (rc == 0 && listen(sock, BACKLOG) < 0) {
		rc = -errno;
		unlinkat(dir, name, 0);
	}
	if (rc != 0)
		return fail(f, -rc, NULL, "listen on %s%s", c->vsock_path, suffix);
	o->fd[OBJ_LISTEN][index] = sock;
	return 0;
}

int rundir_listen(struct opened *o, const struct config *c, struct failure *f)
{
	int dir = o->fd[OBJ_RUNDIR][0];

	if (c->vsock_path == NULL)
		return 0;
	if (listen_on(o, c, SOCK_STREAM, 0, f) != 0)
		return -1;
	if (listen_on(o, c, SOCK_SEQPACKET, 1, f) != 0) {
		unlinkat(dir, rundir_socket_name(c), 0);
		return -1;
	}
	/* The children start in the directory that the jailer is in: not in this one. */
	return chdir("/") < 0 ? fail(f, errno, NULL, "leave the directory of %s", c->vsock_path) : 0;
}

int rundir_find(struct opened *o, const struct plan *p, struct failure *f)
{
	const struct config *c = p->config;
	char dir[PATH_MAX];
	int fd;

	if (c->run_dir == NULL && c->vsock_path == NULL)
		return 0;
	named(c, dir);
	fd = path_open_named(dir, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fail(f, -fd, path_advice(-fd, "make the directory first"), "open %s", dir);
	o->rundir_in = fd;
	return 0;
}

int rundir_open(struct opened *o, const struct plan *p, struct failure *f)
{
	const struct config *c = p->config;
	char in[PATH_MAX];
	const char *path;
	int above, dir, rc;

	if (o->rundir_in < 0)
		return 0;
	path = named(c, in);
	above = path_open(AT_FDCWD, in, O_PATH | O_DIRECTORY, PATH_HOST);
	rc = above < 0 ? above : same_directory(above, o->rundir_in);
	if (rc < 0)
		return fail(f, -rc, "who changed it?", "open %s again", in);
	dir = c->run_dir == NULL ? detach(above)
	    : detach(path_open(above, strrchr(path, '/') + 1, O_PATH | O_DIRECTORY, PATH_BELOW));
	if (dir < 0)
		return fail(f, -dir, path_advice(-dir, "make the directory first"),
			    "open the directory of %s", path);
	o->fd[OBJ_RUNDIR][0] = dir;
	if (c->run_dir == NULL)
		return 0;
	o->fd[OBJ_RUNPARENT][0] = detach(above);
	if (o->fd[OBJ_RUNPARENT][0] < 0)
		return fail(f, -o->fd[OBJ_RUNPARENT][0], NULL, "open the parent of %s", path);
	return 0;
}

/* "<base>_<digits>" */
static bool is_port_socket(const char *name, const char *base)
{
	size_t len = strlen(base);

	if (strncmp(name, base, len) != 0 || name[len] != '_' || name[len + 1] == 0)
		return false;
	return name[len + 1 + strspn(name + len + 1, "0123456789")] == 0;
}

/* Removes the port sockets; entries removed while the directory is read may hide others, so
 * the caller repeats until a round removes none.  No readdir(): it allocates. */
static unsigned remove_round(int dir, const char *base)
{
	char buf[4096] __attribute__((aligned(8)));
	const struct dirent64 *entry;
	unsigned removed = 0;
	ssize_t n;

	if (lseek(dir, 0, SEEK_SET) < 0)
		return 0;
	while ((n = getdents64(dir, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n; at += entry->d_reclen) {
			entry = (const void *)(buf + at);
			if (is_port_socket(entry->d_name, base) &&
			    unlinkat(dir, entry->d_name, 0) == 0)
				removed++;
		}
	}
	return removed;
}

void rundir_remove(int dir, int parent, const struct config *c)
{
	const char *name = c->vsock_path != NULL ? rundir_socket_name(c) : NULL;
	char seq[sizeof(((struct sockaddr_un *)0)->sun_path)];
	unsigned total = 0, round = 1;

	if (dir >= 0 && name != NULL) {
		unlinkat(dir, name, 0);
		unlinkat(dir, seq_name(c, seq), 0);
	}
	if (dir >= 0 && c->run_dir != NULL)
		unlinkat(dir, PAGES_NAME, 0);
	/* Without a directory of its own, the VM has made only those two. */
	while (dir >= 0 && name != NULL && c->run_dir != NULL && round > 0 &&
	       total < ENTRIES_MAX) {
		round = remove_round(dir, name);
		total += round;
	}
	if (parent < 0 || c->run_dir == NULL)
		return;
	if (dir >= 0)
		unlinkat(dir, RUNDIR_LOCK, 0);
	unlinkat(parent, strrchr(c->run_dir, '/') + 1, AT_REMOVEDIR);
}
