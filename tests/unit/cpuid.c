/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid.c: the model "safe" against a CPU that has everything, and the MSR list beside it. */
#include "core/log.c"
#include "core/musl.c"
#include "vmm/x86_64/cpuid.c"
#include "vmm/x86_64/msr.c"

#include <criterion/criterion.h>

int kvm_call(int fd, unsigned long request, unsigned long arg, const char *name)
{
	(void)fd, (void)request, (void)arg, (void)name;
	return -ENOSYS;
}

enum vendor { INTEL, AMD };

static struct cpuid_table host, model;

/* Every leaf up to the newest ones, every bit set, as long as it makes sense. */
static void everything(enum vendor vendor)
{
	static const struct { uint32_t first, last, indexes; } leaves[] = {
		{ 0, 3, 1 }, { 4, 4, 5 }, { 5, 6, 1 }, { 7, 7, 4 }, { 8, 0xa, 1 }, { 0xb, 0xb, 1 },
		{ 0xd, 0xd, 32 }, { 0x12, 0x12, 3 }, { 0x14, 0x24, 1 },
		{ 0x40000000, 0x40000001, 1 },
		{ 0x80000000, 0x8000001c, 1 }, { 0x8000001d, 0x8000001d, 5 },
		{ 0x8000001e, 0x80000028, 1 },
	};

	memset(&host, 0, sizeof(host));
	for (size_t i = 0; i < array_len(leaves); i++) {
		for (uint32_t f = leaves[i].first; f <= leaves[i].last; f++) {
			for (uint32_t n = 0; n < leaves[i].indexes; n++)
				host.entry[host.nent++] = (struct kvm_cpuid_entry2){
					.function = f, .index = n,
					.eax = ~0u, .ebx = ~0u, .ecx = ~0u, .edx = ~0u,
				};
		}
	}
	find(&host, 0, 0)->eax = 0x24;
	find(&host, 0, 0)->ebx = vendor == AMD ? 0x68747541 : 0x756e6547;
	find(&host, 0x80000000, 0)->eax = 0x80000028;
	find(&host, 0x80000008, 0)->eax = 0x3934;	/* 57 linear bits, 52 physical */
	for (uint32_t n = 2; n < 32; n++) {
		find(&host, 0xd, n)->eax = 64;
		find(&host, 0xd, n)->ebx = 512 + 64 * n;
	}
	/* A type, then levels 1, 2, 3; the last index ends the list. */
	for (uint32_t n = 0; n < 5; n++) {
		uint32_t eax = n == 4 ? 0 : 1 | (n == 0 ? 1 : n) << 5 | 0xffffc000;

		find(&host, 4, n)->eax = eax;
		find(&host, 0x8000001d, n)->eax = eax;
	}
}

static const struct kvm_cpuid_entry2 *leaf(uint32_t function, uint32_t index)
{
	static const struct kvm_cpuid_entry2 none;
	const struct kvm_cpuid_entry2 *e = find(&model, function, index);

	return e != NULL ? e : &none;
}

static void make(enum vendor vendor, uint32_t total, uint32_t index)
{
	everything(vendor);
	cpuid_model(&host, total, &model);
	cpuid_identify(&model, index);
}

Test(cpuid, the_dangerous_features_are_absent)
{
	make(INTEL, 1, 0);
	cr_assert_eq(leaf(1, 0)->ecx & BIT(5), 0, "VMX");
	cr_assert_eq(leaf(1, 0)->ecx & (BIT(2) | BIT(3) | BIT(6) | BIT(15)), 0,
		     "DTES64 MONITOR SMX PDCM");
	cr_assert_eq(leaf(1, 0)->edx & (BIT(7) | BIT(14) | BIT(21)), 0, "MCE MCA DS");
	cr_assert_eq(leaf(7, 0)->ebx & (BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) |
					BIT(25)), 0, "SGX HLE RTM PQM MPX PQE PT");
	cr_assert_eq(leaf(7, 0)->ecx & (BIT(5) | BIT(7) | BIT(16) | BIT(24) | BIT(30) | BIT(31)), 0,
		     "WAITPKG CET LA57 bus lock SGX_LC PKS");
	cr_assert_eq(leaf(7, 0)->edx & (BIT(15) | BIT(16) | BIT(18) | BIT(19) | BIT(20) | BIT(22) |
					BIT(24) | BIT(25) | BIT(30)), 0,
		     "hybrid TSXLDTRK PCONFIG LBR IBT AMX CORE_CAP");
	cr_assert_eq(leaf(0x80000001, 0)->ecx & (BIT(2) | BIT(10) | BIT(12) | BIT(15) | BIT(23) |
						 BIT(24) | BIT(28) | BIT(29)), 0,
		     "SVM IBS SKINIT LWP perfctr MWAITX");
	cr_assert_eq(leaf(0x80000008, 0)->ebx & (BIT(1) | BIT(4)), 0, "IRPERF RDPRU");
	cr_assert_eq(leaf(0x80000007, 0)->edx, BIT(8));
	cr_assert_eq(leaf(6, 0)->eax, BIT(2));
}

Test(cpuid, leaves_that_are_not_listed_do_not_exist)
{
	static const uint32_t gone[] = {
		3, 5, 8, 9, 0xa, 0x12, 0x14, 0x15, 0x18, 0x1a, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x23,
		0x24, 0x8000000a, 0x80000019, 0x8000001b, 0x8000001c, 0x8000001f, 0x80000022,
		0x80000026, 0x80000028,
	};

	make(AMD, 2, 0);
	for (size_t i = 0; i < array_len(gone); i++)
		cr_assert_null(find(&model, gone[i], 0), "leaf %#x", gone[i]);
	cr_assert_null(find(&model, 7, 3));
	cr_assert_eq(leaf(0, 0)->eax, 0xd);
	cr_assert_eq(leaf(7, 0)->eax, 2);
	cr_assert_eq(leaf(0x80000000, 0)->eax, 0x80000021);
}

Test(cpuid, linux_finds_what_it_needs)
{
	make(INTEL, 1, 0);
	cr_assert(leaf(1, 0)->ecx & BIT(31), "hypervisor");
	cr_assert(leaf(1, 0)->ecx & BIT(24), "TSC-deadline timer");
	cr_assert(leaf(1, 0)->ecx & BIT(21), "x2APIC");
	cr_assert(leaf(7, 0)->ebx & BIT(7) && leaf(7, 0)->ebx & BIT(20), "SMEP SMAP");
	cr_assert(leaf(7, 0)->edx & BIT(29), "ARCH_CAPABILITIES");
	cr_assert(leaf(0x80000001, 0)->edx & BIT(29), "long mode");
	cr_assert_eq(leaf(0x40000000, 0)->eax, 0x40000001);
	cr_assert_eq(leaf(0x40000001, 0)->eax, BIT(1) | BIT(3) | BIT(24), "clock, and no more");
	cr_assert_eq(leaf(0x80000008, 0)->eax, 0x3034, "48 linear bits");
}

Test(cpuid, every_vcpu_has_its_own_apic_id_in_every_place)
{
	for (uint32_t total = 1; total <= 32; total++) {
		for (uint32_t i = 0; i < total; i++) {
			uint32_t bits = core_bits(total);

			make(AMD, total, i);
			cr_assert_eq(leaf(1, 0)->ebx >> 24, i);
			cr_assert_eq(leaf(1, 0)->ebx >> 16 & 0xff, total);
			cr_assert_eq((leaf(1, 0)->edx & BIT(28)) != 0, total > 1);
			cr_assert_eq(leaf(0xb, 0)->ebx, 1);
			cr_assert_eq(leaf(0xb, 0)->ecx, 0x100);
			cr_assert_eq(leaf(0xb, 0)->edx, i);
			cr_assert_eq(leaf(0xb, 1)->eax, bits);
			cr_assert_eq(leaf(0xb, 1)->ebx, total);
			cr_assert_eq(leaf(0xb, 1)->ecx, 0x201);
			cr_assert_eq(leaf(0xb, 1)->edx, i);
			cr_assert_eq(leaf(0x8000001e, 0)->eax, i);
			cr_assert_eq(leaf(0x8000001e, 0)->ebx, i);
			cr_assert_eq(leaf(0x80000008, 0)->ecx, bits << 12 | (total - 1));
			cr_assert(1u << bits >= total && (bits == 0 || 1u << (bits - 1) < total));
		}
	}
}

Test(cpuid, the_last_cache_is_shared_and_the_others_are_private)
{
	make(AMD, 6, 0);
	cr_assert_eq(leaf(0x8000001d, 0)->eax >> 14, 0);
	cr_assert_eq(leaf(0x8000001d, 3)->eax >> 14 & 0xfff, 5);
	cr_assert_eq(leaf(0x8000001d, 4)->eax, 0);
	make(INTEL, 6, 0);
	cr_assert_eq(leaf(4, 0)->eax >> 14 & 0xfff, 0);
	cr_assert_eq(leaf(4, 3)->eax >> 14 & 0xfff, 7);
	cr_assert_eq(leaf(4, 3)->eax >> 26, 7);
	cr_assert_eq(leaf(0x80000008, 0)->ecx, 0, "reserved on Intel");
}

Test(cpuid, xsave_has_only_the_listed_components_and_fits_them)
{
	make(INTEL, 1, 0);
	cr_assert_eq(leaf(0xd, 0)->eax, 0x2e7, "x87 SSE AVX AVX-512 PKRU");
	cr_assert_eq(leaf(0xd, 0)->edx, 0);
	cr_assert_eq(leaf(0xd, 0)->ecx, 512 + 64 * 9 + 64, "the last one's end");
	cr_assert_eq(leaf(0xd, 1)->eax, 7);
	cr_assert_eq(leaf(0xd, 1)->ecx, 0, "no supervisor state");
	for (uint32_t n = 2; n < 32; n++)
		cr_assert_eq(find(&model, 0xd, n) != NULL, (0x2e7 >> n & 1) != 0, "%u", n);
}

Test(cpuid, a_cpu_without_xsave_gets_none)
{
	everything(INTEL);
	find(&host, 1, 0)->ecx &= ~BIT(26);
	cpuid_model(&host, 1, &model);
	cr_assert_eq(leaf(0xd, 0)->eax, 0);
	cr_assert_eq(leaf(0xd, 0)->ecx, 0);
	cr_assert_null(find(&model, 0xd, 2));
}

Test(cpuid, nothing_appears_that_the_host_does_not_have)
{
	memset(&host, 0, sizeof(host));
	host.entry[host.nent++] = (struct kvm_cpuid_entry2){ .function = 0, .eax = 0xd };
	host.entry[host.nent++] = (struct kvm_cpuid_entry2){ .function = 1 };
	host.entry[host.nent++] = (struct kvm_cpuid_entry2){ .function = 7 };
	cpuid_model(&host, 1, &model);
	cr_assert_eq(leaf(1, 0)->ecx, BIT(31) | BIT(24));
	cr_assert_eq(leaf(1, 0)->edx, 0);
	cr_assert_eq(leaf(7, 0)->ebx | leaf(7, 0)->ecx | leaf(7, 0)->edx, 0);
}

Test(cpuid, a_full_table_is_survived)
{
	everything(INTEL);
	while (host.nent < CPUID_ENTRIES)
		host.entry[host.nent++] = (struct kvm_cpuid_entry2){ .function = 4, .index = 9 };
	cpuid_model(&host, 32, &model);
	cr_assert_leq(model.nent, CPUID_ENTRIES);
}

Test(cpuid, the_msr_list_has_what_linux_uses_and_not_what_the_model_lacks)
{
	static const uint32_t both[] = {
		0x10, 0x1b, 0x3b, 0x48, 0x174, 0x175, 0x176, 0x1a0, 0x200, 0x20f, 0x250, 0x26f,
		0x277, 0x2ff, 0x6e0, 0x4b564d00, 0x4b564d01, 0xc0000080, 0xc0000084, 0xc0000100,
		0xc0000103, 0xc0010015, 0xc0011029,
	};
	static const uint32_t none[] = {
		0x0, 0x1, 0x33, 0x3a, 0xc1, 0x122, 0x179, 0x186, 0x1d9, 0x345, 0x38f, 0x400, 0x480,
		0x491, 0x560, 0x570, 0x600, 0xc80, 0xda0, 0x11, 0x12, 0x4b564d02, 0x4b564d03,
		0x4b564d04, 0xc0000085, 0xc0000104, 0xc0010000, 0xc0010114, 0xc0010117, 0xc0010200,
		0xc0011030, 0x40000000, 0xffffffff,
	};

	for (size_t i = 0; i < array_len(both); i++)
		cr_assert(msr_allowed(both[i], MSR_READ) && msr_allowed(both[i], MSR_WRITE),
			  "%#x", both[i]);
	for (size_t i = 0; i < array_len(none); i++)
		cr_assert_not(msr_allowed(none[i], MSR_READ) || msr_allowed(none[i], MSR_WRITE),
			      "%#x", none[i]);
	cr_assert(msr_allowed(0x49, MSR_WRITE) && !msr_allowed(0x49, MSR_READ));
	cr_assert(msr_allowed(0x10a, MSR_READ) && !msr_allowed(0x10a, MSR_WRITE));
}

Test(cpuid, every_listed_msr_lies_in_a_window_of_the_filter)
{
	static uint8_t bits[WINDOW_BYTES];

	for (size_t i = 0; i < array_len(list); i++) {
		uint32_t found = 0;

		for (size_t w = 0; w < WINDOWS; w++) {
			uint32_t at = list[i].first - windows[w].base;

			fill(bits, &windows[w], list[i].access == MSR_WRITE ? MSR_WRITE : MSR_READ);
			for (uint32_t n = 0; n < list[i].count && at < windows[w].count; n++)
				found += bits[(at + n) / 8] >> (at + n) % 8 & 1;
			cr_assert_leq(windows[w].count, WINDOW_BYTES * 8);
		}
		cr_assert_eq(found, list[i].count, "MSR %#x", list[i].first);
	}
}
