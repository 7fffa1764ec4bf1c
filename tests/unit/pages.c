/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and limits reach the process that they belong to, and nobody else's. */
#include "core/bucket.c"
#include "core/limits.c"
#include "core/log.c"
#include "core/pages.c"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { PROCESSES = 4 };

static struct vm_config config = {
	.flags = VM_PAGES, .vcpus = 3, .ndevices = PROCESSES - 1,
	.device = { { .kind = VM_DEVICE_BLK }, { .kind = VM_DEVICE_BLK }, { .kind = VM_DEVICE_VSOCK } },
};

static const uint8_t *file;	/* the file as its owner sees it */

static const struct stats_page *stats_of(unsigned process)
{
	return (const void *)(file + (1 + process) * STATS_PAGE);
}

static void put_file(size_t pages)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);

	cr_assert(fd > 1 && ftruncate(fd, (off_t)pages * STATS_PAGE) == 0);
	file = mmap(NULL, pages * STATS_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(file != MAP_FAILED && dup2(fd, FD_PAGES) == FD_PAGES && close(fd) == 0);
}

/* Runs @body in a child, whose descriptor 1 it may close. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(body());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int device_one(void)
{
	struct limits_page *limits;
	struct pages p;

	put_file(1 + PROCESSES);
	limits = (struct limits_page *)(uintptr_t)file;
	limits->device[1].sequence = 4;
	limits->device[1].direction[0].bytes.size = 77;
	if (pages_map(&p, &config, 1) != 0 || fcntl(FD_PAGES, F_GETFD) >= 0)
		return 1;
	stats_add(&p.stats->counter[STATS_KICKS], 5);
	if (stats_of(2)->counter[STATS_KICKS] != 5 || stats_of(2)->magic != STATS_MAGIC ||
	    stats_of(2)->kind != VM_DEVICE_BLK)
		return 2;
	for (unsigned i = 0; i < PROCESSES; i++)
		if (i != 2 && (stats_of(i)->magic != 0 || stats_of(i)->counter[STATS_KICKS] != 0))
			return 3;
	return p.limits->sequence == 4 && p.limits->direction[0].bytes.size == 77 ? 0 : 4;
}

static int the_vmm(void)
{
	struct pages p;

	put_file(1 + PROCESSES);
	if (pages_map(&p, &config, -1) != 0 || fcntl(FD_PAGES, F_GETFD) >= 0)
		return 1;
	stats_add(&p.stats->u.vcpu[2].counter[STATS_EXIT_PORT], 1);
	return p.limits == NULL && stats_of(0)->magic == STATS_MAGIC && stats_of(0)->vcpus == 3 &&
	       stats_of(0)->u.vcpu[2].counter[STATS_EXIT_PORT] == 1 ? 0 : 2;
}

static int writes_limits(void)
{
	struct pages p;

	put_file(1 + PROCESSES);
	if (pages_map(&p, &config, 0) != 0)
		return 1;
	signal(SIGSEGV, SIG_DFL);	/* a sanitizer would report it in its own way */
	limits_write((struct limits_entry *)(uintptr_t)p.limits, p.limits->direction);
	return 0;
}

static int without_a_file(void)
{
	struct vm_config none = config;
	struct pages p;

	put_file(1 + PROCESSES);
	none.flags = 0;
	if (pages_map(&p, &none, 0) != 0 || fcntl(FD_PAGES, F_GETFD) >= 0)
		return 1;
	stats_add(&p.stats->counter[STATS_KICKS], 5);
	return p.limits == NULL && stats_of(1)->magic == 0 ? 0 : 2;
}

static int file_is_missing(void)
{
	struct pages p;

	close(FD_PAGES);
	return pages_map(&p, &config, 0) == -EBADF ? 0 : 1;
}

Test(pages, a_device_has_its_own)
{
	cr_assert_eq(in_child(device_one), 0);
}

Test(pages, the_vmm_has_a_line_for_each_vcpu)
{
	cr_assert_eq(in_child(the_vmm), 0);
}

Test(pages, a_device_cannot_write_limits)
{
	cr_assert_eq(in_child(writes_limits), 1000 + SIGSEGV);
}

Test(pages, without_a_run_directory_it_counts_where_nobody_looks)
{
	cr_assert_eq(in_child(without_a_file), 0);
}

Test(pages, a_promised_file_that_is_missing_is_an_error)
{
	cr_assert_eq(in_child(file_is_missing), 0);
}

Test(stats, durations_fall_into_their_powers_of_two)
{
	static const struct { uint64_t ns; unsigned bucket; } cases[] = {
		{ 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 1023, 9 }, { 1024, 10 },
		{ (1ull << 39) - 1, 38 }, { 1ull << 39, 39 }, { 1ull << 40, 39 },
		{ UINT64_MAX, 39 },
	};
	struct stats_histogram h = { 0 };

	for (size_t i = 0; i < array_len(cases); i++)
		cr_assert_eq(stats_bucket(cases[i].ns), cases[i].bucket, "%lu", cases[i].ns);
	stats_duration(&h, 1000);
	stats_duration(&h, 1023);
	stats_duration(&h, 5);
	cr_assert_eq(h.sum_ns, 2028);
	cr_assert_eq(h.bucket[9], 2);
	cr_assert_eq(h.bucket[2], 1);
}

static uint64_t counter;

static void *add_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100000; i++)
		stats_add_shared(&counter, 1);
	return NULL;
}

Test(stats, a_shared_counter_loses_nothing)
{
	pthread_t t[4];

	for (size_t i = 0; i < array_len(t); i++)
		cr_assert_eq(pthread_create(&t[i], NULL, add_many, NULL), 0);
	for (size_t i = 0; i < array_len(t); i++)
		pthread_join(t[i], NULL);
	cr_assert_eq(counter, 400000);
}
