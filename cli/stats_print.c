/* SPDX-License-Identifier: Apache-2.0 */
/* stats_print.c: counters for people, and as JSON. */
#include "cli/stats.h"

#include <jansson.h>
#include <string.h>

/* ---- for people: what happened at all ---- */

static void print_line(const char *process, const struct stats_name *n, uint64_t value)
{
	char what[64];

	if (value == 0)
		return;
	snprintf(what, sizeof(what), "%s%s%s", n->family, n->value[0] != 0 ? " " : "", n->value);
	printf("%-10s %-28s %20llu\n", process, what, (unsigned long long)value);
}

static uint64_t vcpu_sum(const struct stats_process *p, unsigned number)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < p->vcpus; i++)
		sum += p->page.u.vcpu[i].counter[number];
	return sum;
}

/* The end of the bucket in which the @percent-th of a hundred durations lies. */
static uint64_t percentile(const struct stats_histogram *h, uint64_t count, unsigned percent)
{
	uint64_t before = 0, rank = count / 100 * percent + count % 100 * percent / 100;

	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		if (!add_u64(before, h->bucket[i], &before) || before > rank)
			return stats_bucket_end(i);
	}
	return UINT64_MAX;
}

static void print_time(const char *what, uint64_t ns)
{
	if (ns == UINT64_MAX)
		printf("  %s unknown", what);
	else if (ns < 10 * 1000)
		printf("  %s %llu ns", what, (unsigned long long)ns);
	else if (ns < 10 * 1000 * 1000)
		printf("  %s %llu us", what, (unsigned long long)(ns / 1000));
	else
		printf("  %s %llu ms", what, (unsigned long long)(ns / 1000000));
}

static void print_histogram(const char *process, const struct stats_name *n,
			    const struct stats_histogram *h)
{
	uint64_t count = stats_count(h);
	char what[32];

	if (count == 0)
		return;
	snprintf(what, sizeof(what), "latency %s", n->value);
	printf("%-10s %-28s", process, what);
	print_time("mean", h->sum_ns / count);
	print_time("half below", percentile(h, count, 50));
	print_time("99% below", percentile(h, count, 99));
	printf("\n");
}

static void print_process(const struct stats_process *p)
{
	const struct stats_table *h = stats_histograms(p->kind), *t;
	size_t n;

	if (!p->trusted) {
		printf("%-10s untrusted: its page is not what it was made as\n", p->name);
		return;
	}
	t = stats_tables(p->kind, &n);
	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < t[i].n; c++)
			print_line(p->name, &t[i].name[c], p->page.counter[t[i].name[c].number]);
	for (size_t c = 0; c < stats_vcpu_table.n && p->vcpus > 0; c++)
		print_line(p->name, &stats_vcpu_table.name[c],
			   vcpu_sum(p, stats_vcpu_table.name[c].number));
	for (size_t i = 0; i < h->n; i++)
		print_histogram(p->name, &h->name[i], &p->page.u.histogram[h->name[i].number]);
}

void stats_print(const struct stats_vm *vm)
{
	printf("%-10s %-28s %20s\n", "PROCESS", "COUNTER", "VALUE");
	for (unsigned i = 0; i < vm->n; i++)
		print_process(&vm->process[i]);
}

/* ---- JSON ---- */

/* JSON integers end at 2^63 - 1; beyond it only a lie can be. */
static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)min_u64(value, INT64_MAX));
}

/* @to[family] = value, or @to[family][label] = value. */
static void put(json_t *to, const struct stats_name *n, json_t *value)
{
	json_t *family = json_object_get(to, n->family);

	if (n->value[0] == 0) {
		json_object_set_new(to, n->family, value);
		return;
	}
	if (family == NULL) {
		family = json_object();
		json_object_set_new(to, n->family, family);
	}
	json_object_set_new(family, n->value, value);
}

static json_t *counters(const struct stats_table *t, size_t n, const uint64_t *counter)
{
	json_t *all = json_object();

	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < t[i].n; c++)
			put(all, &t[i].name[c], number(counter[t[i].name[c].number]));
	return all;
}

static json_t *histogram(const struct stats_histogram *h)
{
	json_t *buckets = json_array();

	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		json_array_append_new(buckets, number(h->bucket[i]));
	return json_pack("{s:o, s:o, s:o}", "count", number(stats_count(h)), "sum_ns",
			 number(h->sum_ns), "log2_ns", buckets);
}

static json_t *process(const struct stats_process *p)
{
	const struct stats_table *h = stats_histograms(p->kind), *t;
	json_t *o = json_pack("{s:s, s:b}", "name", p->name, "trusted", (int)p->trusted);
	json_t *vcpus = json_array(), *latency = json_object();
	size_t n;

	if (p->trusted) {
		t = stats_tables(p->kind, &n);
		json_object_set_new(o, "counters", counters(t, n, p->page.counter));
		for (unsigned i = 0; i < p->vcpus; i++)
			json_array_append_new(vcpus, counters(&stats_vcpu_table, 1,
							      p->page.u.vcpu[i].counter));
		for (size_t i = 0; i < h->n; i++)
			json_object_set_new(latency, h->name[i].value,
					    histogram(&p->page.u.histogram[h->name[i].number]));
	}
	if (json_array_size(vcpus) > 0)
		json_object_set(o, "vcpus", vcpus);
	if (json_object_size(latency) > 0)
		json_object_set(o, "latency", latency);
	json_decref(vcpus);
	json_decref(latency);
	return o;
}

json_t *stats_json(const struct stats_vm *vm)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < vm->n; i++)
		json_array_append_new(list, process(&vm->process[i]));
	return json_pack("{s:s, s:o}", "name", vm->name, "processes", list);
}
