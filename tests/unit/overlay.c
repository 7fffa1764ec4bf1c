/* SPDX-License-Identifier: Apache-2.0 */
/* A disk over a base: against a plain array, with a host that fails, and files that are none. */
#include "tests/unit/overlay.h"

enum { CLUSTERS = 37, SIZE = CLUSTERS * OVERLAY_CLUSTER + 3 * SECTOR };

static uint8_t model[SIZE], buf[SIZE], got[SIZE];

static void read_all(void)
{
	cr_assert(move_bytes(false, 0, got, SIZE, 1));
}

static void expect_model(void)
{
	read_all();
	for (size_t i = 0; memcmp(got, model, SIZE) != 0; i++)
		if (got[i] != model[i])
			cr_assert_fail("byte %zu of sector %zu is %u, not %u", i % SECTOR, i / SECTOR,
				       got[i], model[i]);
}

static void new_disk(const struct how *how)
{
	fresh_disk(SIZE, how);
	read_all();
	memcpy(model, got, SIZE);
	cr_assert_eq(pread(base_fd, buf, SIZE, 0), SIZE);
	cr_assert_eq(memcmp(buf, model, SIZE), 0, "a new one is the base");
}

/* A range of whole sectors; some of whole clusters, some up to the end. */
static void pick(uint64_t *at, uint32_t *len)
{
	uint32_t max = rand() % 4 == 0 ? SIZE : 3 * OVERLAY_CLUSTER;

	*at = (unsigned)rand() % (SIZE / SECTOR) * SECTOR;
	if (rand() % 3 == 0)
		*at -= *at % OVERLAY_CLUSTER;
	*len = (1 + (unsigned)rand() % (max / SECTOR)) * SECTOR;
	if (rand() % 3 == 0)
		*len = (uint32_t)round_up(*len, OVERLAY_CLUSTER);
	if (*len > SIZE - *at || rand() % 16 == 0)
		*len = (uint32_t)(SIZE - *at);
}

static void random_write(uint64_t at, uint32_t len)
{
	const unsigned seed = (unsigned)rand();

	for (uint32_t i = 0; i < len; i += SECTOR)
		memset(buf + i, (int)(seed + i / SECTOR), SECTOR);
	memcpy(model + at, buf, len);
	cr_assert(move_bytes(true, at, buf, len, 1 + (unsigned)rand() % 9));
}

/* Whole clusters of a discard are zeroes; what is left of a cluster is either that or as before. */
static void random_discard(uint64_t at, uint32_t len)
{
	const uint64_t end = at + len;

	cr_assert_eq(disk_discard(&disk, at, len), DISK_OK);
	read_all();
	for (uint64_t i = at; i < end; i += SECTOR) {
		const uint64_t from = i - i % OVERLAY_CLUSTER;
		const uint64_t to = min_u64(from + OVERLAY_CLUSTER, SIZE);
		bool whole = from >= at && to <= end;

		if (whole || memcmp(got + i, model + i, SECTOR) != 0)
			memset(model + i, 0, SECTOR);
	}
}

/* What the cache has is the same; what it has not is asked for within the files. */
static void check_cached(uint64_t at, uint32_t len)
{
	struct iovec iov = { got, len };

	host.cache = HOST_WARM;
	if (disk_read_cached(&disk, at, &iov, 1, len))
		cr_assert_eq(memcmp(got, model + at, len), 0);
	else
		cr_assert_gt(len, SECTOR, "one sector is of one state");
	host.cache = HOST_COLD;
	disk_will_read(&disk, at, len);
	cr_assert(disk.ahead);
}

static void random_op(const struct how *how)
{
	uint64_t at;
	uint32_t len;

	pick(&at, &len);
	switch (rand() % 8) {
	case 0: case 1: case 2:
		random_write(at, len);
		break;
	case 3:
		memset(model + at, 0, len);
		cr_assert(disk_zero(&disk, at, len, rand() % 2 == 0));
		break;
	case 4:
		if (!how->keep)
			random_discard(at, len);
		break;
	case 5:
		cr_assert(disk_flush(&disk));
		break;
	case 6:
		cr_assert(disk_flush(&disk));
		if (!how->memory)
			cr_assert(open_disk(how));
		break;
	case 7:
		check_cached(at, len);
		cr_assert(move_bytes(false, at, got, len, 1 + (unsigned)rand() % 9));
		cr_assert_eq(memcmp(got, model + at, len), 0);
		break;
	}
}

/* Every sector of the disk after every operation, and what the counters say of the map. */
static void agree_for(const struct how *how, unsigned seed)
{
	srand(seed);
	new_disk(how);
	for (int i = 0; i < 300; i++) {
		uint64_t used = 0;

		random_op(how);
		expect_model();
		for (uint64_t c = 0; c < over.layout.clusters; c++)
			used += state(&over, c) == OVERLAY_DATA;
		cr_assert_eq(used, over.used);
		if (i % 32 == 0)
			cr_assert_leq(stored_clusters(), over.used);
	}
}

Test(overlay, agrees_with_an_array_and_with_itself_later, .timeout = 120)
{
	for (unsigned seed = 1; seed <= 4; seed++)
		agree_for(&(struct how){ 0 }, seed);
}

Test(overlay, in_memory_too, .timeout = 120)
{
	for (unsigned seed = 1; seed <= 3; seed++)
		agree_for(&(struct how){ .memory = true, .limit = 2 * SIZE }, seed);
	cr_assert_eq(host.calls[HOST_SYNC], 0, "there is nothing to make stable");
}

Test(overlay, and_without_discard, .timeout = 120)
{
	for (unsigned seed = 1; seed <= 3; seed++)
		agree_for(&(struct how){ .keep = true }, seed);
	cr_assert_eq(host.calls[HOST_PUNCH], 0);
}

Test(overlay, a_host_that_cannot_tell_is_not_asked_again)
{
	struct iovec iov = { got, SECTOR };

	new_disk(&(struct how){ 0 });
	host.cache = HOST_BLIND;
	cr_assert_not(disk_read_cached(&disk, 0, &iov, 1, SECTOR));
	cr_assert_not(disk.ahead);
	cr_assert_not(over.base.ahead);
}

Test(overlay, what_is_of_two_states_is_not_cached)
{
	struct iovec iov = { got, 2 * OVERLAY_CLUSTER };

	new_disk(&(struct how){ 0 });
	host.cache = HOST_WARM;
	cr_assert(disk_read_cached(&disk, 0, &iov, 1, 2 * OVERLAY_CLUSTER));
	random_write(0, OVERLAY_CLUSTER);
	cr_assert_not(disk_read_cached(&disk, 0, &iov, 1, 2 * OVERLAY_CLUSTER));
	cr_assert(disk.ahead);
	iov.iov_len = OVERLAY_CLUSTER;
	cr_assert(disk_read_cached(&disk, 0, &iov, 1, OVERLAY_CLUSTER));
	cr_assert_eq(memcmp(got, model, OVERLAY_CLUSTER), 0);
	cr_assert(disk_zero(&disk, 0, OVERLAY_CLUSTER, true));
	host.reads = host.begun = 0;
	cr_assert(disk_read_cached(&disk, 0, &iov, 1, OVERLAY_CLUSTER));
	disk_will_read(&disk, 0, OVERLAY_CLUSTER);
	cr_assert_eq(host.reads + host.begun, 0, "zeroes are in no file");
}

/* As many clusters as a page of the map has: behind it lies what may not be touched. */
Test(overlay, nothing_is_asked_of_the_map_where_nothing_is_read)
{
	const uint64_t size = (uint64_t)PER_PAGE * OVERLAY_CLUSTER;
	uint64_t *map;

	make_base(size, false);
	make_store();
	cr_assert(open_disk(&(struct how){ .memory = true }));
	map = mmap(NULL, 2 * OVERLAY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_eq(over.layout.map_len, OVERLAY_PAGE);
	cr_assert_eq(munmap((char *)map + OVERLAY_PAGE, OVERLAY_PAGE), 0);
	over.map = map;
	host.cache = HOST_WARM;
	cr_assert(disk_range_ok(&disk, size, 0));
	cr_assert(disk_read_cached(&disk, size, NULL, 0, 0));
	disk_will_read(&disk, size, 0);
	cr_assert_eq(host.reads + host.begun, 0);
}

Test(overlay, the_base_is_never_written_and_two_disks_over_it_differ)
{
	static uint8_t first[SIZE], second[SIZE];

	new_disk(&(struct how){ 0 });
	random_write(0, 10 * SECTOR);
	read_all();
	memcpy(first, got, SIZE);
	make_store();
	cr_assert(open_disk(&(struct how){ 0 }));
	read_all();
	memcpy(second, got, SIZE);
	cr_assert_neq(memcmp(first, second, SIZE), 0);
	cr_assert_eq(pread(base_fd, buf, SIZE, 0), SIZE);
	cr_assert_eq(memcmp(buf, second, SIZE), 0);
	cr_assert(pwrite(base_fd, "x", 1, 0) < 0);
}

Test(overlay, a_write_costs_one_call_where_nothing_is_to_be_completed)
{
	new_disk(&(struct how){ 0 });
	host_forget();
	cr_assert(move_bytes(true, 0, buf, 4 * OVERLAY_CLUSTER, 5));
	cr_assert(host.calls[HOST_WRITE] == 1 && host.reads == 0);
	cr_assert(move_bytes(true, SECTOR, buf, SECTOR, 1));
	cr_assert(host.calls[HOST_WRITE] == 2 && host.reads == 0, "it is there by now");
	cr_assert(move_bytes(true, 9 * OVERLAY_CLUSTER + SECTOR, buf, SECTOR, 1));
	cr_assert(host.calls[HOST_WRITE] == 5 && host.reads == 2, "before, behind, itself");
	cr_assert(move_bytes(true, SIZE - SECTOR, buf, SECTOR, 1));
	cr_assert(host.calls[HOST_WRITE] == 7, "the end of the disk is the end of its cluster");
	host.reads = 0;
	cr_assert(move_bytes(false, 0, buf, 4 * OVERLAY_CLUSTER, 5));
	cr_assert_eq(host.reads, 1);
}

Test(overlay, a_flush_writes_the_pages_of_the_map_that_changed_after_the_data)
{
	new_disk(&(struct how){ 0 });
	host_forget();
	host.remembers = true;
	cr_assert(disk_flush(&disk));
	cr_assert(host.nevents == 1 && host.event[0].call == HOST_SYNC);
	cr_assert(move_bytes(true, 0, buf, OVERLAY_CLUSTER, 1));
	cr_assert(disk_flush(&disk));
	cr_assert_eq(host.nevents, 5);
	cr_assert(host.event[1].call == HOST_WRITE && host.event[1].at == over.layout.data);
	cr_assert(host.event[2].call == HOST_SYNC);
	cr_assert(host.event[3].call == HOST_WRITE && host.event[3].at == OVERLAY_HEADER &&
		  host.event[3].len == OVERLAY_PAGE);
	cr_assert(host.event[4].call == HOST_SYNC);
	cr_assert(disk_flush(&disk));
	cr_assert_eq(host.nevents, 6, "nothing is new");
	host_forget();
}

Test(overlay, without_a_guest_that_flushes_each_write_is)
{
	struct iovec iov = { buf, OVERLAY_CLUSTER };

	new_disk(&(struct how){ 0 });
	host_forget();
	cr_assert(disk_write(&disk, 0, &iov, 1, OVERLAY_CLUSTER, true));
	cr_assert_eq(host.calls[HOST_SYNC], 2);
	cr_assert(open_disk(&(struct how){ 0 }));
	read_all();
	cr_assert_eq(memcmp(got, buf, OVERLAY_CLUSTER), 0);
}

Test(overlay, storage_goes_back_at_once)
{
	static const struct how each[] = { { .limit = 4 * OVERLAY_CLUSTER },
					   { .limit = 4 * OVERLAY_CLUSTER, .memory = true } };

	for (size_t i = 0; i < array_len(each); i++) {
		new_disk(&each[i]);
		random_write(0, 4 * OVERLAY_CLUSTER);
		cr_assert(disk_flush(&disk));
		cr_assert_not(move_bytes(true, 8 * OVERLAY_CLUSTER, buf, SECTOR, 1));
		host_forget();
		cr_assert_eq(disk_discard(&disk, SECTOR, 3 * OVERLAY_CLUSTER), DISK_OK);
		cr_assert_eq(host.calls[HOST_PUNCH], 3, "one for neighbours, two for the ends");
		memset(model + SECTOR, 0, 3 * OVERLAY_CLUSTER);
		cr_assert(over.used == 2 && stored_clusters() == 2);
		random_write(8 * OVERLAY_CLUSTER, OVERLAY_CLUSTER + SECTOR);
		expect_model();
	}
}

Test(overlay, a_discard_takes_no_storage_and_zeroes_that_are_to_stay_keep_it)
{
	new_disk(&(struct how){ 0 });
	cr_assert_eq(disk_discard(&disk, SECTOR, SECTOR), DISK_OK);
	cr_assert_eq(disk_discard(&disk, SIZE - SECTOR, SECTOR), DISK_OK);
	expect_model();
	cr_assert_eq(over.used, 0);
	random_write(0, 2 * OVERLAY_CLUSTER);
	host_forget();
	cr_assert(disk_zero(&disk, 0, 2 * OVERLAY_CLUSTER, false));
	memset(model, 0, 2 * OVERLAY_CLUSTER);
	expect_model();
	cr_assert(over.used == 2 && host.calls[HOST_PUNCH] == 0);
	cr_assert(disk_zero(&disk, 0, 2 * OVERLAY_CLUSTER, true));
	cr_assert(over.used == 0 && host.calls[HOST_PUNCH] == 1);
}

Test(overlay, its_limit_is_an_error_of_the_write_alone)
{
	const struct how how = { .limit = 5 * OVERLAY_CLUSTER };

	new_disk(&how);
	random_write(OVERLAY_CLUSTER / 2, 4 * OVERLAY_CLUSTER);		/* touches five */
	cr_assert_not(move_bytes(true, 8 * OVERLAY_CLUSTER, buf, SECTOR, 1));
	cr_assert_not(disk_zero(&disk, 8 * OVERLAY_CLUSTER, SECTOR, true), "this would be data, too");
	random_write(0, 5 * OVERLAY_CLUSTER);
	cr_assert(disk_zero(&disk, 8 * OVERLAY_CLUSTER, 8 * OVERLAY_CLUSTER, false), "this is not");
	memset(model + 8 * OVERLAY_CLUSTER, 0, 8 * OVERLAY_CLUSTER);
	expect_model();
	cr_assert(disk_flush(&disk));
	cr_assert(open_disk(&how));
	expect_model();
	cr_assert_not(move_bytes(true, 20 * OVERLAY_CLUSTER, buf, SECTOR, 1), "nor later");
	cr_assert_eq(stored_clusters(), 5);
	cr_assert_eq(disk_discard(&disk, 0, OVERLAY_CLUSTER), DISK_OK);
	memset(model, 0, OVERLAY_CLUSTER);
	random_write(20 * OVERLAY_CLUSTER, SECTOR);
	expect_model();
	cr_assert(open_disk(&(struct how){ .limit = 2 * OVERLAY_CLUSTER }), "a smaller one, later");
	cr_assert_not(move_bytes(true, 30 * OVERLAY_CLUSTER, buf, SECTOR, 1));
	cr_assert(move_bytes(true, OVERLAY_CLUSTER, buf, SECTOR, 1));
}

Test(overlay, a_write_that_fails_anywhere_leaves_what_was_there)
{
	new_disk(&(struct how){ 0 });
	random_write(4 * OVERLAY_CLUSTER, OVERLAY_CLUSTER);
	memset(buf, 0xaa, 3 * OVERLAY_CLUSTER);
	for (int i = 0; i < 3; i++) {
		host.fail_after = i;
		host.error = i == 1 ? EIO : ENOSPC;
		cr_assert_not(move_bytes(true, OVERLAY_CLUSTER / 2, buf, 2 * OVERLAY_CLUSTER, 3));
		host.fail_after = -1;
		expect_model();
		cr_assert(over.used == 1 && stored_clusters() == 1, "nothing is left of it");
	}
	cr_assert_eq(ftruncate(store_fd, (off_t)over.layout.data), 0);
	cr_assert_not(move_bytes(false, 4 * OVERLAY_CLUSTER, got, SECTOR, 1), "the file shrank");
}

Test(overlay, a_flush_that_failed_fails_for_ever_but_one_that_had_no_room)
{
	new_disk(&(struct how){ 0 });
	random_write(0, OVERLAY_CLUSTER);
	host.fail_after = 1;
	host.error = ENOSPC;
	cr_assert_not(disk_flush(&disk), "the map could not be written");
	cr_assert(disk_flush(&disk));
	cr_assert(open_disk(&(struct how){ 0 }));
	expect_model();
	random_write(0, 2 * OVERLAY_CLUSTER);
	host.fail_after = 2;
	host.error = EIO;
	cr_assert_not(disk_flush(&disk));
	cr_assert_not(disk_flush(&disk));
}

Test(overlay, a_host_that_cannot_punch_keeps_what_it_has)
{
	new_disk(&(struct how){ 0 });
	random_write(0, 4 * OVERLAY_CLUSTER);
	host.no_punch = true;
	cr_assert_eq(disk_discard(&disk, 0, 2 * OVERLAY_CLUSTER), DISK_OK);
	expect_model();
	host_forget();
	host.no_punch = true;
	cr_assert(disk_zero(&disk, OVERLAY_CLUSTER / 2, 2 * OVERLAY_CLUSTER, true));
	memset(model + OVERLAY_CLUSTER / 2, 0, 2 * OVERLAY_CLUSTER);
	expect_model();
	cr_assert(disk_flush(&disk));
	cr_assert_eq(over.used, 4);
	cr_assert(open_disk(&(struct how){ 0 }));
	expect_model();
}

Test(overlay, a_base_that_shrank_is_an_error_where_it_is_missing)
{
	char path[32];
	int fd;

	new_disk(&(struct how){ 0 });
	random_write(30 * OVERLAY_CLUSTER, OVERLAY_CLUSTER);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", base_fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(fd >= 0 && ftruncate(fd, 20 * OVERLAY_CLUSTER) == 0);
	cr_assert(move_bytes(false, 19 * OVERLAY_CLUSTER, got, OVERLAY_CLUSTER, 1));
	cr_assert_not(move_bytes(false, 19 * OVERLAY_CLUSTER, got, 2 * OVERLAY_CLUSTER, 1));
	cr_assert_not(move_bytes(true, 25 * OVERLAY_CLUSTER + SECTOR, buf, SECTOR, 1));
	cr_assert(move_bytes(true, 25 * OVERLAY_CLUSTER, buf, OVERLAY_CLUSTER, 1), "needs none of it");
	cr_assert(move_bytes(false, 30 * OVERLAY_CLUSTER, got, OVERLAY_CLUSTER, 1));
	close(fd);
}

/* Three gibibytes are three pages of map. */
Test(overlay, clusters_far_apart_have_pages_of_their_own)
{
	const uint64_t size = (3ull << 30) + 5 * OVERLAY_CLUSTER;
	static const uint64_t at[] = { 0, (1ull << 30) - SECTOR, 2ull << 30, (3ull << 30) + 4096 };

	host_forget();
	make_base(size, false);
	make_store();
	cr_assert(open_disk(&(struct how){ 0 }));
	cr_assert_eq(over.layout.map_len, 4 * OVERLAY_PAGE);
	for (size_t i = 0; i < array_len(at); i++) {
		memset(buf, (int)i + 1, 2 * SECTOR);
		cr_assert(move_bytes(true, at[i], buf, 2 * SECTOR, 1));
	}
	host_forget();
	cr_assert(disk_flush(&disk));
	cr_assert_eq(host.calls[HOST_WRITE], 4);
	cr_assert(open_disk(&(struct how){ 0 }));
	cr_assert_eq(over.used, 5, "one of them touches two");
	for (size_t i = 0; i < array_len(at); i++) {
		cr_assert(move_bytes(false, at[i], got, 3 * SECTOR, 1));
		cr_assert(got[0] == i + 1 && got[2 * SECTOR - 1] == i + 1 && got[2 * SECTOR] == 0);
	}
	for (size_t i = 0; i < array_len(at); i++)
		cr_assert_eq(disk_discard(&disk, at[i] - at[i] % OVERLAY_CLUSTER, 2 * OVERLAY_CLUSTER),
			     DISK_OK);
	cr_assert(over.used == 0 && disk_flush(&disk));
}

/* ---- files ---- */

static bool takes(void)
{
	return open_disk(&(struct how){ 0 });
}

Test(overlay, every_byte_of_the_header_counts)
{
	struct overlay_header h;
	uint8_t *bytes = (uint8_t *)&h;

	new_disk(&(struct how){ 0 });
	cr_assert_eq(pread(store_fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	host_forget();
	for (size_t i = 0; i < sizeof(h); i += i < 64 || i > 4088 ? 1 : 97) {
		bytes[i] ^= 0x20;
		cr_assert_eq(pwrite(store_fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
		cr_assert_not(takes(), "byte %zu", i);
		bytes[i] ^= 0x20;
	}
	cr_assert_eq(host.calls[HOST_WRITE] + host.calls[HOST_SYNC], 0,
		     "what is refused is left alone");
	cr_assert_eq(pwrite(store_fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	cr_assert(takes());
}

Test(overlay, says_what_is_wrong_with_a_header)
{
	struct overlay_header h, want;
	struct overlay_layout l, m;

	cr_assert(overlay_layout(&l, SIZE) && overlay_layout(&m, SIZE - SECTOR));
	cr_assert(l.size == m.size && l.data == m.data, "only the header can tell them apart");
	overlay_header(&want, &l);
	overlay_header(&h, &l);
	cr_assert_null(overlay_differs(&h, &want));
	h.magic[0] = 'q';
	cr_assert_str_eq(overlay_differs(&h, &want), "it is not an overlay");
	overlay_header(&h, &l);
	h.version = to_le32(2);
	cr_assert_str_eq(overlay_differs(&h, &want), "it is of another version");
	overlay_header(&h, &l);
	h.flags = to_le32(1);
	cr_assert_str_eq(overlay_differs(&h, &want), "it has features that this immure does not know");
	overlay_header(&h, &m);
	cr_assert_str_eq(overlay_differs(&h, &want), "its base had another size");
	overlay_header(&h, &l);
	h.checksum.v ^= 1;
	cr_assert_str_eq(overlay_differs(&h, &want), "its header is damaged");
	cr_assert_eq(crc32c("123456789", 9), 0xe3069283u, "the one of RFC 3720");
}

/* The numbers of docs/overlay-format.md. */
Test(overlay, lies_where_the_specification_says)
{
	struct overlay_layout l;

	cr_assert(overlay_layout(&l, 512) && l.clusters == 1 && l.map_len == 4096);
	cr_assert(l.data == 65536 && l.size == 131072);
	cr_assert(overlay_layout(&l, 1ull << 30) && l.clusters == 16384 && l.map_len == 4096);
	cr_assert(overlay_layout(&l, (1ull << 30) + 512) && l.map_len == 8192 && l.data == 65536);
	cr_assert(overlay_layout(&l, 1ull << 40) && l.map_len == 4 << 20 && l.data == (4 << 20) + 65536);
	cr_assert_not(overlay_layout(&l, 0));
	cr_assert_not(overlay_layout(&l, (1ull << 40) + 512));
	cr_assert_not(overlay_layout(&l, UINT64_MAX));
}

Test(overlay, a_map_that_no_overlay_has_is_refused)
{
	static const struct { off_t at; uint8_t byte; } bad[] = {
		{ 0, 0x03 }, { 3, 0xc0 }, { 8, 0x30 },
		{ 9, 0x10 },		/* cluster 38 of 38 */
		{ 10, 0x01 }, { 4095, 0x80 },
	};
	const uint8_t zero = 0, last = 0x01;

	new_disk(&(struct how){ 0 });
	cr_assert_eq(over.layout.clusters, 38);
	for (size_t i = 0; i < array_len(bad); i++) {
		cr_assert_eq(pwrite(store_fd, &bad[i].byte, 1, OVERLAY_HEADER + bad[i].at), 1);
		cr_assert_not(takes(), "%zu", i);
		cr_assert_eq(pwrite(store_fd, &zero, 1, OVERLAY_HEADER + bad[i].at), 1);
	}
	cr_assert_eq(pwrite(store_fd, &last, 1, OVERLAY_HEADER + 9), 1);
	cr_assert(takes() && over.used == 1);
}

Test(overlay, a_file_or_base_of_another_size_is_refused)
{
	struct overlay_terms t = { .base = base_fd, .base_size = SIZE, .kept = true };
	int writable;

	new_disk(&(struct how){ 0 });
	t.base = base_fd;
	cr_assert_eq(ftruncate(store_fd, (off_t)over.layout.size - 512), 0);
	cr_assert_eq(disk_open(&disk, store_fd, 0, &blocks), 0);
	cr_assert_eq(overlay_open(&over, &disk, &t), -EINVAL);
	make_store();
	cr_assert_eq(disk_open(&disk, store_fd, 0, &blocks), 0);
	t.base_size = SIZE + OVERLAY_CLUSTER;
	cr_assert_eq(overlay_open(&over, &disk, &t), -EINVAL);
	t.base_size = 0;
	cr_assert_eq(overlay_open(&over, &disk, &t), -EINVAL);
	t.base_size = SIZE;
	writable = memfd_create("base", MFD_CLOEXEC);
	t.base = writable;
	cr_assert_eq(overlay_open(&over, &disk, &t), -EPERM);
	t.base = -1;
	cr_assert_eq(overlay_open(&over, &disk, &t), -EBADF);
	close(writable);
	cr_assert_not(open_disk(&(struct how){ .base_size = SIZE - SECTOR }), "the header tells");
}
