/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson -llz4 -lzstd -llzma -lz -lmd */
/* Claims about `immure kernel`, over a kernel tree made here: a vmlinux in a bzImage in each
 * compression, modules that depend on each other, and every way they can be damaged. */
#include "cli/cache.c"
#include "cli/kernel_initramfs.c"
#include "cli/kernel_modules.c"
#include "cli/kernel_source.c"
#include "cli/kernel_store.c"
#include "cli/kernel_unpack.c"
#include "cli/kernel_vmlinux.c"
#include "cli/say.c"

/* Where this program is, as far as finding immure-init goes. */
static ssize_t fake_readlink(const char *path, char *buf, size_t size);
#define readlink fake_readlink
#include "cli/programs.c"
#undef readlink
#include "cli/kernel_import.c"
#define help_print fake_help
static int fake_help(const char *command);
#include "cli/kernel.c"

#include <criterion/criterion.h>

#include <sys/time.h>

static char base[] = "/tmp/immure-kernel.XXXXXX";
static char tree[64], store[64];

static int fake_help(const char *command)
{
	(void)command;
	return 0;
}

static ssize_t fake_readlink(const char *path, char *buf, size_t size)
{
	(void)path;
	return snprintf(buf, size, "%s/bin/immure", base);
}

/* ---- the tree ---- */

static void put_file(const char *path, const void *bytes, size_t len)
{
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", base, path);
	f = fopen(full, "wb");
	cr_assert_not_null(f, "%s", full);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

static void get_file(const char *path, struct blob *out)
{
	int fd = open(path, O_RDONLY);

	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(blob_read(fd, 64 << 20, out), 0);
	close(fd);
}

/* Runs a shell line; $B is the scratch directory, $T the tree in it. */
static int shell(const char *line)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* A vmlinux: text, data with zeros behind, .init.scratch at the end, a note inside the text. */
enum {
	TEXT_AT = 0x1000, TEXT_SIZE = 0x3000, NOTE_IN_TEXT = 0x100, NOTE_SIZE = 0x20,
	DATA_AT = 0x4000, DATA_SIZE = 0x2000, DATA_USED = 0x123,
	SCRATCH_AT = 0x6000, SCRATCH_SIZE = 0x1000,
	NAMES_AT = 0x7000, SECTIONS_AT = 0x7100, VMLINUX_SIZE = 0x7100 + 3 * 64,
};

static uint8_t vmlinux[VMLINUX_SIZE];

static void make_vmlinux(void)
{
	static const char names[] = "\0.init.scratch\0.shstrtab";
	Elf64_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
			  .e_entry = 0x1000000, .e_phoff = 64, .e_phentsize = 56, .e_phnum = 3,
			  .e_shoff = SECTIONS_AT, .e_shentsize = 64, .e_shnum = 3,
			  .e_shstrndx = 2 };
	const Elf64_Phdr ph[3] = {
		{ .p_type = PT_LOAD, .p_offset = TEXT_AT, .p_vaddr = 0x81000000,
		  .p_paddr = 0x1000000, .p_filesz = TEXT_SIZE, .p_memsz = TEXT_SIZE },
		{ .p_type = PT_LOAD, .p_offset = DATA_AT, .p_vaddr = 0x81200000,
		  .p_paddr = 0x1200000, .p_filesz = DATA_SIZE + SCRATCH_SIZE,
		  .p_memsz = DATA_SIZE + SCRATCH_SIZE },
		{ .p_type = PT_NOTE, .p_offset = TEXT_AT + NOTE_IN_TEXT, .p_filesz = NOTE_SIZE,
		  .p_memsz = NOTE_SIZE, .p_align = 4 },
	};
	const Elf64_Shdr sh[3] = {
		{ 0 },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_addr = 0x81200000 + DATA_SIZE,
		  .sh_offset = SCRATCH_AT, .sh_size = SCRATCH_SIZE },
		{ .sh_name = 15, .sh_type = SHT_STRTAB, .sh_offset = NAMES_AT,
		  .sh_size = sizeof(names) },
	};

	memset(vmlinux, 0, sizeof(vmlinux));
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(vmlinux, &eh, sizeof(eh));
	memcpy(vmlinux + 64, ph, sizeof(ph));
	for (size_t i = 0; i < TEXT_SIZE; i++)
		vmlinux[TEXT_AT + i] = (uint8_t)(i % 251 + 1);
	memset(vmlinux + DATA_AT, 0xdd, DATA_USED);
	memcpy(vmlinux + NAMES_AT, names, sizeof(names));
	memcpy(vmlinux + SECTIONS_AT, sh, sizeof(sh));
}

enum packing { PACK_GZIP, PACK_XZ, PACK_ZSTD, PACK_LZ4, PACKINGS };

static size_t pack(enum packing how, const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)len, .next_out = out,
		       .avail_out = (uInt)room };
	size_t n = 0;
	int block;

	switch (how) {
	case PACK_GZIP:
		cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
		cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
		n = room - z.avail_out;
		deflateEnd(&z);
		return n;
	case PACK_XZ:
		cr_assert_eq(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, in, len, out, &n,
						     room), LZMA_OK);
		return n;
	case PACK_ZSTD:
		n = ZSTD_compress(out, room, in, len, 1);
		cr_assert_not(ZSTD_isError(n));
		return n;
	case PACK_LZ4:
		memcpy(out, "\x02\x21\x4c\x18", 4);
		block = LZ4_compress_default((const char *)in, (char *)out + 8, (int)len,
					     (int)room - 8);
		cr_assert_gt(block, 0);
		memcpy(out + 4, &block, 4);
		return (size_t)block + 8;
	case PACKINGS:
		break;
	}
	return 0;
}

enum { BZ_SECTS = 4, BZ_CODE_AT = (BZ_SECTS + 1) * 512, BZ_PAYLOAD = 0x2cc, BZ_MAX = 1 << 16 };

static uint8_t bz[BZ_MAX];

static struct setup_header *header(void)
{
	return (struct setup_header *)(void *)(bz + HEADER_AT);
}

/* A bzImage around @len bytes at @in that calls itself @version; its length. */
static size_t make_bzimage(enum packing how, const char *version, const void *in, size_t len)
{
	size_t n;
	uint32_t size = (uint32_t)len;

	memset(bz, 0, sizeof(bz));
	n = pack(how, in, len, bz + BZ_CODE_AT + BZ_PAYLOAD, BZ_MAX - BZ_CODE_AT - BZ_PAYLOAD - 4);
	memcpy(bz + BZ_CODE_AT + BZ_PAYLOAD + n, &size, 4);
	*header() = (struct setup_header){
		.setup_sects = BZ_SECTS,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x20f,
		.kernel_version = 0x300,
		.payload_offset = BZ_PAYLOAD,
		.payload_length = (uint32_t)n + 4,
	};
	snprintf((char *)bz + 0x500, 256, "%s (someone@somewhere) #1 SMP", version);
	return BZ_CODE_AT + BZ_PAYLOAD + n + 4;
}

/* A module that depends on @depends; @tail stands for a signature. */
static size_t make_module(uint8_t *out, const char *depends, const char *tail)
{
	static const char names[] = "\0.modinfo\0.shstrtab";
	Elf64_Ehdr eh = { .e_type = ET_REL, .e_shoff = 1024, .e_shentsize = 64, .e_shnum = 3,
			  .e_shstrndx = 2 };
	Elf64_Shdr sh[3] = {
		{ 0 },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = 64 },
		{ .sh_name = 10, .sh_type = SHT_STRTAB, .sh_offset = 512,
		  .sh_size = sizeof(names) },
	};

	memset(out, 0, 2048);
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	sh[1].sh_size = (uint64_t)snprintf((char *)out + 64, 400, "license=GPL%cdepends=%s%cname=x",
					   0, depends, 0) + 1;
	memcpy(out, &eh, sizeof(eh));
	memcpy(out + 512, names, sizeof(names));
	memcpy(out + 1024, sh, sizeof(sh));
	memcpy(out + 1024 + sizeof(sh), tail, strlen(tail));
	return 1024 + sizeof(sh) + strlen(tail);
}

static void put_module(const char *path, const char *depends, enum packing how)
{
	uint8_t module[2048], packed[4096];
	char full[256];
	size_t n = make_module(module, depends, "~Module signature appended~\n");

	snprintf(full, sizeof(full), "tree/lib/modules/9.9-test/kernel/%s", path);
	if (how == PACKINGS) {
		put_file(full, module, n);
		return;
	}
	put_file(full, packed, pack(how, module, n, packed, sizeof(packed)));
}

static void put_kernel_file(enum packing how)
{
	put_file("tree/boot/vmlinuz-9.9-test", bz,
		 make_bzimage(how, "9.9-test", vmlinux, sizeof(vmlinux)));
}

static void setup(void)
{
	static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio.ko\n";

	cr_assert_not_null(mkdtemp(base));
	snprintf(tree, sizeof(tree), "%s/tree", base);
	snprintf(store, sizeof(store), "%s/kernels", base);
	setenv("IMMURE_CACHE", base, 1);
	setenv("B", base, 1);
	setenv("T", tree, 1);
	cr_assert_eq(shell("mkdir -p $B/bin $T/boot $T/lib/modules/9.9-test/kernel/a/b"), 0);
	put_file("bin/immure-init", "init!", 5);
	cr_assert_eq(shell("chmod 755 $B/bin/immure-init"), 0);
	make_vmlinux();
	put_kernel_file(PACK_ZSTD);
	put_module("a/virtio_mmio.ko", "virtio,virtio_ring", PACKINGS);
	put_module("a/virtio-ring.ko.xz", "", PACK_XZ);
	put_module("a/virtio_blk.ko.zst", "virtio_ring,virtio", PACK_ZSTD);
	put_module("a/b/vmw_vsock_virtio_transport.ko.gz", "vmw_vsock_virtio_transport_common",
		   PACK_GZIP);
	put_module("a/b/vmw_vsock_virtio_transport_common.ko", "vsock", PACKINGS);
	put_module("a/b/vsock.ko", "", PACKINGS);
	put_module("a/overlay.ko", "", PACKINGS);
	put_module("a/virtio_net.ko", "virtio,virtio_ring,net_failover", PACKINGS);
	put_module("a/net_failover.ko", "failover", PACKINGS);
	put_module("a/failover.ko", "", PACKINGS);
	put_module("a/erofs.ko", "libcrc32c", PACKINGS);
	put_module("a/libcrc32c.ko", "", PACKINGS);
	put_module("a/unrelated.ko", "nothing_that_exists", PACKINGS);
	put_file("tree/lib/modules/9.9-test/modules.builtin", builtin, strlen(builtin));
}

static void teardown(void)
{
	shell("rm -rf $B");
}

static int import(const char *path, const char *name)
{
	const struct import what = { .path = path, .name = name };

	return kernel_import(&what);
}

/* The store holds @n kernels and nothing else. */
static void expect_kernels(size_t n)
{
	DIR *d = opendir(store);
	struct dirent *e;
	size_t found = 0;

	cr_assert_not_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		cr_assert_neq(e->d_name[0], '.', "left behind: %s", e->d_name);
		found++;
	}
	closedir(d);
	cr_assert_eq(found, n);
}

TestSuite(kernel, .init = setup, .fini = teardown);

/* ---- import ---- */

Test(kernel, a_tree_becomes_a_bootable_pair)
{
	struct blob elf = { 0 }, initramfs = { 0 };
	struct kernel k;

	cr_assert_eq(import(tree, NULL), 0);
	expect_kernels(1);
	cr_assert_eq(kernel_find("9.9-test", &k), 0);
	cr_assert_str_eq(k.version, "9.9-test");
	cr_assert_not(k.bzimage);
	cr_assert_eq(strlen(k.sha256), 64);
	get_file(k.vmlinux, &elf);
	cr_assert_eq(memcmp(elf.data, ELFMAG, SELFMAG), 0);
	get_file(k.initramfs, &initramfs);
	cr_assert_eq(memcmp(initramfs.data, "070701", 6), 0);
	cr_assert_eq(initramfs.len % 4, 0);
	blob_free(&elf);
	blob_free(&initramfs);
}

Test(kernel, cpio_reads_the_initramfs_and_order_is_load_order)
{
	cr_assert_eq(import(tree, "k"), 0);
	if (shell("command -v cpio > /dev/null") != 0)
		cr_skip("cpio is not installed");
	cr_assert_eq(shell("mkdir $B/x && cd $B/x && cpio -i --quiet < $B/kernels/k/initramfs"
			   " && test \"$(cat init)\" = init! && test -x init"), 0);
	cr_assert_eq(shell("cd $B/x && cpio -i --quiet < $B/kernels/k/modules.cpio && cd modules &&"
			   " ls | grep -c ko | grep -qx 12 && wc -l < order | grep -qx 12 &&"
			   " for m in $(cat order); do test -f $m || exit 1; done &&"
			   " grep -q 'Module signature' *virtio_ring.ko *virtio_blk.ko"), 0);
	/* What is depended on comes first; what is built in or not needed does not come. */
	cr_assert_eq(shell("cd $B/x/modules && n() { grep -n -- \"-$1.ko\" order | cut -d: -f1; } &&"
			   " test $(n virtio_ring) -lt $(n virtio_mmio) &&"
			   " test $(n virtio_ring) -lt $(n virtio_blk) &&"
			   " test $(n vsock) -lt $(n vmw_vsock_virtio_transport_common) &&"
			   " test $(n vmw_vsock_virtio_transport_common) -lt "
			   "$(n vmw_vsock_virtio_transport) &&"
			   " test $(n failover) -lt $(n net_failover) &&"
			   " test $(n net_failover) -lt $(n virtio_net) &&"
			   " test $(n libcrc32c) -lt $(n erofs) && ! grep -q ext4 order &&"
			   " ! grep -q unrelated order"), 0);
}

Test(kernel, every_compression_gives_the_same_vmlinux)
{
	struct blob first = { 0 };

	for (enum packing how = 0; how < PACKINGS; how++) {
		struct blob image = { 0 }, out = { 0 };
		enum unpack_err why;
		size_t n = make_bzimage(how, "1", vmlinux, sizeof(vmlinux));

		cr_assert_eq(blob_append(&image, bz, n), 0);
		cr_assert_eq(vmlinux_extract(&image, &out, &why), VMLINUX_OK, "%d: %s", (int)how,
			     unpack_err_text(why));
		if (how == 0)
			cr_assert_eq(blob_append(&first, out.data, out.len), 0);
		cr_assert_eq(out.len, first.len);
		cr_assert_eq(memcmp(out.data, first.data, out.len), 0);
		blob_free(&image);
		blob_free(&out);
	}
	blob_free(&first);
}

Test(kernel, the_lean_vmlinux_loads_the_same_bytes_without_padding_and_scratch)
{
	const struct blob elf = { vmlinux, sizeof(vmlinux) };
	struct blob out = { 0 };
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];

	cr_assert_eq(vmlinux_lean(&elf, &out), VMLINUX_OK);
	memcpy(&eh, out.data, sizeof(eh));
	cr_assert_eq(eh.e_entry, 0x1000000);
	cr_assert_eq(eh.e_phnum, 3);
	cr_assert_eq(eh.e_shnum, 0);
	memcpy(ph, out.data + eh.e_phoff, sizeof(ph));
	cr_assert_eq(ph[0].p_filesz, TEXT_SIZE);
	cr_assert_eq(ph[0].p_paddr, 0x1000000);
	cr_assert_eq(memcmp(out.data + ph[0].p_offset, vmlinux + TEXT_AT, TEXT_SIZE), 0);
	cr_assert_eq(ph[1].p_filesz, DATA_USED);
	cr_assert_eq(ph[1].p_memsz, DATA_SIZE);
	cr_assert_eq(memcmp(out.data + ph[1].p_offset, vmlinux + DATA_AT, DATA_USED), 0);
	cr_assert_eq(ph[2].p_offset, ph[0].p_offset + NOTE_IN_TEXT);
	cr_assert_lt(out.len, sizeof(vmlinux));
	blob_free(&out);
}

Test(kernel, a_bzimage_can_be_kept_as_it_is)
{
	const struct import what = { .path = tree, .name = "bz", .bzimage = true };
	struct blob file = { 0 }, source = { 0 };
	char path[128];
	struct kernel k;

	cr_assert_eq(kernel_import(&what), 0);
	cr_assert_eq(kernel_find("bz", &k), 0);
	cr_assert(k.bzimage);
	get_file(k.vmlinux, &file);
	snprintf(path, sizeof(path), "%s/boot/vmlinuz-9.9-test", tree);
	get_file(path, &source);
	cr_assert_eq(file.len, source.len);
	cr_assert_eq(memcmp(file.data, source.data, file.len), 0);
	blob_free(&file);
	blob_free(&source);
}

Test(kernel, a_package_is_unpacked_and_imported)
{
	char deb[128];

	if (shell("command -v dpkg-deb > /dev/null") != 0)
		cr_skip("dpkg-deb is not installed");
	cr_assert_eq(shell("mkdir $T/DEBIAN && printf 'Package: k\\nVersion: 1\\nArchitecture: amd64\\n"
			   "Maintainer: x <x@example.org>\\nDescription: x\\n' > $T/DEBIAN/control &&"
			   " dpkg-deb --build $T $B/k.deb > /dev/null"), 0);
	snprintf(deb, sizeof(deb), "%s/k.deb", base);
	cr_assert(kernel_source_is_deb(deb));
	cr_assert_eq(import(deb, NULL), 0);
	expect_kernels(1);
	cr_assert_eq(shell("head -c 1000 $B/k.deb > $B/short.deb"), 0);
	snprintf(deb, sizeof(deb), "%s/short.deb", base);
	cr_assert_eq(import(deb, "other"), -1);
	expect_kernels(1);
}

Test(kernel, importing_again_replaces_and_rm_removes)
{
	struct kernel k;

	cr_assert_eq(import(tree, "k"), 0);
	cr_assert_eq(import(tree, "k"), 0);
	expect_kernels(1);
	cr_assert_eq(store_remove("k"), 0);
	expect_kernels(0);
	cr_assert_eq(kernel_find("k", &k), -1);
	cr_assert_eq(kernel_find(NULL, &k), -1);
	cr_assert_eq(store_remove("k"), -1);
	cr_assert_eq(store_remove("../kernels"), -1);
	cr_assert_eq(store_remove("."), -1);
	expect_kernels(0);
}

Test(kernel, the_newest_with_modules_is_taken_and_the_header_names_the_version)
{
	struct kernel_source s;

	/* 10 is newer than 9 as a version, not as text, but has no modules. */
	put_file("tree/boot/vmlinuz-10.1", bz, make_bzimage(PACK_GZIP, "10.1", vmlinux,
							    sizeof(vmlinux)));
	cr_assert_eq(kernel_source_open(tree, &s), 0);
	cr_assert_str_eq(s.version, "9.9-test");
	kernel_source_free(&s);
	cr_assert_eq(shell("mkdir -p $T/usr/lib/modules/10.1"), 0);
	cr_assert_eq(kernel_source_open(tree, &s), 0);
	cr_assert_str_eq(s.version, "10.1");
	kernel_source_free(&s);
}

Test(kernel, a_file_in_boot_finds_its_modules)
{
	struct kernel_source s;
	char path[128], modules[160];

	snprintf(path, sizeof(path), "%s/boot/vmlinuz-9.9-test", tree);
	snprintf(modules, sizeof(modules), "%s/boot/../lib/modules/9.9-test", tree);
	cr_assert_eq(kernel_source_open(path, &s), 0);
	cr_assert_str_eq(s.modules, modules);
	kernel_source_free(&s);
}

Test(kernel, another_immure_init_renews_the_initramfs_when_the_kernel_is_used)
{
	struct blob before = { 0 }, after = { 0 };
	struct kernel k;

	cr_assert_eq(import(tree, "k"), 0);
	cr_assert_eq(kernel_find("k", &k), 0);
	get_file(k.initramfs, &before);
	put_file("bin/immure-init", "another init", 12);
	cr_assert_eq(kernel_find(NULL, &k), 0);
	kernel_renew(&k);
	get_file(k.initramfs, &after);
	cr_assert_not_null(memmem(before.data, before.len, "init!", 5));
	cr_assert_not_null(memmem(after.data, after.len, "another init", 12));
	cr_assert_not_null(memmem(after.data, after.len, "modules/order", 13));
	expect_kernels(1);
	blob_free(&before);
	blob_free(&after);
}

Test(kernel, a_directory_with_the_two_files_is_a_kernel_too)
{
	struct kernel k;
	char path[128];

	cr_assert_eq(shell("mkdir $B/d && echo k > $B/d/vmlinux && echo i > $B/d/initramfs"), 0);
	snprintf(path, sizeof(path), "%s/d", base);
	cr_assert_eq(kernel_find(path, &k), 0);
	cr_assert_str_eq(k.name, "");
	cr_assert_eq(shell("rm $B/d/initramfs"), 0);
	cr_assert_eq(kernel_find(path, &k), -1);
}

/* Whoever made the directory, only its two files are used: what would be renewed with root's
 * rights is root's own. */
Test(kernel, nothing_is_renewed_in_a_directory_that_was_given)
{
	struct kernel k;
	char path[128];

	cr_assert_eq(import(tree, "k"), 0);
	put_file("secret", "root only", 9);
	cr_assert_eq(shell("rm $B/kernels/k/modules.cpio && ln -s $B/secret $B/kernels/k/modules.cpio"), 0);
	cr_assert_eq(shell("cp -a $B/kernels/k $B/given"), 0);
	put_file("bin/immure-init", "another init", 12);
	snprintf(path, sizeof(path), "%s/given", base);
	cr_assert_eq(kernel_find(path, &k), 0);
	kernel_renew(&k);
	cr_assert_eq(shell("cmp $B/given/initramfs $B/kernels/k/initramfs"), 0);
	/* Nor through a link in the store. */
	cr_assert_eq(kernel_find("k", &k), 0);
	kernel_renew(&k);
	cr_assert_eq(shell("cmp $B/given/initramfs $B/kernels/k/initramfs"), 0);
	/* A pipe is not waited for. */
	cr_assert_eq(shell("rm $B/kernels/k/modules.cpio && mkfifo $B/kernels/k/modules.cpio"), 0);
	kernel_renew(&k);
	cr_assert_eq(shell("cmp $B/given/initramfs $B/kernels/k/initramfs"), 0);
}

Test(kernel, finding_a_kernel_changes_nothing)
{
	struct kernel k;

	cr_assert_eq(import(tree, "k"), 0);
	cr_assert_eq(shell("cp -a $B/kernels/k $B/copy"), 0);
	put_file("bin/immure-init", "another init", 12);
	cr_assert_eq(kernel_find("k", &k), 0);
	cr_assert_eq(shell("diff -r $B/kernels/k $B/copy"), 0);
}

/* ---- what goes wrong ---- */

static void refused(void)
{
	cr_assert_eq(import(tree, "bad"), -1);
	expect_kernels(0);
}

Test(kernel, damage_of_the_kernel_is_noticed_and_leaves_nothing)
{
	size_t n = make_bzimage(PACK_ZSTD, "9.9-test", vmlinux, sizeof(vmlinux));

	put_file("tree/boot/vmlinuz-9.9-test", bz, n - 100);
	refused();
	put_file("tree/boot/vmlinuz-9.9-test", bz, 0);
	refused();
	header()->payload_offset = UINT32_MAX;
	put_file("tree/boot/vmlinuz-9.9-test", bz, n);
	refused();
	header()->payload_offset = BZ_PAYLOAD;
	header()->payload_length = UINT32_MAX;
	put_file("tree/boot/vmlinuz-9.9-test", bz, n);
	refused();
	header()->payload_length = 0;
	put_file("tree/boot/vmlinuz-9.9-test", bz, n);
	refused();
	header()->kernel_version = 0xffff;
	put_file("tree/boot/vmlinuz-9.9-test", bz, n);
	refused();
	put_file("tree/boot/vmlinuz-9.9-test", bz,
		 make_bzimage(PACK_XZ, "9.9-test", "no ELF", 6));
	refused();
}

Test(kernel, every_truncation_of_each_compression_is_damage)
{
	for (enum packing how = 0; how < PACKINGS; how++) {
		uint8_t packed[BZ_MAX];
		size_t n = pack(how, vmlinux, sizeof(vmlinux), packed, sizeof(packed));
		struct blob out = { 0 };

		for (size_t len = 0; len < n; len += 7) {
			uint8_t *exact = malloc(len + 1);

			memcpy(exact, packed, len);
			/* An lz4 file that ends between blocks is only shorter. */
			if (unpack(exact, len, 1 << 20, &out) == UNPACK_OK)
				cr_assert(how == PACK_LZ4 && len <= 8);
			blob_free(&out);
			free(exact);
		}
	}
}

Test(kernel, what_unpacks_to_more_than_the_limit_is_refused)
{
	for (enum packing how = 0; how < PACKINGS; how++) {
		static uint8_t zeros[1 << 20];
		uint8_t packed[BZ_MAX];
		size_t n = pack(how, zeros, sizeof(zeros), packed, sizeof(packed));
		struct blob out = { 0 };

		cr_assert_eq(unpack(packed, n, sizeof(zeros), &out), UNPACK_OK);
		blob_free(&out);
		cr_assert_eq(unpack(packed, n, sizeof(zeros) - 1, &out), UNPACK_TOO_LARGE);
	}
}

Test(kernel, flipping_bits_of_a_vmlinux_never_does_harm)
{
	for (size_t at = 0; at < 64 + 3 * 56; at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct blob copy = { 0 }, out = { 0 };

			cr_assert_eq(blob_append(&copy, vmlinux, sizeof(vmlinux)), 0);
			copy.data[at] = (uint8_t)(copy.data[at] ^ (1 << bit));
			if (vmlinux_lean(&copy, &out) == VMLINUX_OK)
				blob_free(&out);
			blob_free(&copy);
		}
	}
}

Test(kernel, flipping_bits_of_section_headers_never_does_harm)
{
	for (size_t at = SECTIONS_AT; at < VMLINUX_SIZE; at++) {
		struct blob copy = { 0 }, out = { 0 };

		cr_assert_eq(blob_append(&copy, vmlinux, sizeof(vmlinux)), 0);
		copy.data[at] = (uint8_t)~copy.data[at];
		cr_assert_eq(vmlinux_lean(&copy, &out), VMLINUX_OK);
		blob_free(&out);
		blob_free(&copy);
	}
}

Test(kernel, a_missing_driver_is_named)
{
	cr_assert_eq(shell("rm $T/lib/modules/9.9-test/kernel/a/overlay.ko"), 0);
	refused();
}

Test(kernel, a_missing_dependency_is_refused)
{
	put_module("a/overlay.ko", "nowhere", PACKINGS);
	refused();
}

Test(kernel, modules_in_a_circle_are_refused)
{
	put_module("a/b/vsock.ko", "vmw_vsock_virtio_transport", PACKINGS);
	refused();
}

Test(kernel, a_damaged_module_is_refused)
{
	cr_assert_eq(shell("truncate -s 20 $T/lib/modules/9.9-test/kernel/a/virtio-ring.ko.xz"), 0);
	refused();
}

Test(kernel, modinfo_of_damaged_modules_never_does_harm)
{
	uint8_t module[2048];
	size_t n = make_module(module, "a,b", "");
	char value[64];

	for (size_t at = 0; at < n; at++) {
		struct blob copy = { 0 };

		cr_assert_eq(blob_append(&copy, module, n), 0);
		copy.data[at] = (uint8_t)~copy.data[at];
		if (modules_info(&copy, "depends", value, sizeof(value)))
			cr_assert_lt(strlen(value), sizeof(value));
		copy.len = at;
		if (modules_info(&copy, "depends", value, sizeof(value)))
			cr_assert_lt(strlen(value), sizeof(value));
		blob_free(&copy);
	}
}

Test(kernel, a_kernel_without_modules_is_taken_as_it_is)
{
	cr_assert_eq(shell("rm -rf $T/lib"), 0);
	cr_assert_eq(import(tree, NULL), 0);
	expect_kernels(1);
}

Test(kernel, without_immure_init_nothing_is_imported)
{
	cr_assert_eq(shell("rm $B/bin/immure-init"), 0);
	refused();
}

Test(kernel, names_that_are_paths_are_refused)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "../x", ".hidden", "-x", "a b",
					   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };

	for (size_t i = 0; i < array_len(bad); i++) {
		cr_assert_not(store_name_valid(bad[i]), "%s", bad[i]);
		cr_assert_eq(import(tree, bad[i]), -1);
	}
	cr_assert(store_name_valid("6.12.95+deb12-cloud-amd64"));
}

Test(kernel, what_the_dead_left_is_swept_and_what_the_living_use_is_not)
{
	struct store_work living;

	cr_assert_eq(store_begin(&living), 0);
	cr_assert_eq(shell("mkdir -p $B/kernels/.import-dead/package/x"), 0);
	cr_assert_eq(import(tree, "k"), 0);
	cr_assert_eq(access(living.made, F_OK), 0);
	store_end(&living);
	expect_kernels(1);
}

static void terminate(int signo)
{
	(void)signo;
	raise(SIGTERM);
}

Test(kernel, sigterm_during_the_work_cleans_up_and_then_kills)
{
	for (int ms = 1; ms < 20; ms++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			const struct itimerval later = { .it_value = { .tv_usec = ms * 1000 } };

			signal(SIGALRM, terminate);
			setitimer(ITIMER_REAL, &later, NULL);
			for (;;) {
				if (import(tree, "k") != 0)
					_exit(1);
			}
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "%#x", status);
		/* A work directory that was not locked yet goes with the next piece of work. */
		cr_assert_eq(import(tree, "k"), 0);
		expect_kernels(1);
	}
}

static void hang_up(int signo)
{
	(void)signo;
	raise(SIGHUP);
}

Test(kernel, what_the_caller_ignores_does_not_end_an_import)
{
	const struct itimerval often = { .it_value = { .tv_usec = 1000 },
					 .it_interval = { .tv_usec = 1000 } };

	signal(SIGHUP, SIG_IGN);
	signal(SIGALRM, hang_up);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(import(tree, "k"), 0);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}
