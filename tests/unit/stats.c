/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* Counters are read as hostile bytes and printed in forms that others parse. */
#include "cli/stats_names.c"
#include "cli/stats_print.c"
#include "cli/stats_prom.c"
#include "cli/stats_read.c"
#include "core/bucket.c"
#include "core/limits.c"
#include "core/log.c"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdarg.h>

enum { DEVICES = 4, FILE_BYTES = (2 + DEVICES) * STATS_PAGE };

static uint8_t *file;
static int fd;
static char said[512];
static struct stats_vm vm;

int say_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	return 125;
}

void say_hint(const char *fmt, ...)
{
	(void)fmt;
}

int run_dir_path(const char *name, char *path, size_t size)
{
	snprintf(path, size, "/nonexistent/%s", name);
	return 0;
}

static struct stats_page *page(unsigned process)
{
	return (void *)(file + (1 + process) * STATS_PAGE);
}

static struct limits_page *limits(void)
{
	return (void *)file;
}

/* As a VM with two disks, a network interface and vsock has it. */
static void make_file(void)
{
	static const enum vm_device_kind kinds[] = {
		VM_DEVICE_NONE, VM_DEVICE_BLK, VM_DEVICE_BLK, VM_DEVICE_NET, VM_DEVICE_VSOCK,
	};

	fd = memfd_create("pages", 0);
	cr_assert(fd >= 0 && ftruncate(fd, FILE_BYTES) == 0);
	file = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(file != MAP_FAILED);
	limits()->magic = LIMITS_MAGIC;
	limits()->version = LIMITS_VERSION;
	limits()->devices = DEVICES;
	for (unsigned i = 0; i <= DEVICES; i++) {
		page(i)->magic = STATS_MAGIC;
		page(i)->version = STATS_VERSION;
		page(i)->kind = (uint16_t)kinds[i];
		if (i > 0)
			limits()->device[i - 1].kind = kinds[i];
	}
	page(0)->vcpus = 2;
}

TestSuite(stats, .init = make_file);

static void read_file(void)
{
	cr_assert_eq(stats_read(&vm, "web", fd), 0, "%s", said);
}

Test(stats, every_process_has_its_name_and_numbers)
{
	page(0)->u.vcpu[1].counter[STATS_EXIT_PORT] = 7;
	page(2)->counter[STATS_BLK_READ_BYTES] = 1ull << 50;
	limits()->device[1].direction[0].ops.size = 9;
	read_file();
	cr_assert_eq(vm.n, 5);
	cr_assert_str_eq(vm.process[0].name, "vmm");
	cr_assert_str_eq(vm.process[1].name, "blk0");
	cr_assert_str_eq(vm.process[2].name, "blk1");
	cr_assert_str_eq(vm.process[3].name, "net0");
	cr_assert_str_eq(vm.process[4].name, "vsock");
	for (unsigned i = 0; i < vm.n; i++)
		cr_assert(vm.process[i].trusted);
	cr_assert_eq(vm.process[0].page.u.vcpu[1].counter[STATS_EXIT_PORT], 7);
	cr_assert_eq(vm.process[2].page.counter[STATS_BLK_READ_BYTES], 1ull << 50);
	cr_assert_eq(vm.limit[1].direction[0].ops.size, 9);
	cr_assert_eq(vm.limit[1].sequence % 2, 0);
}

static void refused(const char *word)
{
	cr_assert_eq(stats_read(&vm, "web", fd), -1);
	cr_assert(strstr(said, word) != NULL, "no '%s' in: %s", word, said);
}

Test(stats, a_file_of_another_form_is_refused)
{
	limits()->version++;
	refused("not in the form");
	limits()->version--;
	limits()->magic ^= 1;
	refused("not in the form");
	limits()->magic ^= 1;
	limits()->devices = DEVICES + 1;
	refused("not in the form");
	limits()->devices = UINT32_MAX;
	refused("not in the form");
	limits()->devices = DEVICES;
	cr_assert_eq(ftruncate(fd, 100), 0);
	refused("no file of counters");
	cr_assert_eq(ftruncate(fd, 1ll << 40), 0);
	refused("no file of counters");
	fd = open("/dev/null", O_RDONLY);
	refused("no file of counters");
}

Test(stats, a_page_that_lies_about_itself_is_not_trusted)
{
	page(0)->vcpus = STATS_VCPUS + 1;
	page(1)->kind = VM_DEVICE_VSOCK;
	page(2)->version = 2;
	page(3)->magic = 0;
	page(4)->kind = 99;
	read_file();
	for (unsigned i = 0; i < vm.n; i++)
		cr_assert(!vm.process[i].trusted);
}

Test(stats, limits_that_somebody_is_writing_are_said_to_be_so)
{
	limits()->device[0].sequence = 3;
	read_file();
	cr_assert_eq(vm.limit[0].sequence % 2, 1);
	cr_assert_eq(vm.limit[1].sequence % 2, 0);
}

/* Everything is printed, whatever the pages hold. */
Test(stats, garbage_is_printed_without_harm)
{
	char *text;
	size_t size;
	json_t *j;
	FILE *out;

	cr_redirect_stdout();
	for (unsigned fill = 0; fill < 256; fill += 85) {
		for (unsigned i = 0; i <= DEVICES; i++)
			memset(page(i)->counter, (int)fill, STATS_PAGE - 64);
		read_file();
		out = open_memstream(&text, &size);
		stats_prom(out, &vm, 1);
		fclose(out);
		free(text);
		stats_print(&vm);
		j = stats_json(&vm);
		cr_assert_not_null(j);
		json_decref(j);
	}
}

static char *prometheus(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	stats_prom(out, &vm, 1);
	fclose(out);
	return text;
}

static void has(const char *text, const char *line)
{
	cr_assert(strstr(text, line) != NULL, "no '%s' in:\n%s", line, text);
}

Test(stats, prometheus_gets_counters_and_histograms)
{
	char *text;

	page(0)->u.vcpu[1].counter[STATS_EXIT_REGISTER] = 5;
	page(1)->counter[STATS_KICKS] = 3;
	page(1)->counter[STATS_BLK_WRITES] = 2;
	stats_duration(&page(1)->u.histogram[STATS_BLK_WRITE_NS], 1000);
	stats_duration(&page(1)->u.histogram[STATS_BLK_WRITE_NS], 3000000000);
	page(4)->magic = 0;
	read_file();
	text = prometheus();
	has(text, "# TYPE immure_vcpu_exits_total counter\n");
	has(text, "\nimmure_vcpu_exits_total{vm=\"web\",process=\"vmm\",reason=\"register\",vcpu=\"1\"} 5\n");
	has(text, "\nimmure_device_kicks_total{vm=\"web\",process=\"blk0\"} 3\n");
	has(text, "\nimmure_blk_requests_total{vm=\"web\",process=\"blk0\",op=\"write\"} 2\n");
	has(text, "# TYPE immure_blk_latency_seconds histogram\n");
#define BUCKET "\nimmure_blk_latency_seconds_bucket{vm=\"web\",process=\"blk0\",op=\"write\",le="
	has(text, BUCKET "\"0.000000511\"} 0\n");
	has(text, BUCKET "\"0.000001023\"} 1\n");
	has(text, BUCKET "\"2.147483647\"} 1\n");
	has(text, BUCKET "\"4.294967295\"} 2\n");
	has(text, BUCKET "\"+Inf\"} 2\n");
	has(text, "\nimmure_blk_latency_seconds_sum{vm=\"web\",process=\"blk0\",op=\"write\"} 3.000001000\n");
	has(text, "\nimmure_blk_latency_seconds_count{vm=\"web\",process=\"blk0\",op=\"write\"} 2\n");
	has(text, "immure_stats_trusted{vm=\"web\",process=\"vsock\"} 0\n");
	cr_assert_null(strstr(text, "packets_total{"), "nothing of a page that is not trusted");
	free(text);
}

/* The lines of one metric lie together, each metric has one HELP and one TYPE before them. */
Test(stats, prometheus_finds_each_metric_in_one_piece)
{
	char *text, *save = NULL, current[80] = "", name[80];

	read_file();
	text = prometheus();
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "# HELP %79s", name) == 1) {
			char again[96];

			cr_assert_str_neq(name, current);
			snprintf(current, sizeof(current), "%s", name);
			snprintf(again, sizeof(again), "# HELP %s ", name);
			cr_assert_null(save != NULL ? strstr(save, again) : NULL, "%s twice", name);
			continue;
		}
		if (sscanf(line, "# TYPE %79s", name) == 1) {
			cr_assert_str_eq(name, current);
			continue;
		}
		cr_assert_eq(strncmp(line, current, strlen(current)), 0, "%s below %s", line, current);
	}
	free(text);
}

Test(stats, json_has_the_same)
{
	json_t *j, *blk;

	page(1)->counter[STATS_BLK_READS] = 11;
	page(1)->counter[STATS_KICKS] = 4;
	page(1)->counter[STATS_TURNS] = UINT64_MAX;
	stats_duration(&page(1)->u.histogram[STATS_BLK_READ_NS], 5);
	page(2)->magic = 0;
	read_file();
	j = stats_json(&vm);
	blk = json_array_get(json_object_get(j, "processes"), 1);
	cr_assert_str_eq(json_string_value(json_object_get(blk, "name")), "blk0");
	cr_assert(json_is_true(json_object_get(blk, "trusted")));
	blk = json_object_get(blk, "counters");
	cr_assert_eq(json_integer_value(json_object_get(blk, "kicks")), 4);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(blk, "requests"), "read")), 11);
	cr_assert_eq(json_integer_value(json_object_get(blk, "turns")), INT64_MAX);
	blk = json_array_get(json_object_get(j, "processes"), 2);
	cr_assert(json_is_false(json_object_get(blk, "trusted")));
	cr_assert_null(json_object_get(blk, "counters"));
	json_decref(j);
}

/* A number that two counters of one page had would be one counter with two names. */
Test(stats, each_counter_has_a_number_of_its_own)
{
	static const enum vm_device_kind kinds[] = {
		VM_DEVICE_NONE, VM_DEVICE_BLK, VM_DEVICE_NET, VM_DEVICE_VSOCK,
	};

	for (size_t k = 0; k < array_len(kinds); k++) {
		bool seen[STATS_COUNTERS] = { false };
		size_t n;
		const struct stats_table *t = stats_tables(kinds[k], &n);

		for (size_t i = 0; i < n; i++)
			for (size_t c = 0; c < t[i].n; c++) {
				cr_assert_lt(t[i].name[c].number, STATS_COUNTERS);
				cr_assert(!seen[t[i].name[c].number], "%s %s", t[i].name[c].family,
					  t[i].name[c].value);
				seen[t[i].name[c].number] = true;
			}
	}
}
