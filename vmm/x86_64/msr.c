/* SPDX-License-Identifier: Apache-2.0 */
/* msr.c: the MSR allow-list (KVM_X86_SET_MSR_FILTER, default deny).
 *
 * On the list is what an unmodified Linux needs on the CPU of cpuid.c, and nothing that would
 * reach a feature which that CPU does not have: no PMU, no debug store, no machine check, no
 * virtualization, no power management, no AMD performance or hypervisor registers.  A denied
 * access is #GP, as on hardware without the register.  One that Linux notices: without
 * IA32_DEBUGCTL, which would also reach the branch records, ptrace's block steps become single
 * steps. */
#include "vmm/x86_64/msr.h"

#include "core/fdplan.h"
#include "core/log.h"
#include "vmm/kvm_call.h"

#include <linux/kvm.h>
#include <string.h>

struct allowed {
	uint32_t first, count;
	enum msr_access access;
};

static const struct allowed list[] = {
	{ 0x00000010, 1, MSR_RW },	/* IA32_TIME_STAMP_COUNTER */
	{ 0x00000017, 1, MSR_READ },	/* IA32_PLATFORM_ID: microcode revision report */
	{ 0x0000001b, 1, MSR_RW },	/* IA32_APIC_BASE */
	{ 0x0000003b, 1, MSR_RW },	/* IA32_TSC_ADJUST */
	{ 0x00000048, 1, MSR_RW },	/* IA32_SPEC_CTRL */
	{ 0x00000049, 1, MSR_WRITE },	/* IA32_PRED_CMD */
	{ 0x0000008b, 1, MSR_RW },	/* IA32_BIOS_SIGN_ID, AMD PATCH_LEVEL */
	{ 0x000000fe, 1, MSR_READ },	/* IA32_MTRRCAP */
	{ 0x0000010a, 1, MSR_READ },	/* IA32_ARCH_CAPABILITIES */
	{ 0x0000010b, 1, MSR_WRITE },	/* IA32_FLUSH_CMD */
	{ 0x00000174, 3, MSR_RW },	/* IA32_SYSENTER_CS, ESP, EIP */
	{ 0x000001a0, 1, MSR_RW },	/* IA32_MISC_ENABLE */
	{ 0x00000200, 16, MSR_RW },	/* IA32_MTRR_PHYSBASE0..MASK7 */
	{ 0x00000250, 1, MSR_RW },	/* IA32_MTRR_FIX64K */
	{ 0x00000258, 2, MSR_RW },	/* IA32_MTRR_FIX16K */
	{ 0x00000268, 8, MSR_RW },	/* IA32_MTRR_FIX4K */
	{ 0x00000277, 1, MSR_RW },	/* IA32_PAT */
	{ 0x000002ff, 1, MSR_RW },	/* IA32_MTRR_DEF_TYPE */
	{ 0x000006e0, 1, MSR_RW },	/* IA32_TSC_DEADLINE */
	{ 0x4b564d00, 2, MSR_RW },	/* KVM wall clock, system time */
	{ 0xc0000080, 5, MSR_RW },	/* EFER, STAR, LSTAR, CSTAR, SFMASK */
	{ 0xc0000100, 4, MSR_RW },	/* FS_BASE, GS_BASE, KERNEL_GS_BASE, TSC_AUX */
	{ 0xc0010010, 1, MSR_READ },	/* AMD SYSCFG: MTRR set-up looks */
	{ 0xc0010015, 1, MSR_RW },	/* AMD HWCR */
	{ 0xc0010055, 1, MSR_READ },	/* AMD INT_PENDING: erratum 400 on family 0xf */
	{ 0xc001011f, 1, MSR_RW },	/* AMD VIRT_SPEC_CTRL */
	{ 0xc0011029, 1, MSR_RW },	/* AMD DE_CFG: is LFENCE serializing? */
};

/* The filter works on windows with a bit a register. */
struct window {
	uint32_t base, count;	/* count: a multiple of 64 */
};

static const struct window windows[] = {
	{ 0x00000000, 0x700 },
	{ 0x4b564d00, 0x040 },
	{ 0xc0000000, 0x140 },
	{ 0xc0010000, 0x1040 },
};

enum {
	WINDOWS = array_len(windows),
	WINDOW_BYTES = 0x1040 / 8,	/* of the largest */
};

_Static_assert(WINDOW_BYTES <= KVM_MSR_FILTER_MAX_BITMAP_SIZE, "KVM's limit");
_Static_assert(2 * WINDOWS <= KVM_MSR_FILTER_MAX_RANGES, "KVM's limit");
_Static_assert((int)MSR_READ == KVM_MSR_FILTER_READ && (int)MSR_WRITE == KVM_MSR_FILTER_WRITE,
	       "same bits");

bool msr_allowed(uint32_t number, enum msr_access access)
{
	for (size_t i = 0; i < array_len(list); i++) {
		if (number - list[i].first < list[i].count)
			return (list[i].access & access) != 0;
	}
	return false;
}

static void allow(uint8_t bits[WINDOW_BYTES], uint32_t n)
{
	bits[n / 8] |= (uint8_t)(1u << n % 8);
}

/* One window, one direction. */
static void fill(uint8_t bits[WINDOW_BYTES], const struct window *w, enum msr_access access)
{
	memset(bits, 0, WINDOW_BYTES);
	for (size_t i = 0; i < array_len(list); i++) {
		if ((list[i].access & access) == 0 || list[i].first - w->base >= w->count)
			continue;
		for (uint32_t n = 0; n < list[i].count; n++)
			allow(bits, list[i].first - w->base + n);
	}
}

int msr_set_filter(void)
{
	static const enum msr_access direction[2] = { MSR_READ, MSR_WRITE };
	static uint8_t bits[2 * WINDOWS][WINDOW_BYTES];
	struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_DENY };

	for (uint32_t i = 0; i < 2 * WINDOWS; i++) {
		const struct window *w = &windows[i / 2];

		fill(bits[i], w, direction[i % 2]);
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = direction[i % 2],
			.nmsrs = w->count,
			.base = w->base,
			.bitmap = bits[i],
		};
	}
	return KVM_CALL(VMM_VM, KVM_X86_SET_MSR_FILTER, &filter);
}

#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_MISC_ENABLE       0x1a0u
#define MSR_MTRR_DEF_TYPE     0x2ffu
#define MISC_FAST_STRING      (1ull << 0)
#define MTRR_ON_WRITE_BACK    (1ull << 11 | 6)
#define ARCH_CAP_TSX_CTRL     (1ull << 7)

/* struct kvm_msrs with one entry. */
struct one_msr {
	uint32_t nmsrs;
	uint32_t padding;
	struct kvm_msr_entry entry;
};

_Static_assert(offsetof(struct one_msr, entry) == offsetof(struct kvm_msrs, entries),
	       "KVM's layout");

/* Returns 1 when the register exists, 0 when not, or -errno. */
static int get(int vcpu, uint32_t number, uint64_t *value)
{
	struct one_msr m = { .nmsrs = 1, .entry.index = number };
	int n = KVM_CALL(vcpu, KVM_GET_MSRS, &m);

	*value = m.entry.data;
	return n;
}

static int set(int vcpu, uint32_t number, uint64_t value)
{
	struct one_msr m = { .nmsrs = 1, .entry = { .index = number, .data = value } };
	int n = KVM_CALL(vcpu, KVM_SET_MSRS, &m);

	if (n == 1)
		return 0;
	if (n == 0)
		log_line("KVM does not take 0x%lx for MSR 0x%x", value, number);
	return n < 0 ? n : -EINVAL;
}

/* @clear and @set bits of a register that not every host has. */
static int adjust(int vcpu, uint32_t number, uint64_t clear_bits, uint64_t set_bits)
{
	uint64_t old;
	int rc = get(vcpu, number, &old);
	uint64_t new = (old & ~clear_bits) | set_bits;

	if (rc <= 0 || new == old)
		return rc < 0 ? rc : 0;
	return set(vcpu, number, new);
}

int msr_init(int vcpu)
{
	/* What firmware would have done: all memory write-back, `rep movs` is fast. */
	int rc = set(vcpu, MSR_MTRR_DEF_TYPE, MTRR_ON_WRITE_BACK);

	if (rc == 0)
		rc = adjust(vcpu, MSR_MISC_ENABLE, 0, MISC_FAST_STRING);
	/* The model has no TSX, so nothing to control. */
	if (rc == 0)
		rc = adjust(vcpu, MSR_ARCH_CAPABILITIES, ARCH_CAP_TSX_CTRL, 0);
	return rc;
}
