/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_jail.c: what immure needs of the host to build its walls. */
#include "cli/doctor.h"
#include "core/seal.h"
#include "jailer/config_user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP2_MAGIC 0x63677270
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* Runs @f in a child; its wait status, or -1. */
static int in_child(int (*f)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(f());
	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

static enum doctor_result errno_result(int status, char *detail)
{
	if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return DOCTOR_OK;
	if (status >= 0 && WIFEXITED(status))
		snprintf(detail, DOCTOR_DETAIL, "%s", strerror(WEXITSTATUS(status)));
	else
		snprintf(detail, DOCTOR_DETAIL, "the test process died");
	return DOCTOR_MISSING;
}

static int make_namespaces(void)
{
	int all = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
		  CLONE_NEWCGROUP | CLONE_NEWTIME;

	return unshare(all | (geteuid() ? CLONE_NEWUSER : 0)) == 0 ? 0 : errno;
}

static enum doctor_result namespaces(char *detail)
{
	enum doctor_result r = errno_result(in_child(make_namespaces), detail);

	if (r == DOCTOR_OK)
		snprintf(detail, DOCTOR_DETAIL, "%smount, pid, net, ipc, uts, cgroup, time",
			 geteuid() ? "user, " : "");
	return r;
}

static int make_userns(void)
{
	return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

static enum doctor_result userns(char *detail)
{
	return errno_result(in_child(make_userns), detail);
}

static int call_forbidden(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	if (seal(policy_pick(&policy_blk, WHEN_WRITABLE)) != 0)
		return 1;
	syscall(SYS_socket, 1, 1, 0);
	return 2;
}

static enum doctor_result seccomp(char *detail)
{
	int status = in_child(call_forbidden);

	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
		snprintf(detail, DOCTOR_DETAIL, "a forbidden system call is killed");
		return DOCTOR_OK;
	}
	snprintf(detail, DOCTOR_DETAIL, "a forbidden system call was not killed");
	return DOCTOR_MISSING;
}

static enum doctor_result landlock(char *detail)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 1) {
		snprintf(detail, DOCTOR_DETAIL, "%s", strerror(errno));
		return DOCTOR_WEAKER;
	}
	snprintf(detail, DOCTOR_DETAIL, "ABI %ld", abi);
	return DOCTOR_OK;
}

static enum doctor_result sealed_memory(char *detail)
{
	int fd = memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool ok = fd >= 0 && ftruncate(fd, 4096) == 0 &&
		  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
		  ftruncate(fd, 0) != 0;

	if (fd >= 0)
		close(fd);
	snprintf(detail, DOCTOR_DETAIL, ok ? "guest memory cannot be resized under us"
					   : "memfd seals do not work");
	return ok ? DOCTOR_OK : DOCTOR_MISSING;
}

static int seize_child(void)
{
	pid_t child = fork();
	int ok;

	if (child == 0)
		for (;;)
			pause();
	ok = child > 0 && ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL) == 0;
	ok = ok ? 0 : errno;
	kill(child, SIGKILL);
	return ok;
}

static enum doctor_result tracing(char *detail)
{
	if (errno_result(in_child(seize_child), detail) == DOCTOR_OK)
		return DOCTOR_OK;
	return DOCTOR_WEAKER;
}

/* Writes the path of the cgroup v2 directory of this process; false when there is none. */
static bool own_cgroup(char *path, size_t size)
{
	char line[512];
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		if (strncmp(line, "0::", 3) == 0) {
			line[strcspn(line, "\n")] = '\0';
			found = (size_t)snprintf(path, size, "/sys/fs/cgroup%s", line + 3) < size;
		}
	if (f)
		fclose(f);
	return found;
}

static enum doctor_result cgroups(char *detail)
{
	struct statfs fs;
	char path[600];

	if (statfs("/sys/fs/cgroup", &fs) != 0 || (unsigned long)fs.f_type != CGROUP2_MAGIC) {
		bool v1 = access("/sys/fs/cgroup/memory", W_OK) == 0 &&
			  access("/sys/fs/cgroup/cpu", W_OK) == 0 &&
			  access("/sys/fs/cgroup/pids", W_OK) == 0;

		snprintf(detail, DOCTOR_DETAIL, v1 ? "version 1" : "none that we may use");
		return v1 ? DOCTOR_OK : DOCTOR_WEAKER;
	}
	if (geteuid() == 0) {
		snprintf(detail, DOCTOR_DETAIL, "version 2");
		return DOCTOR_OK;
	}
	if (own_cgroup(path, sizeof(path) - 4)) {
		strncat(path, "/..", 4);
		if (access(path, W_OK) == 0) {
			snprintf(detail, DOCTOR_DETAIL, "version 2, delegated to us");
			return DOCTOR_OK;
		}
	}
	snprintf(detail, DOCTOR_DETAIL, "version 2, but none is delegated to this user");
	return DOCTOR_WEAKER;
}

/* Nobody needs it who does not ask for it: never worse than ok. */
static enum doctor_result passt(char *detail)
{
	static const char *const places[] = USER_PASST_PLACES;

	snprintf(detail, DOCTOR_DETAIL, "not installed: no --net user (apt install passt)");
	for (size_t i = array_len(places); i-- > 0;)
		if (access(places[i], X_OK) == 0)
			snprintf(detail, DOCTOR_DETAIL, "%s", places[i]);
	return DOCTOR_OK;
}

const struct doctor_check doctor_jail_checks[] = {
	{ "namespaces", "every VM gets its own set, all of them empty",
	  "as a user: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
	  "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), or run as root", namespaces },
	{ "user namespace", "each process gets its own, in which it owns nothing",
	  "sysctl user.max_user_namespaces to more than 0", userns },
	{ "seccomp", "each process may do about ten things", "use a kernel with "
	  "CONFIG_SECCOMP_FILTER", seccomp },
	{ "sealed memory", "a process must not shrink the memory of the others", "use a kernel "
	  "with CONFIG_MEMFD_CREATE", sealed_memory },
	{ "Landlock", "a further wall around the file system", "boot with landlock in the lsm= "
	  "list", landlock },
	{ "tracing of children", "names the system call a process was killed for",
	  "sysctl kernel.yama.ptrace_scope=1", tracing },
	{ "control groups", "limits on memory, processors, processes and I/O",
	  "as a user: log in through systemd with Delegate=yes, or run as root", cgroups },
	{ "passt", "the network of --net user", "apt install passt", passt },
};
const size_t doctor_jail_count = array_len(doctor_jail_checks);
