/* SPDX-License-Identifier: Apache-2.0 */
/* walls_json.c: the walls of a VM for machines.  What cannot be read is null and listed. */
#include "cli/walls.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *number_or_null(int err, uint64_t value)
{
	if (err != 0)
		return json_null();
	/* "unlimited" and other numbers beyond JSON's */
	return value > INT64_MAX ? json_string("unlimited") : json_integer((json_int_t)value);
}

static json_t *ids_json(const uint32_t id[4])
{
	json_t *a = json_array();

	for (unsigned i = 0; i < 4; i++)
		json_array_append_new(a, json_integer(id[i]));
	return a;
}

static json_t *capabilities_json(const struct walls_status *s)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < WALLS_CAPS; i++) {
		char names[1024];

		json_object_set_new(o, walls_cap_names[i],
				    json_string(walls_caps(s->cap[i], names, sizeof(names))));
	}
	return o;
}

static json_t *threads_json(const struct walls_process *p)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < p->nthreads; i++) {
		const struct walls_thread *t = &p->thread[i];
		const struct walls_status *s = &t->status;

		if (t->err != 0)
			json_array_append_new(a, json_pack("{s:i, s:s}", "tid", (int)t->tid, "error",
							   strerror(t->err)));
		else
			json_array_append_new(a, json_pack(
				"{s:i, s:s, s:i, s:i, s:b, s:o}", "tid", (int)t->tid, "name", s->name,
				"seccomp", (int)s->mode, "filters", (int)s->filters, "no_new_privs",
				s->no_new_privs, "capabilities", capabilities_json(s)));
	}
	return a;
}

static json_t *namespaces_json(const struct walls_host *h, const struct walls_vm *vm,
			  const struct walls_process *p)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < WALLS_NS; i++)
		json_object_set_new(o, walls_ns_names[i],
				    json_pack("{s:o, s:s}", "inode", number_or_null(p->ns_err[i], p->ns[i]),
					      "of", walls_share(h, vm, p, i)));
	return o;
}

static json_t *descriptors_json(const struct walls_process *p)
{
	json_t *a = json_array();

	for (size_t i = 0; i < p->nfds; i++) {
		const struct walls_fd *fd = &p->fd[i];

		json_array_append_new(a, json_pack("{s:i, s:s, s:s, s:s, s:s}", "fd", (int)fd->number,
						   "plan", fd->name, "kind", walls_kind_name(fd->kind),
						   "access", fd->access, "link", fd->target));
	}
	return a;
}

static json_t *limits_json(const struct walls_process *p)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < WALLS_RLIMITS; i++)
		json_object_set_new(o, walls_limit_names[i],
				    number_or_null(p->limits_err, p->limits.hard[i]));
	return o;
}

static json_t *root_json(const struct walls_root *r)
{
	if (r->err != 0)
		return json_null();
	return json_pack("{s:b, s:b}", "empty", r->empty, "readonly", r->readonly);
}

static json_t *process_json(const struct walls_host *h, const struct walls_vm *vm,
		       const struct walls_process *p)
{
	json_t *o = json_pack("{s:s, s:i, s:i, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o}",
			      "name", p->name, "pid", (int)p->pid, "nspid", (int)p->status.nspid,
			      "uid", ids_json(p->status.uid), "gid", ids_json(p->status.gid), "groups",
			      (int)p->status.groups, "uids_mapped",
			      number_or_null(p->maps_err, p->uids.count), "threads", threads_json(p),
			      "namespaces", namespaces_json(h, vm, p), "limits", limits_json(p), "root",
			      root_json(&p->root), "descriptors",
			      p->fds_err != 0 ? json_null() : descriptors_json(p));

	json_object_set_new(o, "program", p->exe_err != 0 ? json_null() : json_string(p->exe));
	json_object_set_new(o, "tracer", json_integer(p->status.tracer));
	json_object_set_new(o, "mounts", number_or_null(p->mounts_err, p->mounts.n));
	json_object_set_new(o, "mounts_writable", number_or_null(p->mounts_err, p->mounts.writable));
	json_object_set_new(o, "dumpable", p->dumpable < 0 ? json_null() : json_boolean(p->dumpable));
	json_object_set_new(o, "core_scheduling", p->cores < 0 ? json_null() : json_boolean(p->cores));
	json_object_set_new(o, "speculation", json_pack("{s:s, s:s}", "store_bypass", p->status.store_bypass,
							"indirect_branch", p->status.indirect_branch));
	json_object_set_new(o, "cgroup", p->cgroup_err != 0 ? json_null() : json_string(p->cgroup));
	return o;
}

static json_t *notes_json(const struct walls_notes *list, const char *means)
{
	json_t *a = json_array();

	for (size_t i = 0; i < list->n; i++) {
		const struct walls_note *n = &list->note[i];
		json_t *o = json_pack("{s:s, s:s, s:s}", "process", n->process, "what", n->what, means,
				      n->means);

		if (n->thread != 0)
			json_object_set_new(o, "tid", json_integer(n->thread));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *cgroup_json(const struct walls_vm *vm)
{
	json_t *o = json_pack("{s:s}", "path", vm->cgroup);

	for (unsigned i = 0; i < vm->nlimits; i++)
		json_object_set_new(o, vm->limit[i].file, vm->limit[i].err != 0
				    ? json_null() : json_string(vm->limit[i].text));
	return vm->cgroup[0] != 0 ? o : (json_decref(o), json_null());
}

struct json_t *walls_json(const struct walls_host *h, const struct walls_vm *vm)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < vm->n; i++)
		json_array_append_new(list, process_json(h, vm, &vm->proc[i]));
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:s, s:o, s:o}", "name", vm->name, "mode",
			 vm->root ? "root" : "rootless", "ok", vm->weaker.n == 0, "processes", list,
			 "cgroup", cgroup_json(vm), "not_visible", walls_invisible, "not_readable",
			 notes_json(&vm->unread, "reason"), "weaker", notes_json(&vm->weaker, "means"));
}
