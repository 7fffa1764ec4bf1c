/* SPDX-License-Identifier: Apache-2.0 */
/* used.c: writes down which system calls processes of VMs make while a command runs.
 *
 *   used OBJECT POLICIES OUT COMMAND...
 *
 * OBJECT is used.bpf.c compiled, POLICIES the directory of the policy files.  OUT gets a line for
 * each call that some rule tells from the others: "KIND NR ARG0 ... ARG5 COUNT", the arguments in
 * hexadecimal without the bits that no rule looks at; first the fingerprint of the masks, last how
 * many calls were lost.  Ends with the command's status; 125 is its own.  Needs root. */
#include "tests/policy/used_policies.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct used_policies policies;

static _Noreturn void bail(const char *what)
{
	fprintf(stderr, "used: %s: %s\n", what, strerror(errno));
	exit(125);
}

static int map_of(const struct bpf_object *o, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(o, name);

	if (fd < 0)
		bail(name);
	return fd;
}

static void set_masks(const struct bpf_object *o)
{
	int fd = map_of(o, "masks");

	for (uint32_t slot = 0; slot < USED_KINDS * USED_NUMBERS; slot++) {
		struct used_mask m = used_mask_of(&policies, slot / USED_NUMBERS,
						  (int)(slot % USED_NUMBERS));

		if (bpf_map_update_elem(fd, &slot, &m, BPF_ANY) != 0)
			bail("masks");
	}
}

static struct bpf_object *attach(const char *file)
{
	struct bpf_object *o = bpf_object__open_file(file, NULL);
	struct bpf_program *p;

	if (!o || bpf_object__load(o) != 0)
		bail(file);
	set_masks(o);
	bpf_object__for_each_program(p, o) {
		if (!bpf_program__attach(p))
			bail(bpf_program__name(p));
	}
	return o;
}

/* What did not fit, and what the kernel did not ask a program for because it was running. */
static uint64_t lost_calls(const struct bpf_object *o)
{
	uint32_t zero = 0;
	uint64_t lost = 0;
	struct bpf_program *p;

	if (bpf_map_lookup_elem(map_of(o, "lost"), &zero, &lost) != 0)
		bail("lost");
	bpf_object__for_each_program(p, o) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len) != 0)
			bail(bpf_program__name(p));
		lost += info.recursion_misses;
	}
	return lost;
}

static void write_calls(const struct bpf_object *o, const char *path)
{
	int fd = map_of(o, "calls");
	struct used_call c, *last = NULL;
	uint64_t n;
	FILE *out = fopen(path, "we");

	if (!out)
		bail(path);
	fprintf(out, "masks %" PRIx64 "\n", used_fingerprint(&policies));
	for (; bpf_map_get_next_key(fd, last, &c) == 0; last = &c) {
		if (bpf_map_lookup_elem(fd, &c, &n) != 0)
			bail("calls");
		fprintf(out, "%u %u", c.kind, c.nr);
		for (int i = 0; i < 6; i++)
			fprintf(out, " %" PRIx64, (uint64_t)c.arg[i]);
		fprintf(out, " %" PRIu64 "\n", n);
	}
	if (errno != ENOENT)
		bail("calls");
	fprintf(out, "lost %" PRIu64 "\n", lost_calls(o));
	if (fclose(out) != 0)
		bail(path);
}

int main(int argc, char *argv[])
{
	struct bpf_object *o;
	int status;
	pid_t pid;

	if (argc < 5) {
		fputs("usage: used OBJECT POLICIES OUT COMMAND...\n", stderr);
		return 125;
	}
	if (!used_policies_load(&policies, argv[2]))
		return 125;
	o = attach(argv[1]);
	pid = fork();
	if (pid < 0)
		bail("fork");
	if (pid == 0) {
		execvp(argv[4], &argv[4]);
		bail(argv[4]);
	}
	if (waitpid(pid, &status, 0) != pid)
		bail("waitpid");
	write_calls(o, argv[3]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
