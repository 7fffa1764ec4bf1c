/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration is valid, or a field is out of range and it is not. */
#include "core/bucket.c"
#include "core/limits.c"
#include "core/log.c"
#include "core/overlay.c"
#include "core/vmconfig.c"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct vm_config good(void)
{
	struct vm_config c = {
		.magic = VMCONFIG_MAGIC,
		.ram = 256 << 20,
		.vcpus = 2,
		.ndevices = 3,
		.kernel_size = 1,
		.device = {
			{ .kind = VM_DEVICE_BLK, .flags = VM_BLK_READONLY, .nqueues = 1,
			  .blocks = { 512, 4096, 3584, 65536 },
			  .serial = "12345678901234567890" },
			{ .kind = VM_DEVICE_VSOCK, .nqueues = 3, .guest_cid = 3, .connections = 9 },
			{ .kind = VM_DEVICE_NET, .nqueues = 9, .mtu = 1500, .mac = { 2 },
			  .flags = VM_NET_OFFLOADS | VM_NET_USO },
		},
		.cmdline = "quiet",
	};

	return c;
}

Test(vmconfig, a_good_one_is_valid)
{
	struct vm_config c = good();

	cr_assert(vmconfig_valid(&c));
	c.ndevices = 0;
	memset(c.device, 0, sizeof(c.device));
	cr_assert(vmconfig_valid(&c));
	c.flags = VM_CONSOLE | VM_CMDLINE_DEVICES | VM_PAGES;
	c.entry = VM_ENTRY_FLAT;
	c.vcpus = PLAN_VCPUS;
	c.ram = GUESTMEM_MAX;
	cr_assert(vmconfig_valid(&c));
}

#define REFUSED(change) do { \
	struct vm_config c = good(); \
	change; \
	cr_assert_not(vmconfig_valid(&c), #change); \
} while (0)

Test(vmconfig, every_field_has_a_range)
{
	REFUSED(c.magic ^= 1);
	REFUSED(c.flags = 8);
	REFUSED(c.zero = 1);
	REFUSED(c.ram = GUESTMEM_MIN - GUESTMEM_PAGE);
	REFUSED(c.ram = GUESTMEM_MAX + GUESTMEM_PAGE);
	REFUSED(c.ram += 1);
	REFUSED(c.ram = UINT64_MAX);
	REFUSED(c.vcpus = 0);
	REFUSED(c.vcpus = PLAN_VCPUS + 1);
	REFUSED(c.entry = VM_ENTRY_FLAT + 1);
	REFUSED(c.kernel_size = 0);
	REFUSED(c.kernel_size = 1ull << 63);
	REFUSED(c.initrd_size = 1ull << 63);
	REFUSED(memset(c.cmdline, 'x', sizeof(c.cmdline)));
}

Test(vmconfig, every_field_of_a_device_has_a_range)
{
	REFUSED(c.ndevices = PLAN_DEVICES + 1);
	REFUSED(c.ndevices = 2);		/* a third one beyond the count */
	REFUSED(c.ndevices = 4);		/* the fourth is none */
	REFUSED(c.device[0].kind = 99);
	REFUSED(c.device[0].connections = 1);
	REFUSED(c.device[1].connections = 0);
	REFUSED(c.device[1].connections = PLAN_VSOCK_CONNS + 1);
	REFUSED(c.device[2].connections = 1);
	REFUSED(c.device[0].flags = VM_BLK_READONLY | VM_BLK_DISCARD);
	REFUSED(c.device[0].flags = 1u << 31);
	REFUSED(c.device[0].grow = OVERLAY_BASE_MAX + 1);
	REFUSED(c.device[1].grow = 4096);
	REFUSED(c.device[0].nqueues = PLAN_BLK_QUEUES + 1);
	REFUSED(c.device[0].nqueues = 0);
	REFUSED(c.device[0].guest_cid = 3);
	REFUSED(c.device[0].blocks = (struct vm_blocks){ 0 });
	REFUSED(c.device[0].blocks.logical = 256);
	REFUSED(c.device[0].blocks.logical = 1536);
	REFUSED(c.device[0].blocks.logical = 8192);
	REFUSED(c.device[0].blocks.logical = 1024);	/* of which the offset is not whole ones */
	REFUSED(c.device[0].blocks.physical = 0);
	REFUSED(c.device[0].blocks.physical = 256);
	REFUSED(c.device[0].blocks.physical = 6144);
	REFUSED(c.device[0].blocks.physical = 131072);
	REFUSED(c.device[0].blocks.physical = 1u << 31);
	REFUSED(c.device[0].blocks.offset = 4096);
	REFUSED(c.device[0].blocks.offset = 100);
	REFUSED(c.device[0].blocks.offset = UINT32_MAX);
	REFUSED(c.device[0].blocks.optimal = 512);
	REFUSED(c.device[0].blocks.optimal = UINT32_MAX);
	REFUSED(c.device[1].blocks.logical = 512);
	REFUSED(c.device[1].blocks.optimal = 1);
	REFUSED(c.device[2].blocks = c.device[0].blocks);
	REFUSED(c.device[0].serial[20] = 'x');
	REFUSED(c.device[0].serial[23] = 'x');
	REFUSED(c.device[1].flags = 1);
	REFUSED(c.device[1].nqueues = 2);
	REFUSED(c.device[1].guest_cid = 2);
	REFUSED(c.device[1].guest_cid = UINT32_MAX);
	REFUSED(c.device[1].guest_cid = 1ull << 32);
	REFUSED(c.device[1].serial[0] = 'x');
	REFUSED(c.device[0].limit[LIMITS_OUT].bytes.size = BUCKET_TOKENS_MAX + 1);
	REFUSED(c.device[0].limit[LIMITS_IN].bytes.size = 1);	/* a disk has no direction */
	REFUSED(c.device[1].limit[LIMITS_IN].ops.refill_ms = BUCKET_REFILL_MS_MAX + 1);
	REFUSED(c.device[2].limit[LIMITS_OUT].ops.burst = UINT64_MAX);
	REFUSED(c.device[2].nqueues = 0);
	for (uint32_t n = 1; n < 20; n++)
		if (n != 2 && n != 5 && n != 7 && n != 9)
			REFUSED(c.device[2].nqueues = n);
	REFUSED(c.device[2].flags = VM_NET_USO);
	REFUSED(c.device[2].flags |= VM_NET_USER);
	REFUSED(c.device[2].flags = VM_NET_WALL);
	REFUSED(c.device[2].flags = VM_BLK_READONLY);
	REFUSED(c.device[2].mtu = 67);
	REFUSED(c.device[2].mac[0] = 1);
	REFUSED(c.device[2].mac[0] = 0);
	REFUSED(c.device[2].guest_cid = 3);
	REFUSED(c.device[2].serial[0] = 'x');
	REFUSED(c.device[0].mtu = 1500);
	REFUSED(c.device[0].mac[5] = 1);
	REFUSED(c.device[1].mtu = 1500);
	REFUSED(c.device[1].mac[0] = 2);
	REFUSED(c.device[7].serial[0] = 'x');
}

static struct vm_config with_overlay(uint32_t flags, uint64_t base, uint64_t limit)
{
	struct vm_config c = good();

	c.device[0].flags = flags;
	c.device[0].base_size = base;
	c.device[0].overlay_limit = limit;
	return c;
}

Test(vmconfig, an_overlay_is_written_and_has_a_base)
{
	static const struct { uint32_t flags; uint64_t base, limit; bool valid; } each[] = {
		{ 0, 512, 0, true }, { VM_BLK_KEPT | VM_BLK_DISCARD, 1ull << 40, 0, true },
		{ VM_BLK_KEPT, 1 << 20, 65536, true }, { 0, 1 << 20, 1ull << 50, true },
		{ VM_BLK_READONLY, 512, 0, false }, { VM_BLK_READONLY | VM_BLK_KEPT, 512, 0, false },
		{ VM_BLK_KEPT, 0, 0, false }, { 0, 0, 65536, false }, { 0, 1 << 20, 65535, false },
		{ 0, 513, 0, false }, { 0, (1ull << 40) + 512, 0, false }, { 0, UINT64_MAX, 0, false },
	};

	for (size_t i = 0; i < array_len(each); i++) {
		struct vm_config c = with_overlay(each[i].flags, each[i].base, each[i].limit);

		cr_assert_eq(vmconfig_valid(&c), each[i].valid, "%zu", i);
	}
	REFUSED(c.device[1].base_size = 512);
	REFUSED(c.device[2].overlay_limit = 65536);
}

/* What vmconfig_read() says, in a process of its own, about a file of @len bytes that begins
 * with @c; 1000 when the outcome is not the promised one. */
static int read_back(const struct vm_config *c, size_t len)
{
	size_t n = len < sizeof(*c) ? len : sizeof(*c);
	int fd = memfd_create("config", 0), rc, status;
	struct vm_config got;
	pid_t pid = fork();

	if (pid == 0) {
		if (write(fd, c, n) != (ssize_t)n || ftruncate(fd, (off_t)len) != 0 ||
		    dup2(fd, FD_CONFIG) != FD_CONFIG)
			_exit(200);
		rc = vmconfig_read(&got);
		if (fcntl(FD_CONFIG, F_GETFD) != -1 || vmconfig_read(&got) != -EBADF)
			_exit(201);
		_exit(rc == 0 && memcmp(c, &got, n) != 0 ? 202 : -rc);
	}
	close(fd);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : 1000;
}

Test(vmconfig, a_disk_may_have_blocks_of_many_sizes)
{
	static const struct vm_blocks fine[] = {
		{ 512, 512, 0, 0 }, { 4096, 4096, 0, 0 }, { 512, 65536, 65024, 1u << 31 },
		{ 2048, 4096, 2048, 4096 }, { 1024, 1024, 0, 1024 },
	};
	struct vm_config c = good();

	for (size_t i = 0; i < array_len(fine); i++) {
		c.device[0].blocks = fine[i];
		cr_assert(vmconfig_valid(&c), "%zu", i);
	}
}

Test(vmconfig, read_takes_it_from_its_descriptor_and_closes_that)
{
	struct vm_config c = good();

	cr_assert_eq(read_back(&c, sizeof(c)), 0);	/* whatever the file's position is */
}

Test(vmconfig, read_refuses_the_wrong_size_and_the_wrong_content)
{
	struct vm_config c = good();

	cr_assert_eq(read_back(&c, sizeof(c) - 1), -EINVAL);
	cr_assert_eq(read_back(&c, sizeof(c) + 1), -EINVAL);
	cr_assert_eq(read_back(&c, 0), -EINVAL);
	c.vcpus = 0;
	cr_assert_eq(read_back(&c, sizeof(c)), -EINVAL);
}
