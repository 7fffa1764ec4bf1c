# immure: one Makefile, not recursive.  `make help` lists what it can do.
#
#   make                 the programs, in build/bin (hardened static-pie)
#   make SAN=1           the same sources under ASan + UBSan, in build/san
#   make CC=clang WERROR=1
#
# A program is its directory: every .c below it, core/, and the policies it is sealed with.

CC      ?= gcc
HOSTCC  ?= gcc
BPFCC   ?= clang
AR      ?= ar
PREFIX  ?= /usr/local
DESTDIR ?=
LIBEXEC  = $(PREFIX)/lib/immure
V       ?= 0
B       := build
O       := $(B)/obj
ifeq ($(origin CC),default)
CC      := gcc
endif

WARN    := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes \
           -Wswitch-enum -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings
WERROR  ?= $(if $(CI),1,)
CFLAGS  ?= -O2 -g
BASE    := -std=gnu17 -D_GNU_SOURCE -I. -I$(B)/gen -MMD -MP $(WARN) $(if $(WERROR),-Werror)
IS_GCC  := $(shell $(CC) --version 2>/dev/null | head -1 | grep -qi clang && echo 0 || echo 1)

# Hardening of what is shipped.
HARD    := -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 \
           -fstack-clash-protection -fcf-protection=full -fno-strict-aliasing -fno-plt \
           -fvisibility=hidden -ffunction-sections -fdata-sections \
           -fno-asynchronous-unwind-tables -fno-unwind-tables
# What C leaves undefined and a guest could steer into traps (SIGILL) in what is shipped, too.
TRAPS   := bounds,signed-integer-overflow,pointer-overflow,shift,integer-divide-by-zero,unreachable,vla-bound,return,bool,enum
HARD    += -fsanitize=$(TRAPS)
ifeq ($(IS_GCC),1)
HARD    += -fsanitize-undefined-trap-on-error \
           -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr -mharden-sls=all
else
HARD    += -fsanitize-trap=$(TRAPS) -ftrivial-auto-var-init=zero -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang \
           -Wno-unused-command-line-argument
endif
HARDLD  := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--gc-sections

ifeq ($(SAN),1)
B       := build/san
O       := $(B)/obj
BASE    := $(subst -Ibuild/gen,-I$(B)/gen,$(BASE))
FLAGS   := $(BASE) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_ALL := -fsanitize=address,undefined
else
FLAGS   := $(BASE) $(CFLAGS) $(HARD)
LDFLAGS_ALL := $(HARDLD) $(LDFLAGS)
endif

, := ,
Q       := $(if $(filter 1,$(V)),,@)
say      = @printf '  %-7s %s\n' '$(1)' '$(2)'

CORE    := $(wildcard core/*.c)
srcs     = $(wildcard $(1)/*.c $(1)/*/*.c)
POLICIES := $(basename $(notdir $(wildcard policy/*.policy)))
objs     = $(patsubst %.c,$(O)/%.o,$(1))
pols     = $(patsubst %,$(O)/policy/%.o,$(1))
bpfs     = $(patsubst %,$(O)/bpf/%.o,$(1))

PROGRAMS := immure immure-jailer immure-vmm immure-blk immure-net immure-vsock immure-init

immure_SRC        := $(call srcs,cli) $(CORE) $(addprefix jailer/,capabilities.c bpf.c cgroup.c devices.c config.c config_user.c config_wall.c wall_text.c mac.c path.c plan.c plan_print.c failure.c) policy/bpf/wall_model.c
immure_POL        := $(POLICIES)
immure_BPF        := devices
# libcap-ng is there for its names; what else it holds must not bring in the user database.
immure_LIBS       := -ljansson -lcap-ng -llz4 -lzstd -llzma -lz -lmd \
                     $(if $(SAN),,-Wl,--defsym=initgroups=0 -Wl,--defsym=getpwuid=0)
immure-jailer_SRC := $(call srcs,jailer) $(CORE)
immure-jailer_POL := jail jailer supervisor
immure-jailer_BPF := devices wall
immure-jailer_LIBS := -ljansson
immure-vmm_SRC    := $(call srcs,vmm) $(CORE)
immure-vmm_POL    := vmm-main vmm-vcpu
immure-vmm_LIBS   := -pthread
immure-blk_SRC    := $(wildcard devices/blk/*.c) $(CORE)
immure-blk_POL    := blk
immure-blk_LIBS   := -pthread
immure-net_SRC    := $(wildcard devices/net/*.c) $(CORE) policy/bpf/wall_model.c
immure-net_POL    := net
immure-vsock_SRC  := $(wildcard devices/vsock/*.c) $(CORE)
immure-vsock_POL  := vsock
immure-vsock_SMALL := core/guestmem.c core/virtqueue.c
immure-init_SRC   := $(wildcard guest/*.c) core/musl.c

# What runs for every VM starts in a third of the time with musl: core/musl.h.  The sanitizers
# need glibc.
MUSL_PROGRAMS := $(if $(SAN),,immure-jailer immure-vmm immure-blk immure-net immure-vsock immure-init)
MUSL_LIB := /usr/lib/$(shell uname -m)-linux-musl
GCC_LIB  := $(dir $(shell gcc -print-libgcc-file-name))
MUSL_INC := -nostdinc -isystem /usr/include/$(notdir $(MUSL_LIB)) \
            -isystem $(shell $(CC) -print-file-name=include) -isystem $(B)/gen/include -include core/musl.h
MUSL_LD  := -nostdlib -nostartfiles -Wl,--no-dynamic-linker $(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o \
            $(GCC_LIB)crtbeginS.o
MUSL_END := $(MUSL_LIB)/libc.a $(GCC_LIB)libgcc.a $(GCC_LIB)libgcc_eh.a $(GCC_LIB)crtendS.o \
            $(MUSL_LIB)/crtn.o

BINS     := $(addprefix $(B)/bin/,$(PROGRAMS))
UNITS    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(filter-out tests/unit/fake_%.c,$(wildcard tests/unit/*.c)))
FAKES    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/fake_*.c))
BPF_TESTS := $(patsubst %.bpf.c,$(B)/gen/bpf/%.o,$(notdir $(wildcard tests/unit/bpf/*.bpf.c)))
BPF_TABLES := $(addprefix $(B)/gen/bpf/,devices.c packets.c wall.c)
HEADERS  := $(wildcard */*.h */*/*.h)

.PHONY: all death run test unit check-unit escape escape-bins e2e prove prove-mutants unused lint bench install uninstall clean help deps-run deps-test
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BINS)

# ---- programs ----
define program
$(B)/bin/$(1): $$(call objs,$$($(1)_SRC)) $$(call pols,$$($(1)_POL)) $$(call bpfs,$$($(1)_BPF))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(FLAGS) $$(LDFLAGS_ALL) -Wl,-Map=$(O)/$(1).map -o $$@ $$^ $$($(1)_LIBS)
endef
define musl_program
$(B)/bin/$(1): $$(patsubst %.c,$(O)/musl/%.o,$$(filter-out $$($(1)_SMALL),$$($(1)_SRC))) \
		$$(patsubst %.c,$(O)/small/%.o,$$($(1)_SMALL)) $$(call pols,$$($(1)_POL)) $$(call bpfs,$$($(1)_BPF))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(FLAGS) $$(LDFLAGS_ALL) -Wl,-Map=$(O)/$(1).map -o $$@ $(MUSL_LD) $$^ $$(filter -l%,$$($(1)_LIBS)) $(MUSL_END)
endef
$(foreach p,$(filter-out $(MUSL_PROGRAMS),$(PROGRAMS)),$(eval $(call program,$(p))))
$(foreach p,$(MUSL_PROGRAMS),$(eval $(call musl_program,$(p))))

$(O)/%.o: %.c Makefile | $(B)/gen/syscall_names.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -c $< -o $@

$(O)/musl/%.o: %.c Makefile | $(B)/gen/syscall_names.h $(B)/gen/include
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(MUSL_INC) -c $< -o $@

# What runs once, or only when something is wrong, in as few pages as it fits.
COLD := $(addprefix core/,bucket fdplan flow limits link log musl overlay pages report seal vmconfig) \
        $(addprefix devices/blk/,disk main overlay pool) $(addprefix devices/vsock/,buffer conn host main message open rx tx vsock) \
        $(addprefix jailer/,config config_user config_wall mac outcome passt plan wall_text)
$(patsubst %,$(O)/musl/%.o,$(COLD)): FLAGS += -Oz

# The same for one program, where another one is about speed.
$(O)/small/%.o: %.c Makefile | $(B)/gen/syscall_names.h $(B)/gen/include
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -Oz $(MUSL_INC) -c $< -o $@

# The kernel's headers and jansson's by themselves: next to them in /usr/include lie glibc's.
$(B)/gen/include:
	@mkdir -p $@
	@ln -sfn /usr/include/linux /usr/include/asm-generic /usr/include/video \
	  /usr/include/$(shell gcc -print-multiarch)/asm $(wildcard /usr/include/jansson*.h) $@

# ---- policies: text → (libseccomp, at build time) → read-only tables ----
$(B)/bin/policyc: $(wildcard policy/*.c policy/*.h) core/fdplan.h Makefile
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -D_GNU_SOURCE -I. $(WARN) $(if $(WERROR),-Werror) -O1 -g \
	  $(filter policy/%.c,$^) -o $@ -lseccomp

$(B)/gen/policy/%.c: policy/%.policy $(B)/bin/policyc
	$(call say,POLICY,$<)
	@mkdir -p $(@D)
	$(Q)$(B)/bin/policyc $* $< > $@

$(B)/gen/syscall_names.h: $(B)/bin/policyc
	@mkdir -p $(@D)
	$(Q)$(B)/bin/policyc --names > $@

$(O)/policy/%.o: $(B)/gen/policy/%.c core/seal.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -c $< -o $@

# ---- BPF programs: C → (clang) → object → (libbpf, at build time) → read-only tables ----
$(B)/bin/bpfc: policy/bpf/bpfc.c jailer/bpf.h core/base.h Makefile
	$(call say,HOSTCC,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -D_GNU_SOURCE -I. $(WARN) $(if $(WERROR),-Werror) -O1 -g $< -o $@ -lbpf

BPFFLAGS := -std=gnu17 -target bpf -O2 -g -Wall -Wextra -Werror -I. -I/usr/include/$(shell gcc -print-multiarch)
define bpf_object
$(B)/gen/bpf/%.o: $(1)/%.bpf.c Makefile
	$$(call say,BPFCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$(BPFCC) $(BPFFLAGS) -c $$< -o $$@
endef
$(foreach d,policy/bpf tests/unit/bpf tests/policy,$(eval $(call bpf_object,$(d))))
$(B)/gen/bpf/used.o: tests/policy/used.h
$(B)/gen/bpf/wall.o: policy/bpf/wall.h policy/bpf/wall_rules.h

$(B)/gen/bpf/%.c: $(B)/gen/bpf/%.o $(B)/bin/bpfc
	$(call say,BPF,$<)
	$(Q)$(B)/bin/bpfc $* $< > $@

$(O)/bpf/%.o: $(B)/gen/bpf/%.c jailer/bpf.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) -c $< -o $@

# ---- unit tests: one Criterion program a file, with what it includes ----
# Sanitized, -O1 takes three times as long to compile as -Og, which warns of formats that do fit.
UNIT_SAN := -Og -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
            $(if $(filter 1,$(IS_GCC)),-Wno-format-truncation)
$(B)/unit/%: tests/unit/%.c Makefile $(wildcard tests/unit/*.h) | $(B)/gen/syscall_names.h $(BPF_TABLES)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(if $(SAN),$(UNIT_SAN),-O1) -g \
	  $< -o $@ -lcriterion -pthread $$(sed -n '1,6s,^/\* LIBS: \(.*\) \*/,\1,p' $<)

$(B)/unit/bpf: | $(BPF_TESTS)

# Stands in for a jailed program: no C library, nothing that its filter would refuse.
$(B)/unit/fake_%: tests/unit/fake_%.c tests/unit/fake.h core/fdplan.h core/vmconfig.h Makefile
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -O1 -g -static -nostdlib -ffreestanding -fno-stack-protector \
	  $< -o $@

# ---- the breakout suite: the released objects, with tests/escape wrapped around functions of them ----
ESCAPE_BINS := $(addprefix $(B)/escape/bin/,$(filter-out immure-init,$(MUSL_PROGRAMS)))
ESCAPE_ATTEMPTS := $(patsubst %.c,$(O)/musl/%.o,tests/escape/escape.c $(wildcard tests/escape/attempt_*.c))
ESCAPE_HOOKS := seal seal_memory prctl close fdplan_claim guestmem_map ppoll epoll_pwait control_running wide_ioctl
ESCAPE_JAILER_HOOKS := plan_make seal seal_memory prctl capabilities_limit capabilities_after capabilities_bound \
                       capabilities_drop rootfs_enter place_all close_range namespaces_start landlock_deny \
                       devices_deny devices_deny_v1 limits_apply violation_observe message_running wall_attach
define escape_program
$(B)/escape/bin/$(1): $$(patsubst %.c,$(O)/musl/%.o,$$($(1)_SRC)) $$(call pols,$$($(1)_POL)) $$(call bpfs,$$($(1)_BPF)) \
		$(ESCAPE_ATTEMPTS) $(O)/musl/tests/escape/$(2).o
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(FLAGS) $$(LDFLAGS_ALL) $(addprefix -Wl$(,)--wrap=,$(3)) -o $$@ $(MUSL_LD) $$^ \
	  $$(filter -l%,$$($(1)_LIBS)) $(MUSL_END)
endef
$(foreach p,immure-vmm immure-blk immure-net immure-vsock,$(eval $(call escape_program,$(p),hook_program,$(ESCAPE_HOOKS))))
$(eval $(call escape_program,immure-jailer,hook_jailer,$(ESCAPE_JAILER_HOOKS)))

$(B)/escape/escape: $(wildcard tests/escape/run_*.c tests/escape/*.h) $(B)/gen/bpf/devices.c Makefile
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE) -O1 -g $(wildcard tests/escape/run_*.c) $(addprefix jailer/,bpf.c cgroup.c devices.c path.c failure.c) \
	  $(B)/gen/bpf/devices.c -o $@ -ljansson

escape-bins: $(ESCAPE_BINS) $(B)/escape/escape
escape: deps-test
	$(Q)$(MAKE) --no-print-directory all escape-bins
	$(Q)HOST=$(HOST) tests/escape/run $(B)

unit: $(UNITS) $(FAKES)
check-unit: all unit
	$(Q)tests/unit/run $(B)

# ---- the main job ----
deps-run:
	$(Q)scripts/install-packages build run
deps-test:
	$(Q)scripts/install-packages build run test lint

run: deps-run
	$(Q)$(MAKE) --no-print-directory all
	$(Q)scripts/make-run $(B)

test: deps-test
	$(Q)tests/run $(B)

e2e: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/e2e/run $(B)

# Proofs, with CBMC of Debian 13 beside this machine's own packages.  PROOF=NAME: that one.
prove: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/proofs/prove "$$(tests/proofs/cbmc-fetch)" $(B)/proofs $(PROOF)

prove-mutants: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/proofs/prove --mutants "$$(tests/proofs/cbmc-fetch)" $(B)/proofs $(PROOF)

unused: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)TABLE=1 tests/policy/unused $(B) --run

bench: deps-test
	$(Q)scripts/install-packages bench
	$(Q)$(MAKE) --no-print-directory all
	$(Q)bench/run $(B)

death: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)HOST=$(HOST) tests/death/run $(B) 10000 $(SEED)

lint: deps-test
	$(Q)tests/lint

.PHONY: surface
surface: all
	$(Q)scripts/surface $(B)

# ---- install ----
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(B)/bin/immure $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(filter-out %/immure,$(BINS)) $(DESTDIR)$(LIBEXEC)/
	install -m 644 $(wildcard docs/*.1) $(DESTDIR)$(PREFIX)/share/man/man1/

# How programs are compiled and linked; for tests/hardened.
.PHONY: flags flags-link
flags:
	@echo '$(CFLAGS) $(HARD)'
flags-link:
	@echo '$(HARDLD)'

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/immure $(addprefix $(DESTDIR)$(PREFIX)/share/man/man1/,$(notdir $(wildcard docs/*.1)))
	rm -rf $(DESTDIR)$(LIBEXEC)

clean:
	rm -rf build

help:
	@echo 'make            build the programs into build/bin'
	@echo 'make run        boot a Debian kernel in immure and run a command in it'
	@echo 'make test       everything: lint, unit tests, sanitizers, end to end'
	@echo 'make check-unit unit tests only          make e2e    end-to-end tests only'
	@echo 'make death      kill processes of VMs at 10,000 random moments; HOST=6.12: in a test host'
	@echo 'make escape     64 breakout attempts from inside every process, and with each layer left out;'
	@echo '                HOST=6.12 or 6.1: in a test host'
	@echo 'make prove      what is proven of the code that a guest can reach, by CBMC; PROOF=NAME: that;'
	@echo '                make prove-mutants: the proofs notice each of some dozens of changes'
	@echo 'make unused     the rules of the policies that no end-to-end test needs'
	@echo 'make lint       both compilers, formatting, style, shell'
	@echo 'make surface    count anew what each process can reach: SURFACE.md'
	@echo 'make bench      measure against the peers; results in bench/results'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR='
	@echo 'make clean      remove build/'
	@echo 'variables       CC=gcc|clang  SAN=1  WERROR=1  V=1'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
