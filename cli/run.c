/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: `immure run`, top to bottom.
 *
 * Everything that can be wrong with the caller's words is found before anything is made: options,
 * command, disks, kernel, image.  Then the run directory, the listening sockets, the jailer; and
 * whatever happens from there on, run_dir_remove() and the supervisor leave nothing behind. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/run_config.h"
#include "cli/run_dir.h"
#include "cli/run_loop.h"
#include "cli/run_outcome.h"
#include "cli/run_parts.h"
#include "cli/run_term.h"
#include "cli/say.h"
#include "jailer/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FINISH_MS = 5000 };

static struct session_start start_of(const struct run_options *o, bool tty)
{
	struct session_start s = {
		.argv = (const char *const *)o->argv,
		.argc = o->argc,
		.env = o->env,
		.envc = o->nenv,
		.dir = o->dir,
		.user = o->user,
		.tty = tty,
		.nets = o->nnets,
	};

	for (unsigned i = 0; i < o->nnets; i++)
		s.net[i] = o->net[i].guest;
	if (tty)
		term_size(&s.rows, &s.cols);
	return s;
}

/* A guest's terminal is of our terminal's kind. */
static void add_term(struct run_options *o)
{
	static char entry[64];
	const char *term = getenv("TERM");

	for (unsigned i = 0; i < o->nenv; i++)
		if (strncmp(o->env[i], "TERM=", 5) == 0)
			return;
	if (!term || !*term || strlen(term) > 48 || o->nenv >= array_len(o->env))
		return;
	snprintf(entry, sizeof(entry), "TERM=%s", term);
	o->env[o->nenv++] = entry;
}

static struct run_outcome outcome_of(const struct run *r)
{
	struct run_outcome out = {
		.cause = r->cause,
		.signo = r->signo,
		.session = r->session.state,
		.fail = r->session.fail,
		.code = r->session.code,
		.exit_signo = r->session.signo,
		.session_text = r->session.text,
		.vm = &r->vm,
		.total_ms = (uint64_t)(run_now_ms() - r->started_ms),
	};

	out.stream_errno = session_stream_error(&r->session, &out.stream);
	if (r->running_ms) {
		out.boot_ms = (uint64_t)(r->running_ms - r->started_ms);
		out.command_ms = (uint64_t)(r->over_ms - r->running_ms);
	}
	return out;
}

/* The run directory exists; from here to its removal.  Returns the exit status, or -1 when there
 * never was a machine. */
static int run_in(struct run *r, struct run_options *o, const struct found *f,
		  const struct run_dir *d)
{
	static const int standard[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	const int locks[VM_LOCKS] = { d->lock, d->ids };
	char own[RUN_PATH + 16];
	struct run_parts parts = {
		.name = d->name, .kernel = f->kernel.vmlinux, .initrd = f->kernel.initramfs,
		.image = f->image, .vsock = o->vsock ? f->vsock : own,
		.run_dir = o->vsock ? NULL : d->path, .id = d->id,
	};
	struct run_outcome out;
	struct session_start start = start_of(o, r->tty);
	char *config;
	int failed;

	snprintf(own, sizeof(own), "%s/vsock.sock", d->path);
	for (unsigned i = 0; i < o->ndisks; i++) {
		parts.disk[i] = f->disk[i];
		parts.overlay[i] = f->overlay[i];
	}
	config = run_config(o, &parts);
	if (!config || run_signals(r) < 0) {
		free(config);
		return -1;
	}
	if (session_open(&r->session, parts.vsock, &start, standard) < 0) {
		free(config);
		session_close(&r->session);
		say_error("%s", r->session.text);
		return -1;
	}
	r->started_ms = run_now_ms();
	failed = vm_start(&r->vm, config, strlen(config), o->console, locks);
	free(config);
	if (!failed)
		run_loop(r);
	vm_finish(&r->vm, FINISH_MS);
	/* The supervisor was killed: the kernel has ended its VM, the cgroup is left to us,
	 * or with the run directory to the next run when there still is somebody in it. */
	if (!r->vm.end.known && !cgroup_sweep(d->name, FINISH_MS))
		r->vm.end.left = 1;
	out = outcome_of(r);
	session_close(&r->session);
	term_restore();
	if (failed)
		return -1;
	outcome_explain(&out, o);
	outcome_json(&out, o, d->name);
	return outcome_status(&out);
}

/* A descriptor 0, 1 or 2 that is closed would become one of ours. */
static bool open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Everything behind --help.  Returns as run_in(). */
static int run(struct run_options *o)
{
	static struct found f;
	static struct run r;
	struct run_dir d;
	int status = -1;

	if (!o->argv) {
		say_error("no command given: what shall run in %s?", o->rootfs);
		say_hint("immure run %s -- COMMAND [ARGUMENT...]", o->rootfs);
		return -1;
	}
	if (find_parts(o, &f) < 0)
		return -1;
	kernel_renew(&f.kernel);
	r.options = o;
	r.tty = o->tty || (!o->no_tty && term_interactive());
	if (r.tty)
		add_term(o);
	if (run_dir_make(&d, o->name) == 0 && run_nets_macs(o->net, o->nnets, d.name))
		status = run_in(&r, o, &f, &d);
	if (r.vm.end.left != 0)
		run_dir_leave(&d);
	else
		run_dir_remove(&d);
	return status;
}

int cmd_run(int argc, char **argv)
{
	static struct run_options o;
	int status = -1;

	if (open_standard_fds() && run_options_parse(&o, argc, argv) == 0)
		status = o.help ? help_print("run") : run(&o);
	if (status >= 0)
		return status;
	outcome_json_unborn(&o, say_last());
	return EXIT_IMMURE;
}
