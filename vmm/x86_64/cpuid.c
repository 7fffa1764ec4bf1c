/* SPDX-License-Identifier: Apache-2.0 */
/* cpuid.c: what KVM supports here, cut down to a named model.
 *
 * The model "safe" is an allow-list: a leaf that is not in the table does not exist, a bit
 * that is not in its mask is clear.  New features of a future KVM do not appear by
 * themselves.  Left out on purpose: VMX and SVM, PMU and debug store, TSX, MPX, SGX, AMX,
 * machine check, CET, 5-level paging, MONITOR/MWAIT, power and thermal management, resource
 * control, hybrid leaves, memory encryption; and KVM's own extras beyond the clock, since
 * each of them is host kernel code that writes to addresses of the guest's choice.
 *
 * Bits that say "the CPU has this flaw mitigated" or give the guest the means against its own
 * user programs stay in. */
#include "vmm/x86_64/cpuid.h"

#include "core/fdplan.h"
#include "core/log.h"
#include "vmm/kvm_call.h"

#include <string.h>

#define BIT(n) (1u << (n))
#define BITS(first, last) ((uint32_t)((2ull << (last)) - (1ull << (first))))
#define ALL 0xffffffffu
#define ANY 0xffffffffu

/* Leaf 1 (SDM vol. 2A, CPUID; APM vol. 3 appendix E). */
#define LEAF1_ECX                                                                             \
	(BIT(0) | BIT(1) | BIT(9) |		/* SSE3 PCLMULQDQ SSSE3 */                    \
	 BIT(12) | BIT(13) | BIT(17) |		/* FMA CMPXCHG16B PCID */                     \
	 BIT(19) | BIT(20) | BIT(21) |		/* SSE4.1 SSE4.2 x2APIC */                    \
	 BITS(22, 26) |				/* MOVBE POPCNT TSC-deadline AES XSAVE */     \
	 BIT(28) | BIT(29) | BIT(30))		/* AVX F16C RDRAND */
#define LEAF1_EDX                                                                             \
	(BITS(0, 6) | BIT(8) | BIT(9) |		/* FPU VME DE PSE TSC MSR PAE CX8 APIC */     \
	 BIT(11) | BIT(12) | BIT(13) |		/* SEP MTRR PGE */                            \
	 BIT(15) | BIT(16) | BIT(17) |		/* CMOV PAT PSE-36 */                         \
	 BIT(19) | BITS(23, 27))		/* CLFLUSH MMX FXSR SSE SSE2 SS */
#define LEAF1_ECX_TSC_DEADLINE BIT(24)
#define LEAF1_ECX_XSAVE        BIT(26)
#define LEAF1_ECX_HYPERVISOR   BIT(31)
#define LEAF1_EDX_HTT          BIT(28)

/* Leaf 7. */
#define LEAF7_EBX                                                                             \
	(BIT(0) | BIT(1) | BIT(3) |		/* FSGSBASE TSC_ADJUST BMI1 */                \
	 BITS(5, 10) | BIT(13) |		/* AVX2 FDP SMEP BMI2 ERMS INVPCID, no FCS */ \
	 BITS(16, 21) |				/* AVX512F DQ RDSEED ADX SMAP IFMA */         \
	 BIT(23) | BIT(24) |			/* CLFLUSHOPT CLWB */                         \
	 BITS(28, 31))				/* AVX512CD SHA AVX512BW VL */
#define LEAF7_ECX                                                                             \
	(BITS(1, 3) | BIT(6) |			/* AVX512_VBMI UMIP PKU VBMI2 */              \
	 BITS(8, 12) | BIT(14) | BIT(22))	/* GFNI VAES VPCLMUL VNNI ... RDPID */
#define LEAF7_EDX                                                                             \
	(BIT(4) | BIT(8) | BIT(10) | BIT(14) |	/* FSRM VP2INTERSECT MD_CLEAR SERIALIZE */    \
	 BIT(23) | BITS(26, 29) | BIT(31))	/* FP16 IBRS STIBP FLUSH ARCH_CAP SSBD */
#define LEAF7_1_EAX                                                                           \
	(BITS(0, 2) | BIT(4) | BIT(5) |		/* SHA512 SM3 SM4 AVX_VNNI BF16 */            \
	 BIT(7) | BITS(10, 12) | BIT(23))	/* CMPCCXADD FZRM FSRS FSRC AVX_IFMA */
#define LEAF7_1_EDX (BIT(4) | BIT(5) | BIT(14))	/* AVX_VNNI_INT8 NE_CONVERT PREFETCHI */
#define LEAF7_2_EDX BITS(0, 5)			/* PSFD IPRED RRSBA DDPD BHI MCDT_NO */

/* State components: x87 SSE AVX AVX-512 (three) PKRU. */
#define XSAVE_COMPONENTS (BITS(0, 2) | BITS(5, 7) | BIT(9))
#define LEAFD_1_EAX BITS(0, 2)			/* XSAVEOPT XSAVEC XGETBV(1) */
#define LEAFD_N_ECX BIT(1)			/* aligned in the compacted format */

/* KVM (Documentation/virt/kvm/x86/cpuid.rst): no I/O delay, clock, stable clock. */
#define KVM_EAX (BIT(1) | BIT(3) | BIT(24))

#define EXT1_ECX                                                                              \
	(BIT(0) | BITS(4, 8) | BIT(11) |	/* LAHF CR8 ABM SSE4A ... XOP */              \
	 BIT(16) | BIT(21) | BIT(22))		/* FMA4 TBM topology */
#define EXT1_EDX                                                                              \
	(LEAF1_EDX | BIT(11) | BIT(20) |	/* SYSCALL NX */                              \
	 BIT(22) | BITS(25, 27) | BITS(29, 31))	/* MMXEXT FFXSR 1GB RDTSCP LM 3DNOW */
#define EXT1_ECX_CMP_LEGACY BIT(1)
#define EXT7_EDX BIT(8)				/* invariant TSC */
#define EXT8_EBX                                                                              \
	(BIT(0) | BIT(2) | BIT(9) |		/* CLZERO XSAVEERPTR WBNOINVD */              \
	 BIT(12) | BITS(14, 19) | BITS(24, 26) | /* IBPB IBRS STIBP ... SSBD */               \
	 BITS(28, 30))				/* PSFD BTC_NO IBPB_RET */
#define EXT21_EAX                                                                             \
	(BIT(0) | BIT(2) | BIT(5) | BIT(6) |	/* data BP, LFENCE, VERW, null selector */    \
	 BIT(8) | BITS(27, 30))			/* automatic IBRS, SBPB, SRSO */
#define EXT21_ECX (BIT(1) | BIT(2))		/* not affected by TSA */

struct leaf {
	uint32_t function;
	uint32_t index;		/* or ANY */
	uint32_t eax, ebx, ecx, edx;
};

static const struct leaf safe[] = {
	{ 0x00000000, 0, ALL, ALL, ALL, ALL },
	{ 0x00000001, 0, ALL, ALL, LEAF1_ECX, LEAF1_EDX },
	{ 0x00000002, 0, ALL, ALL, ALL, ALL },		/* caches, Intel */
	{ 0x00000004, ANY, ALL, ALL, ALL, ALL },	/* caches, Intel */
	{ 0x00000006, 0, BIT(2), 0, 0, 0 },		/* the APIC timer always runs */
	{ 0x00000007, 0, ALL, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX },
	{ 0x00000007, 1, LEAF7_1_EAX, 0, 0, LEAF7_1_EDX },
	{ 0x00000007, 2, 0, 0, 0, LEAF7_2_EDX },
	{ 0x0000000d, 0, XSAVE_COMPONENTS, ALL, ALL, 0 },
	{ 0x0000000d, 1, LEAFD_1_EAX, ALL, 0, 0 },
	{ 0x0000000d, ANY, ALL, ALL, LEAFD_N_ECX, 0 },
	{ 0x40000000, 0, ALL, ALL, ALL, ALL },
	{ 0x40000001, 0, KVM_EAX, 0, 0, 0 },
	{ 0x80000000, 0, ALL, ALL, ALL, ALL },
	{ 0x80000001, 0, ALL, ALL, EXT1_ECX, EXT1_EDX },
	{ 0x80000002, 0, ALL, ALL, ALL, ALL },		/* the processor's name */
	{ 0x80000003, 0, ALL, ALL, ALL, ALL },
	{ 0x80000004, 0, ALL, ALL, ALL, ALL },
	{ 0x80000005, 0, ALL, ALL, ALL, ALL },		/* caches, AMD */
	{ 0x80000006, 0, ALL, ALL, ALL, ALL },
	{ 0x80000007, 0, 0, 0, 0, EXT7_EDX },
	{ 0x80000008, 0, ALL, EXT8_EBX, 0, 0 },
	{ 0x8000001a, 0, BITS(0, 2), 0, 0, 0 },		/* width of AMD's vector units */
	{ 0x8000001d, ANY, ALL, ALL, ALL, ALL },	/* caches, AMD */
	{ 0x8000001e, 0, 0, 0, 0, 0 },			/* topology, AMD: cpuid_identify() */
	{ 0x80000021, 0, EXT21_EAX, 0, EXT21_ECX, 0 },
};

enum {
	BASIC_MAX = 0xd,
	EXTENDED_MAX = 0x80000021 - 0x80000000,
	HYPERVISOR_MAX = 1,
	XSAVE_LEGACY = 576,		/* x87, SSE and the header (SDM vol. 1 §13.4) */
	TOPOLOGY_SMT = 1 << 8,
	TOPOLOGY_CORE = 2 << 8,
	CACHE_TYPE_MASK = 0x1f,
	CACHE_LEVEL_SHIFT = 5,
	CACHE_SHARING_SHIFT = 14,
	LINEAR_BITS = 48,
};

static const struct leaf *find_leaf(const struct kvm_cpuid_entry2 *e)
{
	for (size_t i = 0; i < array_len(safe); i++) {
		if (safe[i].function == e->function &&
		    (safe[i].index == e->index || safe[i].index == ANY))
			return &safe[i];
	}
	return NULL;
}

static struct kvm_cpuid_entry2 *find(struct cpuid_table *t, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		if (t->entry[i].function == function && t->entry[i].index == index)
			return &t->entry[i];
	}
	return NULL;
}

/* The allow-list, leaf by leaf. */
static void filter(const struct cpuid_table *supported, struct cpuid_table *model)
{
	memset(model, 0, sizeof(*model));
	for (uint32_t i = 0; i < supported->nent && i < CPUID_ENTRIES; i++) {
		const struct kvm_cpuid_entry2 *from = &supported->entry[i];
		const struct leaf *l = find_leaf(from);
		struct kvm_cpuid_entry2 *to = &model->entry[model->nent];

		if (l == NULL)
			continue;
		*to = *from;
		to->eax &= l->eax;
		to->ebx &= l->ebx;
		to->ecx &= l->ecx;
		to->edx &= l->edx;
		model->nent++;
	}
}

static void add(struct cpuid_table *t, const struct kvm_cpuid_entry2 *e)
{
	if (t->nent < CPUID_ENTRIES)
		t->entry[t->nent++] = *e;
}

/* ceil(log2(@total)): APIC id bits that number the cores. */
static uint32_t core_bits(uint32_t total)
{
	uint32_t bits = 0;

	while (1u << bits < total)
		bits++;
	return bits;
}

/* Leaf 0xb: one thread a core, @total cores.  KVM itself reports it empty. */
static void add_topology(struct cpuid_table *t, uint32_t total)
{
	const struct kvm_cpuid_entry2 smt = {
		.function = 0xb,
		.index = 0,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.ebx = 1,
		.ecx = TOPOLOGY_SMT | 0,
	};
	const struct kvm_cpuid_entry2 core = {
		.function = 0xb,
		.index = 1,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = core_bits(total),
		.ebx = total,
		.ecx = TOPOLOGY_CORE | 1,
	};

	add(t, &smt);
	add(t, &core);
}

/* Leaf 0xd.0 ECX has to fit the components that are left. */
static void fit_xsave(struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *one = find(t, 1, 0);
	struct kvm_cpuid_entry2 *all = find(t, 0xd, 0);
	uint32_t size = XSAVE_LEGACY;
	uint32_t kept = 0;
	uint32_t components;

	if (all == NULL)
		return;
	if (one == NULL || (one->ecx & LEAF1_ECX_XSAVE) == 0)
		all->eax = 0;
	components = all->eax;
	all->ecx = 0;
	for (uint32_t i = 0; i < t->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &t->entry[i];
		bool component = e->function == 0xd && e->index >= 2;

		/* EAX is the size, EBX the offset; both are KVM's. */
		if (component && (e->index >= 32 || (components & BIT(e->index)) == 0))
			continue;
		if (component && e->eax + e->ebx > size)
			size = e->eax + e->ebx;
		t->entry[kept++] = *e;
	}
	t->nent = kept;
	all = find(t, 0xd, 0);
	if (all != NULL && components != 0)
		all->ecx = size;
}

static void limit(struct cpuid_table *t, uint32_t function, uint32_t max)
{
	struct kvm_cpuid_entry2 *e = find(t, function, 0);

	if (e != NULL && e->eax > max)
		e->eax = max;
}

/* Caches: the last level is shared by all cores, the others belong to one. */
static void share_caches(struct cpuid_table *t, uint32_t total)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];
		uint32_t level = e->eax >> CACHE_LEVEL_SHIFT & 7;
		uint32_t sharing = level >= 3 ? total - 1 : 0;

		if ((e->function != 4 && e->function != 0x8000001d) ||
		    (e->eax & CACHE_TYPE_MASK) == 0)
			continue;
		if (e->function == 4)	/* counts ids, not cores */
			sharing = level >= 3 ? BIT(core_bits(total)) - 1 : 0;
		e->eax &= BITS(0, 9);
		e->eax |= sharing << CACHE_SHARING_SHIFT;
		if (e->function == 4)
			e->eax |= (BIT(core_bits(total)) - 1) << 26;
	}
}

/* "AuthenticAMD" and "HygonGenuine" by their EBX. */
static bool is_amd(struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e = find(t, 0, 0);

	return e != NULL && (e->ebx == 0x68747541 || e->ebx == 0x6f677948);
}

static void count_cores(struct cpuid_table *t, uint32_t total)
{
	struct kvm_cpuid_entry2 *one = find(t, 1, 0);
	struct kvm_cpuid_entry2 *ext1 = find(t, 0x80000001, 0);
	struct kvm_cpuid_entry2 *ext8 = find(t, 0x80000008, 0);

	if (one != NULL) {
		one->ebx = (one->ebx & 0xffff) | total << 16;
		one->edx |= total > 1 ? LEAF1_EDX_HTT : 0;
	}
	if (ext1 != NULL && is_amd(t))
		ext1->ecx |= total > 1 ? EXT1_ECX_CMP_LEGACY : 0;
	if (ext8 != NULL && is_amd(t))
		ext8->ecx = core_bits(total) << 12 | (total - 1);
}

void cpuid_model(const struct cpuid_table *supported, uint32_t total,
		 struct cpuid_table *model)
{
	struct kvm_cpuid_entry2 *e;

	filter(supported, model);
	limit(model, 0, BASIC_MAX);
	limit(model, 7, 2);
	limit(model, 0x80000000, 0x80000000u + EXTENDED_MAX);
	limit(model, 0x40000000, 0x40000000u + HYPERVISOR_MAX);
	fit_xsave(model);
	add_topology(model, total);
	share_caches(model, total);
	count_cores(model, total);
	e = find(model, 1, 0);
	if (e != NULL)
		e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_TSC_DEADLINE;
	e = find(model, 0x80000008, 0);
	if (e != NULL && (e->eax >> 8 & 0xff) > LINEAR_BITS)
		e->eax = (e->eax & ~BITS(8, 15)) | LINEAR_BITS << 8;
}

void cpuid_identify(struct cpuid_table *model, uint32_t index)
{
	struct kvm_cpuid_entry2 *one = find(model, 1, 0);
	struct kvm_cpuid_entry2 *node = find(model, 0x8000001e, 0);

	if (one != NULL)
		one->ebx = (one->ebx & 0x00ffffff) | index << 24;
	for (uint32_t level = 0; level < 2; level++) {
		struct kvm_cpuid_entry2 *e = find(model, 0xb, level);

		if (e != NULL)
			e->edx = index;
	}
	if (node != NULL && is_amd(model)) {
		node->eax = index;
		node->ebx = index;	/* core id; one thread a core */
	}
}

static struct cpuid_table supported;

int cpuid_ask(void)
{
	int rc;

	supported.nent = CPUID_ENTRIES;
	rc = KVM_CALL(VMM_KVM, KVM_GET_SUPPORTED_CPUID, &supported);
	return rc < 0 ? rc : 0;
}

int cpuid_set(int vcpu, uint32_t index, uint32_t total)
{
	static struct cpuid_table model;

	/* A machine without CPUID starts, and dies at the kernel's first look. */
	if (supported.nent == 0) {
		log_line("KVM was not asked for its CPUID");
		return -EPROTO;
	}
	if (model.nent == 0)
		cpuid_model(&supported, total, &model);
	cpuid_identify(&model, index);
	return KVM_CALL(vcpu, KVM_SET_CPUID2, &model);
}
