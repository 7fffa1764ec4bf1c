/* SPDX-License-Identifier: Apache-2.0 */
/* What a request of a virtio block driver is taken for (virtio 1.3 §5.2.6), whatever is in it: each read of
 * the chain gives any bytes, also the second read of the same ones.
 *
 * Assumed: a chain as vq_pop() returns it (vq_walk), with a byte to answer in; a disk of any size and of any
 * logical block, as disk_open() finds it.
 *
 * Proven: what goes to the disk lies where the driver said and inside the disk, on sectors, and on whole blocks past the host's cache;
 * nothing is written to a disk that is read-only; ranges are as many and as large as was offered, and were
 * agreed on; a read fills the chain but for the status byte and a write takes no more than the chain has;
 * what is not for the disk has an answer. */
#include "devices/blk/disk.h"

#include "tests/proofs/proof.h"

#include "devices/blk/request.c"

struct blk_terms nondet_terms(void);
struct disk nondet_disk(void);
struct vq_chain nondet_chain(void);

static struct blk_header head;	/* as it was read */

bool vq_chain_read(const struct vq_chain *c, uint32_t off, void *dst, uint32_t len)
{
	claim(len == 16 && __CPROVER_w_ok(dst, 16), "a header or a range");
	__CPROVER_havoc_slice(dst, 16);
	if (off == 0)
		head = *(struct blk_header *)dst;
	return range_fits(off, len, c->read_len);
}

bool vq_chain_write(const struct vq_chain *c, uint32_t off, const void *src, uint32_t len)
{
	claim(__CPROVER_r_ok(src, len), "what is written is there");
	return range_fits(off, len, c->write_len);
}

/* As in disk.c, which has it behind calls of the host. */
bool disk_range_ok(const struct disk *d, uint64_t at, uint64_t len)
{
	return (at | len) % SECTOR == 0 && range_fits(at, len, d->size) &&
	       (!d->direct || ((at | len) & (d->blocks.logical - 1)) == 0);
}

static bool inside(const struct disk *d, uint64_t at, uint64_t len)
{
	return at <= d->size && len <= d->size - at && at % SECTOR == 0 && len % SECTOR == 0 &&
	       (!d->direct || (at % d->blocks.logical == 0 && len % d->blocks.logical == 0));
}

static struct blk_request r;
static struct disk disk;
static struct blk_terms t;

static void transfers(void)
{
	claim(inside(&disk, r.at, r.len), "inside the disk");
	claim(le64(head.sector) <= UINT64_MAX / SECTOR && r.at == le64(head.sector) * SECTOR, "where the driver said");
	claim(r.nranges == 0, "one range of data");
	if (r.type == VIRTIO_BLK_T_IN) {
		claim(r.len == r.chain.write_len - 1, "the status byte is left");
		REACHED("a read");
	} else {
		claim(!disk.readonly, "what is read-only is not written");
		claim((uint64_t)r.len + 16 <= r.chain.read_len, "what the chain has");
		claim(r.durable == ((t.features & VIRTIO_BLK_F_FLUSH) == 0), "who cannot flush need not");
		REACHED("a write");
	}
}

static void ranges(void)
{
	bool discard = r.type == VIRTIO_BLK_T_DISCARD;
	uint32_t any = nondet_u32();

	claim((t.features & (discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES)) != 0, "agreed on");
	claim(r.nranges >= 1 && r.nranges <= (discard ? BLK_DISCARD_RANGES : BLK_ZERO_RANGES), "as many as offered");
	assume(any < r.nranges);
	claim(inside(&disk, r.range[any].at, r.range[any].len), "each inside the disk");
	claim(r.range[any].len <= (uint64_t)SECTOR * (discard ? BLK_DISCARD_SECTORS : BLK_ZERO_SECTORS),
	      "no larger than offered");
	claim(!discard || !r.range[any].unmap, "a discard has no flags");
	REACHED("ranges");
}

void harness(void)
{
	bool for_disk;

	r.chain = nondet_chain();
	r.status = VIRTIO_BLK_S_UNSUPP + 1;
	r.nranges = 0;
	disk = nondet_disk();
	t = nondet_terms();
	t.disk = &disk;
	disk.readonly = nondet_bool();
	disk.direct = nondet_bool();
	assume(r.chain.write_len > 0);
	assume((uint64_t)r.chain.read_len + r.chain.write_len <= VQ_CHAIN_BYTES_MAX);
	assume(disk.size <= INT64_MAX - VM_BLOCK_MAX && is_power_of_2(disk.blocks.logical) &&
	       disk.blocks.logical >= VM_BLOCK_MIN && disk.blocks.logical <= VM_BLOCK_MAX);
	/* blk_activate(): nothing is agreed on that was not offered. */
	assume(!disk.readonly || (t.features & (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES |
						 VIRTIO_BLK_F_FLUSH)) == 0);
	for_disk = CASE == 0 ? request_parse(&r, &t) : request_moves(&r, &t);
	if (!for_disk) {
		claim(CASE != 0 || r.status <= VIRTIO_BLK_S_UNSUPP, "an answer");
		claim(CASE != 0 || r.written < r.chain.write_len, "room for the status");
		REACHED("what is not for the disk");
		return;
	}
	switch (r.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		transfers();
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		ranges();
		break;
	default:
		claim(r.type == VIRTIO_BLK_T_FLUSH && !disk.readonly, "or a flush of what can be written");
		REACHED("a flush");
	}
}
