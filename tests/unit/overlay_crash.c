/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay after a power cut at any moment.
 *
 * What a disk did to its file is replayed up to a moment.  Of the changes since the last fdatasync
 * any may be there and any not, sector by sector; what came before is there.  The file is opened
 * again, and each sector of the disk must be what was flushed, or what was written to it since. */
#include "tests/unit/overlay.h"

enum {
	CLUSTERS = 9, SECTORS = CLUSTERS * (OVERLAY_CLUSTER / SECTOR) + 5, SIZE = SECTORS * SECTOR,
	FILE_SIZE = OVERLAY_CLUSTER * (CLUSTERS + 2), OPS = 60, NEVER = INT32_MAX,
};

/* A value that sector @sector may have, from event @from on (it is being written) and before event
 * @to (a flush that followed another value was done). */
struct value {
	uint32_t sector;
	int from, to;
	uint64_t id;
};

static struct value value[1 << 18];
static size_t nvalues, newest[SECTORS];
static uint8_t buf[SIZE], stable[FILE_SIZE], cut[FILE_SIZE];

static void add_value(uint32_t sector, uint64_t id)
{
	cr_assert_lt(nvalues, array_len(value));
	value[nvalues] = (struct value){ sector, (int)host.nevents, NEVER, id };
	newest[sector] = nvalues++;
}

/* A flush that was done makes all but the newest values impossible. */
static void settle(void)
{
	for (size_t i = 0; i < nvalues; i++)
		if (value[i].to == NEVER && newest[value[i].sector] != i)
			value[i].to = (int)host.nevents;
}

static void fill_sector(uint8_t *p, uint64_t id)
{
	for (size_t i = 0; i < SECTOR; i += sizeof(id))
		memcpy(p + i, &id, sizeof(id));
}

/* One value for a whole sector, or UINT64_MAX: it is torn. */
static uint64_t sector_id(const uint8_t *p)
{
	uint64_t id;

	memcpy(&id, p, sizeof(id));
	return memcmp(p, p + sizeof(id), SECTOR - sizeof(id)) == 0 ? id : UINT64_MAX;
}

static void do_write(uint32_t first, uint32_t n, uint64_t op)
{
	for (uint32_t i = 0; i < n; i++) {
		add_value(first + i, op * SECTORS + i + 1);
		fill_sector(buf + i * SECTOR, op * SECTORS + i + 1);
	}
	cr_assert(move_bytes(true, first * (uint64_t)SECTOR, buf, n * SECTOR, 3));
}

static void do_zero(uint32_t first, uint32_t n, bool discard)
{
	const uint64_t at = first * (uint64_t)SECTOR, len = n * (uint64_t)SECTOR;
	static uint8_t before[SIZE];

	cr_assert(move_bytes(false, 0, before, SIZE, 1));
	for (uint32_t i = 0; i < n; i++)
		add_value(first + i, 0);
	if (!discard)
		cr_assert(disk_zero(&disk, at, len, rand() % 2 == 0));
	else
		cr_assert_eq(disk_discard(&disk, at, len), DISK_OK);
	cr_assert(move_bytes(false, at, buf, n * SECTOR, 1));
	/* Of a discard's ends some stay as they were. */
	for (uint32_t i = 0; i < n && discard; i++)
		if (sector_id(buf + i * SECTOR) != 0)
			add_value(first + i, sector_id(before + at + i * SECTOR));
}

static void some_op(uint64_t op)
{
	uint32_t first = (unsigned)rand() % SECTORS, n = 1 + (unsigned)rand() % 300;

	if (rand() % 2 == 0)
		first -= first % (OVERLAY_CLUSTER / SECTOR);
	n = first + n > SECTORS || rand() % 8 == 0 ? SECTORS - first : n;
	switch (rand() % 6) {
	case 0: case 1:
		do_write(first, n, op);
		break;
	case 2: case 3:
		do_zero(first, n, rand() % 2 == 0);
		break;
	case 4:
		do_write(first, 1, op);
		break;
	case 5:
		cr_assert(disk_flush(&disk));
		settle();
		break;
	}
}

/* What a lost or partly done change makes of the file. */
static void apply(uint8_t *file, const struct host_event *e, bool torn)
{
	for (uint64_t i = 0; i < e->len && e->call != HOST_SYNC; i += SECTOR) {
		const uint64_t n = min_u64(SECTOR, e->len - i);

		if (torn && rand() % 2 == 0)
			continue;
		if (e->call == HOST_WRITE)
			memcpy(file + e->at + i, e->data + i, n);
		else
			memset(file + e->at + i, 0, n);
	}
}

/* The disk whose power went after event @moment. */
static void check_cut(int moment)
{
	static bool fine[SECTORS];
	static uint64_t id[SECTORS];

	cr_assert_eq(pwrite(store_fd, cut, FILE_SIZE, 0), FILE_SIZE);
	cr_assert(open_disk(&(struct how){ 0 }), "not taken again after event %d", moment);
	cr_assert(move_bytes(false, 0, buf, SIZE, 1));
	for (uint32_t s = 0; s < SECTORS; s++) {
		id[s] = sector_id(buf + s * SECTOR);
		fine[s] = false;
	}
	for (size_t i = 0; i < nvalues; i++) {
		const struct value *v = &value[i];

		if (v->from <= moment && v->to > moment && v->id == id[v->sector])
			fine[v->sector] = true;
	}
	for (uint32_t s = 0; s < SECTORS; s++)
		cr_assert(fine[s], "after event %d sector %u is %lu", moment, s, (unsigned long)id[s]);
}

/* What the cut left in the file in the place of a cluster that is no data must not come up when that
 * is written in part. */
static void use_after_cut(int moment)
{
	const uint64_t c = (unsigned)rand() % CLUSTERS, at = c * OVERLAY_CLUSTER;
	const uint32_t sector = (unsigned)rand() % (OVERLAY_CLUSTER / SECTOR);

	if (rand() % 2 == 0) {
		cr_assert(disk_zero(&disk, at, OVERLAY_CLUSTER, true));
		memset(buf + at, 0, OVERLAY_CLUSTER);
	}
	fill_sector(buf + at + sector * SECTOR, 77);
	cr_assert(move_bytes(true, at + sector * SECTOR, buf + at + sector * SECTOR, SECTOR, 1));
	cr_assert(move_bytes(false, at, cut, OVERLAY_CLUSTER, 1));
	cr_assert_eq(memcmp(cut, buf + at, OVERLAY_CLUSTER), 0, "after event %d", moment);
}

/* Every moment, with some of what is not stable. */
static void cut_everywhere(void)
{
	size_t synced = 0;

	for (size_t now = 0; now <= host.nevents; now++) {
		for (int turn = 0; turn < 2; turn++) {
			const int kept = rand() % 4;	/* none, all, some, parts of some */

			memcpy(cut, stable, FILE_SIZE);
			for (size_t i = synced; i < now; i++)
				if (kept == 1 || (kept > 1 && rand() % 2 == 0))
					apply(cut, &host.event[i], kept == 3);
			check_cut((int)now);
			use_after_cut((int)now);
		}
		if (now == host.nevents || host.event[now].call != HOST_SYNC)
			continue;
		for (; synced <= now; synced++)
			apply(stable, &host.event[synced], false);
	}
}

static void history(unsigned seed)
{
	srand(seed);
	fresh_disk(SIZE, &(struct how){ 0 });
	host_forget();
	host.remembers = true;
	nvalues = 0;
	cr_assert_eq(over.layout.size, FILE_SIZE);
	cr_assert_eq(pread(store_fd, stable, FILE_SIZE, 0), FILE_SIZE);
	for (uint32_t s = 0; s < SECTORS; s++)
		add_value(s, 1000000 + s);
	for (uint64_t op = 1; op <= OPS; op++)
		some_op(1000 + op);
	host.remembers = false;
	cut_everywhere();
	host_forget();
}

Test(overlay_crash, what_was_flushed_is_there_and_what_was_not_is_old_or_new, .timeout = 280)
{
	for (unsigned seed = 1; seed <= 8; seed++)
		history(seed);
}
