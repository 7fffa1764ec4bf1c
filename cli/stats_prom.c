/* SPDX-License-Identifier: Apache-2.0 */
/* stats_prom.c: counters in the text format of Prometheus, version 0.0.4.
 *
 * All lines of a metric lie together, behind one HELP and one TYPE; so the metrics are gone
 * through on the outside, and machines and processes on the inside.  Names of machines need no
 * escape (run_values.h). */
#include "cli/stats.h"

#include <string.h>

struct prom {
	FILE *out;
	const struct stats_vm *vm;
	unsigned n;
};

static void head(FILE *out, const char *prefix, const char *family, const char *suffix,
		 const char *help, const char *type)
{
	fprintf(out, "# HELP immure_%s_%s%s %s.\n# TYPE immure_%s_%s%s %s\n", prefix, family, suffix,
		help, prefix, family, suffix, type);
}

/* `{vm="a",process="blk0"`: the rest follows. */
static void labels(FILE *out, const struct stats_vm *vm, const struct stats_process *p,
		   const struct stats_name *n)
{
	fprintf(out, "{vm=\"%s\",process=\"%s\"", vm->name, p->name);
	if (n->value[0] != 0)
		fprintf(out, ",%s=\"%s\"", n->key, n->value);
}

static bool has_table(const struct stats_process *p, const struct stats_table *t)
{
	size_t n;
	const struct stats_table *own = stats_tables(p->kind, &n);

	for (size_t i = 0; i < n; i++)
		if (own[i].name == t->name)
			return true;
	return false;
}

static void counter_lines(const struct prom *p, const struct stats_table *t, const char *family,
			  const struct stats_vm *vm, const struct stats_process *process)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct stats_name *n = &t->name[i];

		if (strcmp(n->family, family) != 0)
			continue;
		fprintf(p->out, "immure_%s_%s_total", t->prefix, family);
		labels(p->out, vm, process, n);
		fprintf(p->out, "} %llu\n",
			(unsigned long long)process->page.counter[n->number]);
	}
}

static void vcpu_lines(const struct prom *p, const char *family, const struct stats_vm *vm,
		       const struct stats_process *process)
{
	for (unsigned v = 0; v < process->vcpus; v++)
		for (size_t i = 0; i < stats_vcpu_table.n; i++) {
			const struct stats_name *n = &stats_vcpu_table.name[i];

			if (strcmp(n->family, family) != 0)
				continue;
			fprintf(p->out, "immure_vcpu_%s_total", family);
			labels(p->out, vm, process, n);
			fprintf(p->out, ",vcpu=\"%u\"} %llu\n", v,
				(unsigned long long)process->page.u.vcpu[v].counter[n->number]);
		}
}

/* One metric of table @t, of all processes that have it. */
static void family(const struct prom *p, const struct stats_table *t, const struct stats_name *first)
{
	head(p->out, t->prefix, first->family, "_total", first->help, "counter");
	for (unsigned m = 0; m < p->n; m++)
		for (unsigned i = 0; i < p->vm[m].n; i++) {
			const struct stats_process *process = &p->vm[m].process[i];

			if (!process->trusted)
				continue;
			if (t == &stats_vcpu_table)
				vcpu_lines(p, first->family, &p->vm[m], process);
			else if (has_table(process, t))
				counter_lines(p, t, first->family, &p->vm[m], process);
		}
}

/* A family is printed where its first counter stands. */
static void table(const struct prom *p, const struct stats_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		size_t before = 0;

		while (strcmp(t->name[before].family, t->name[i].family) != 0)
			before++;
		if (before == i)
			family(p, t, &t->name[i]);
	}
}

static void histogram_lines(const struct prom *p, const struct stats_vm *vm,
		      const struct stats_process *process, const struct stats_name *n)
{
	const struct stats_histogram *h = &process->page.u.histogram[n->number];
	uint64_t sum = 0;

	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		if (!add_u64(sum, h->bucket[i], &sum))
			sum = UINT64_MAX;
		fprintf(p->out, "immure_blk_%s_bucket", n->family);
		labels(p->out, vm, process, n);
		if (i + 1 < STATS_BUCKETS)
			fprintf(p->out, ",le=\"%llu.%09llu\"} %llu\n",
				(unsigned long long)(stats_bucket_end(i) / 1000000000),
				(unsigned long long)(stats_bucket_end(i) % 1000000000),
				(unsigned long long)sum);
		else
			fprintf(p->out, ",le=\"+Inf\"} %llu\n", (unsigned long long)sum);
	}
	fprintf(p->out, "immure_blk_%s_sum", n->family);
	labels(p->out, vm, process, n);
	fprintf(p->out, "} %llu.%09llu\nimmure_blk_%s_count",
		(unsigned long long)(h->sum_ns / 1000000000),
		(unsigned long long)(h->sum_ns % 1000000000), n->family);
	labels(p->out, vm, process, n);
	fprintf(p->out, "} %llu\n", (unsigned long long)sum);
}

static void histograms(const struct prom *p, enum vm_device_kind kind)
{
	const struct stats_table *t = stats_histograms(kind);

	head(p->out, t->prefix, t->name[0].family, "", "Time from taking a request to answering it",
	     "histogram");
	for (unsigned m = 0; m < p->n; m++)
		for (unsigned i = 0; i < p->vm[m].n; i++)
			for (size_t h = 0; h < t->n; h++)
				if (p->vm[m].process[i].kind == kind && p->vm[m].process[i].trusted)
					histogram_lines(p, &p->vm[m], &p->vm[m].process[i], &t->name[h]);
}

static void trust(const struct prom *p)
{
	fprintf(p->out, "# HELP immure_stats_trusted Whether the counters of a process are in order.\n"
		"# TYPE immure_stats_trusted gauge\n");
	for (unsigned m = 0; m < p->n; m++)
		for (unsigned i = 0; i < p->vm[m].n; i++)
			fprintf(p->out, "immure_stats_trusted{vm=\"%s\",process=\"%s\"} %d\n",
				p->vm[m].name, p->vm[m].process[i].name, p->vm[m].process[i].trusted);
}

void stats_prom(FILE *out, const struct stats_vm *vm, unsigned n)
{
	static const enum vm_device_kind kinds[] = {
		VM_DEVICE_NONE, VM_DEVICE_BLK, VM_DEVICE_NET, VM_DEVICE_VSOCK,
	};
	const struct prom p = { out, vm, n };

	trust(&p);
	table(&p, &stats_vcpu_table);
	for (size_t k = 0; k < array_len(kinds); k++) {
		size_t own;
		const struct stats_table *t = stats_tables(kinds[k], &own);

		table(&p, &t[own - 1]);	/* its own; what all devices have, once: */
		if (kinds[k] == VM_DEVICE_BLK)
			table(&p, &t[0]);
	}
	histograms(&p, VM_DEVICE_BLK);
}
