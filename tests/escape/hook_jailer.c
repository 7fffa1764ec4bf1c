/* SPDX-License-Identifier: Apache-2.0 */
/* hook_jailer.c: linked into the test build of the jailer, around functions of it (ld --wrap).
 *
 * Leaves out the layers that the run is without, in the jailer and in the children it prepares, and makes
 * the supervisor's attempts when the VMM has reported that the guest runs.
 *
 * no_new_privs cannot be left out by itself: a filter and a Landlock domain may only be put on with it, or
 * with CAP_SYS_ADMIN.  That run therefore keeps CAP_SYS_ADMIN as well, in the process's own user namespace
 * (the supervisor: all it has): what still holds then also holds with no_new_privs alone gone.
 */
#include "core/fdplan.h"
#include "core/log.h"
#include "jailer/capabilities.h"
#include "jailer/devices.h"
#include "jailer/landlock.h"
#include "jailer/limits.h"
#include "jailer/message.h"
#include "jailer/namespaces.h"
#include "jailer/place.h"
#include "jailer/plan.h"
#include "jailer/rootfs.h"
#include "jailer/violation.h"
#include "jailer/wall.h"
#include "tests/escape/escape.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

enum { CONFIG_FD = 3 };

static int leak[3] = { -1, -1, -1 };
static bool locking;		/* the jailer is becoming the supervisor */

void __real_plan_make(struct plan *p, const struct config *c, const struct plan_caller *who);
void __wrap_plan_make(struct plan *p, const struct config *c, const struct plan_caller *who);
int __real_seal(const struct seal_filter *f);
int __wrap_seal(const struct seal_filter *f);
int __real_seal_memory(void);
int __wrap_seal_memory(void);
int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __real_capabilities_limit(void);
int __wrap_capabilities_limit(void);
int __real_capabilities_after(enum capability_step step);
int __wrap_capabilities_after(enum capability_step step);
int __real_devices_deny(int cgroup);
int __wrap_devices_deny(int cgroup);
int __real_devices_deny_v1(int dir);
int __wrap_devices_deny_v1(int dir);
int __real_capabilities_bound(void);
int __wrap_capabilities_bound(void);
int __real_capabilities_drop(void);
int __wrap_capabilities_drop(void);
int __real_rootfs_enter(struct failure *f);
int __wrap_rootfs_enter(struct failure *f);
int __real_place_all(struct place *p, size_t n, int limit);
int __wrap_place_all(struct place *p, size_t n, int limit);
int __real_close_range(unsigned first, unsigned last, int flags);
int __wrap_close_range(unsigned first, unsigned last, int flags);
int __real_namespaces_start(const struct plan *p, struct failure *f);
int __wrap_namespaces_start(const struct plan *p, struct failure *f);
int __real_landlock_deny(int abi, enum landlock_scope scope, const struct landlock_allow *allow, size_t n);
int __wrap_landlock_deny(int abi, enum landlock_scope scope, const struct landlock_allow *allow, size_t n);
int __real_wall_attach(unsigned ifindex, const char *tap, const struct wall_config *c, struct failure *f);
int __wrap_wall_attach(unsigned ifindex, const char *tap, const struct wall_config *c, struct failure *f);
int __real_limits_apply(const struct plan_limits *l, uint64_t fsize);
int __wrap_limits_apply(const struct plan_limits *l, uint64_t fsize);
int __real_violation_observe(pid_t pid);
int __wrap_violation_observe(pid_t pid);
bool __real_message_running(int client);
bool __wrap_message_running(int client);

/* With the descriptors' plan off: what a jailer could forget to close. */
static void open_leaks(void)
{
	char path[80];

	log_format(path, sizeof(path), "%s/canary", escape.dir);
	leak[0] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	leak[1] = open(path, O_RDWR | O_CLOEXEC);
	leak[2] = open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

/* The first function that sees the configuration. */
void __wrap_plan_make(struct plan *p, const struct config *c, const struct plan_caller *who)
{
	escape_parse(c->cmdline);
	__real_plan_make(p, c, who);
	if (escape_without(LAYER_UID)) {
		for (unsigned i = 0; i < p->nprocs; i++) {
			p->proc[i].uid = who->uid;
			p->proc[i].gid = who->gid;
		}
	}
	if (escape_without(LAYER_NET))
		p->namespaces &= ~CLONE_NEWNET;
	if (escape_without(LAYER_PIDNS))
		p->namespaces &= ~CLONE_NEWPID;
	if (escape_without(LAYER_CGROUP))
		p->cgroup.wanted = false;
	if (escape_without(LAYER_FDS))
		open_leaks();
}

int __wrap_prctl(int option, ...)
{
	unsigned long arg[4];
	va_list ap;

	va_start(ap, option);
	for (unsigned i = 0; i < 4; i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if ((option == PR_SET_NO_NEW_PRIVS && escape_without(LAYER_NNP)) ||
	    (option == PR_SET_DUMPABLE && escape_without(LAYER_DUMPABLE)) ||
	    (option == PR_SET_MDWE && escape_without(LAYER_MDWE)))
		return 0;
	return __real_prctl(option, arg[0], arg[1], arg[2], arg[3]);
}

int __wrap_seal_memory(void)
{
	return escape_without(LAYER_MSEAL) ? 0 : __real_seal_memory();
}

int __wrap_seal(const struct seal_filter *f)
{
	bool coarse = strcmp(f->name, "jail") == 0 || strcmp(f->name, "jailer") == 0;

	locking = strcmp(f->name, "jailer") == 0;
	if (!escape_without(LAYER_SECCOMP) && (coarse || !escape_without(LAYER_TIGHT)))
		return __real_seal(f);
	return __wrap_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) |
	       __wrap_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static bool keeps_capabilities(void)
{
	return escape_without(LAYER_CAPS) || escape_without(LAYER_NNP);
}

/* To give a child the jailer's own user id, 0, takes a capability that the jailer gives up early. */
static bool keeps_capabilities_longer(void)
{
	return keeps_capabilities() || escape_without(LAYER_UID);
}

/* As root the jailer's very first step, before it has read what the VM goes without. */
static void look_ahead(void)
{
	static char text[8192];
	char *from;

	if (pread(CONFIG_FD, text, sizeof(text) - 1, 0) <= 0)
		return;
	from = strstr(text, "escape=");
	if (from == NULL)
		return;
	from[strcspn(from, "\"")] = 0;
	escape_parse(from);
}

int __wrap_capabilities_limit(void)
{
	look_ahead();
	return keeps_capabilities_longer() ? 0 : __real_capabilities_limit();
}

int __wrap_capabilities_after(enum capability_step step)
{
	return keeps_capabilities_longer() ? 0 : __real_capabilities_after(step);
}

int __wrap_capabilities_bound(void)
{
	return keeps_capabilities() ? 0 : __real_capabilities_bound();
}

int __wrap_devices_deny(int cgroup)
{
	return escape_without(LAYER_DEVICES) ? 0 : __real_devices_deny(cgroup);
}

int __wrap_devices_deny_v1(int dir)
{
	return escape_without(LAYER_DEVICES) ? 0 : __real_devices_deny_v1(dir);
}

/* Keeps @caps beyond exec: inheritable, and ambient. */
static int keep_capabilities(uint64_t caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	if (CALL(SYS_capget, &header, data) < 0)
		return -EPERM;
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(caps >> (32 * i));
		data[i].effective = data[i].inheritable = data[i].permitted;
	}
	if (CALL(SYS_capset, &header, data) < 0)
		return -EPERM;
	for (unsigned long cap = 0; cap < 64; cap++)
		if ((data[cap / 32].permitted >> cap % 32 & 1) != 0)
			__real_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0ul, 0ul);
	return 0;
}

int __wrap_capabilities_drop(void)
{
	/* The supervisor executes nothing any more: it keeps what it has. */
	if (locking && keeps_capabilities())
		return 0;
	if (escape_without(LAYER_CAPS))
		return keep_capabilities(~0ull);
	if (escape_without(LAYER_NNP))
		return keep_capabilities(1ull << CAP_SYS_ADMIN);
	return __real_capabilities_drop();
}

int __wrap_rootfs_enter(struct failure *f)
{
	return escape_without(LAYER_ROOT) ? 0 : __real_rootfs_enter(f);
}

int __wrap_place_all(struct place *p, size_t n, int limit)
{
	int rc = __real_place_all(p, n, limit);

	for (int i = 0; i < 3; i++)
		if (leak[i] >= 0)
			dup2(leak[i], ESCAPE_LEAK + i);
	return rc;
}

/* The supervisor's way to its own plan; the call in main() comes before the configuration. */
int __wrap_close_range(unsigned first, unsigned last, int flags)
{
	return escape_without(LAYER_FDS) ? 0 : __real_close_range(first, last, flags);
}

int __wrap_namespaces_start(const struct plan *p, struct failure *f)
{
	return escape_without(LAYER_NET) ? 0 : __real_namespaces_start(p, f);
}

int __wrap_landlock_deny(int abi, enum landlock_scope scope, const struct landlock_allow *allow, size_t n)
{
	return escape_without(LAYER_LANDLOCK) ? 0 : __real_landlock_deny(abi, scope, allow, n);
}

int __wrap_limits_apply(const struct plan_limits *l, uint64_t fsize)
{
	return escape_without(LAYER_RLIMITS) ? 0 : __real_limits_apply(l, fsize);
}

int __wrap_wall_attach(unsigned ifindex, const char *tap, const struct wall_config *c, struct failure *f)
{
	return escape_without(LAYER_WALL) ? 0 : __real_wall_attach(ifindex, tap, c, f);
}

int __wrap_violation_observe(pid_t pid)
{
	if (escape.peer == 0)
		escape.peer = pid;
	return __real_violation_observe(pid);
}

static void say(const char *line)
{
	message_log(SUP_CLIENT, "supervisor", line, strlen(line));
}

bool __wrap_message_running(int client)
{
	bool rc = __real_message_running(client);

	escape_try('s', say);
	return rc;
}
