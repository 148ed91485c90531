# Makefile - builds anyctx and runs it. `make help` lists what there is to ask.
#
# Sources are found by wildcard: a file dropped into one of the directories
# below is built. Everything that is made goes to build/.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# ---- CONFIG=name: a build with the settings of config/name.mk, in build/name. It sets
#	CONFIG_CFLAGS          for all C sources, -DCONFIG_X=1 (include/anyctx/config.h) among them
#	CONFIG_MACHINE_CFLAGS  the same for the machine alone, not for the process
#	CONFIG_FILE_CFLAGS     for single files of the machine: $(1) is the file without .c
#	CONFIG_INCLUDE         directories of headers that come before the others
#	CONFIG_DIRS            more directories of sources
#	CONFIG_LEFT_OUT        sources that are not in it
#	CONFIG_HOSTED_LEFT_OUT the same for the process alone (with %)
#	CONFIG_NO_HOSTED       it has no form as a process
#	CONFIG_NO_REPLAY       with its tests it is larger than what the replay image holds
CONFIG :=
CONFIGS := $(patsubst config/%.mk,%,$(sort $(wildcard config/*.mk)))
ifneq ($(filter-out $(CONFIGS),$(CONFIG)),)
  $(error CONFIG=$(CONFIG): there are $(CONFIGS))
endif
ifneq ($(CONFIG),)
  include config/$(CONFIG).mk
endif
CONFIG_CFLAGS += $(if $(CONFIG),-DCONFIG_NAME='"$(CONFIG)"')
# TESTS=no: without the test cases, in a directory of its own; what the benchmarks use of them stays.
TESTS := yes
ifeq ($(TESTS),no)
  CONFIG_LEFT_OUT += $(filter-out tests/step.c,$(wildcard tests/*.c tests/*/*.c))
endif
BUILD := build$(if $(CONFIG),/$(CONFIG))$(if $(filter no,$(TESTS)),/bench-only)

# ---- toolchain: x86_64-elf- if there is one, else the native gcc; CROSS= sets it by hand
CROSS_DIR ?= $(HOME)/opt/cross
ifeq ($(origin CROSS),undefined)
  ifneq ($(shell command -v x86_64-elf-gcc 2>/dev/null),)
    CROSS := x86_64-elf-
  else ifneq ($(wildcard $(CROSS_DIR)/bin/x86_64-elf-gcc),)
    CROSS := $(CROSS_DIR)/bin/x86_64-elf-
  endif
else ifeq ($(shell command -v $(CROSS)gcc 2>/dev/null),)
  ifneq ($(wildcard $(CROSS_DIR)/bin/$(CROSS)gcc),)
    override CROSS := $(CROSS_DIR)/bin/$(CROSS)
  endif
endif
CC := $(CROSS)gcc
LD := $(CROSS)ld
NM := $(CROSS)nm
OBJCOPY := $(CROSS)objcopy
NASM := nasm
PYTHON := python3

# ---- flags
CFLAGS := -std=gnu11 -ffreestanding -O2 -g -Wall -Wextra -Wvla -Werror \
	-m64 -mno-red-zone -mgeneral-regs-only -mcx16 -mcmodel=kernel \
	-fno-pic -fno-pie -fno-stack-protector -fno-strict-aliasing -fno-common \
	-fno-omit-frame-pointer \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -fcf-protection=none \
	$(CONFIG_INCLUDE:%=-I%) -I. -Iinclude -Iarch/x86_64/include $(CONFIG_CFLAGS) $(CONFIG_MACHINE_CFLAGS) $(EXTRA_CFLAGS)
ASFLAGS := -f elf64 -g -F dwarf -w+all -I./ -Iarch/x86_64/
LDFLAGS := -m elf_x86_64 -n -nostdlib -static -z max-page-size=4096 -z noexecstack --build-id=none
LDFLAGS += $(shell $(LD) --help 2>/dev/null | grep -q no-warn-rwx-segments && echo --no-warn-rwx-segments)
# The string functions must not be compiled into calls to themselves.
CFLAGS_lib/string.o := -fno-tree-loop-distribute-patterns
# It looks at memory that is free, where who watches would stop it.
CFLAGS_mm/slab_debug.o := -fno-sanitize=all
CFLAGS_mm/slab_debug_bytes.o := -fno-sanitize=all
CFLAGS_mm/slab_debug_report.o := -fno-sanitize=all
CFLAGS_tests/slab_debug_user.o := -fno-sanitize=all

# ---- COVERAGE=yes: mm/ counts how often each line runs, by locked instructions, as NMIs
# nest in everything. Less optimized, so that lines stay apart; in a BUILD of its own.
COVERAGE :=
COVERAGE_GCC := -O1 -fprofile-arcs -ftest-coverage -fprofile-update=atomic
COVERAGE_CFLAGS := $(if $(COVERAGE),$(COVERAGE_GCC) -fprofile-info-section=gcov_info)
in_mm = $(if $(filter mm/%,$(1)),$(2))

# ---- what there is to build
C_SRCS := $(filter-out $(CONFIG_LEFT_OUT),$(sort $(foreach d,arch/x86_64 kernel mm lib tests bench $(CONFIG_DIRS),$(wildcard $(d)/*.c))))
ASM_SRCS := $(sort $(wildcard boot/*.asm arch/x86_64/*.asm))
OBJS := $(ASM_SRCS:%.asm=$(BUILD)/%.asm.o) $(C_SRCS:%.c=$(BUILD)/%.o)
KSYMS_PY := $(wildcard tools/ksyms.py)
KSYMS := $(if $(KSYMS_PY),$(BUILD)/ksyms.o)
ELF := $(BUILD)/anyctx.elf
ISO := $(BUILD)/anyctx.iso

ifeq ($(V),)
  Q := @
  say = @printf '  %-7s %s\n' $(1) $(2)
endif

.PHONY: all iso presets test-matrix costs run replay million soak coverage model mutants test test-long bench bench-compare bench-linux bench-native native debug lint clean help check-tools setup
all: $(ELF)
iso: $(ISO)

# ---- stamps: a file that changes only when its text does
.PHONY: FORCE
FORCE:
stamp = @mkdir -p $(@D); printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' > $@
CC_VERSION := $(shell $(CC) --version 2>/dev/null | head -n 1)
$(BUILD)/flags.c: FORCE
	$(call stamp,$(CC) $(CC_VERSION) $(CFLAGS) $(call CONFIG_FILE_CFLAGS,*) $(COVERAGE_CFLAGS))
$(BUILD)/flags.asm: FORCE
	$(call stamp,$(NASM) $(ASFLAGS))
$(BUILD)/flags.ld: FORCE
	$(call stamp,$(LD) $(LDFLAGS) $(OBJS) $(KSYMS))
# The tools to build with; looked at once, `make setup` installs them.
$(BUILD)/tools.ok: tools/setup.sh
	@mkdir -p $(@D)
	@tools/setup.sh --check build || { echo "make: run tools/setup.sh (or make setup) first" >&2; exit 1; }
	@touch $@

# ---- compile
$(BUILD)/%.o: %.c $(BUILD)/flags.c $(CONFIG:%=config/%.mk) | $(BUILD)/tools.ok
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) $(call CONFIG_FILE_CFLAGS,$*) $(CFLAGS_$*.o) $(call in_mm,$*,$(COVERAGE_CFLAGS)) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $@ $<

$(BUILD)/%.asm.o: %.asm $(BUILD)/flags.asm | $(BUILD)/tools.ok
	@mkdir -p $(@D)
	$(call say,NASM,$<)
	$(Q)$(NASM) $(ASFLAGS) -MD $(@:.o=.d) -MP -MT $@ -o $@ $<

# ---- link: once to learn the addresses of the functions, once with the table of them
$(BUILD)/anyctx.pass1.elf: $(OBJS) linker.ld $(BUILD)/flags.ld
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS) --unresolved-symbols=ignore-all -T linker.ld -o $@ $(OBJS)

$(BUILD)/ksyms.S: $(BUILD)/anyctx.pass1.elf $(KSYMS_PY)
	$(call say,KSYMS,$@)
	$(Q)$(PYTHON) $(KSYMS_PY) $< $@

$(BUILD)/ksyms.o: $(BUILD)/ksyms.S $(BUILD)/flags.c
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

$(ELF): $(OBJS) $(KSYMS) linker.ld $(BUILD)/flags.ld
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS) -Map=$(BUILD)/anyctx.map -T linker.ld -o $@ $(OBJS) $(KSYMS)
	$(Q)u=$$($(NM) -u $@); test -z "$$u" || { echo "undefined: $$u" >&2; rm -f $@; exit 1; }

# ---- one image that BIOS and UEFI boot; debug information stays in $(ELF)
GRUB_MODULES := normal iso9660 fat $(addprefix part_,acorn amiga apple bsd dfly dvh gpt msdos plan sun sunpc) search search_fs_file search_label \
	multiboot2 smbios serial terminal terminfo echo test configfile boot cat ls mmap
$(ISO): $(ELF) iso/grub.cfg
	$(call say,ISO,$@)
	$(Q)rm -rf $(BUILD)/iso && mkdir -p $(BUILD)/iso/boot/grub
	$(Q)$(OBJCOPY) --strip-debug $(ELF) $(BUILD)/iso/boot/anyctx.elf
	$(Q)cp iso/grub.cfg $(BUILD)/iso/boot/grub/grub.cfg
	$(Q)grub-mkrescue --locales= --fonts= --themes= --install-modules="$(GRUB_MODULES)" \
		-o $@ $(BUILD)/iso > $(BUILD)/grub-mkrescue.log 2>&1 || { cat $(BUILD)/grub-mkrescue.log >&2; exit 1; }

# ---- the same without a disk, for replays: GRUB with the kernel in a file system of
# its own, as a Linux image that QEMU puts into memory before it starts
GRUB_PC := /usr/lib/grub/i386-pc
REPLAY_IMG := $(BUILD)/replay.img
# With its tests the kernel may be larger than what GRUB's image holds. xz packs code better
# than grub-mkimage itself does; GRUB unpacks it by xzio.
REPLAY_TOO_LARGE := $(if $(filter no,$(TESTS)),,$(CONFIG_NO_REPLAY))
ifneq ($(REPLAY_TOO_LARGE),)
$(REPLAY_IMG): FORCE
	$(error CONFIG=$(CONFIG) is too large for the replay image with its test cases: add TESTS=no, which keeps the main job and the benchmarks)
else
$(REPLAY_IMG): $(ISO) iso/replay.cfg
	$(call say,IMG,$@)
	$(Q)rm -rf $(BUILD)/replay && mkdir -p $(BUILD)/replay/boot/grub
	$(Q)$(OBJCOPY) --strip-all $(ELF) $(BUILD)/replay.elf
	$(Q)xz --check=crc32 --x86 --lzma2=preset=9e -c $(BUILD)/replay.elf > $(BUILD)/replay/boot/anyctx.elf
	$(Q)cp iso/replay.cfg $(BUILD)/replay/boot/grub/grub.cfg
	$(Q)tar -C $(BUILD)/replay -cf $(BUILD)/replay.tar boot
	$(Q)grub-mkimage -O i386-pc -p '(memdisk)/boot/grub' -m $(BUILD)/replay.tar -o $(BUILD)/replay.core \
		memdisk tar xzio multiboot2 normal configfile boot
	$(Q)cat $(GRUB_PC)/lnxboot.img $(BUILD)/replay.core > $@
endif

# All CPUs build, where make was not told how many.
JOBS := $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- run. `run` and `test` install what is missing, then build in a second make
# that sees the new tools.
export SMP MEM ARGS FIRMWARE NUMA EXTRA TIMEOUT MACHINE CPU T
# What of these asks tools/run-tests.py for boots of one's own, in place of the matrix.
GIVEN := $(T)$(SMP)$(MEM)$(ARGS)$(FIRMWARE)$(NUMA)$(MACHINE)$(CPU)
ifneq ($(BUILD),build)
  export ISO
  export REPLAY_IMG
endif
setup:
	@tools/setup.sh

run: setup
	$(Q)$(MAKE) $(JOBS) --no-print-directory iso
	$(Q)tools/qemu.sh

# The job with this seed, or the tests named by T: prints the same each time.
SEED ?= 1
replay: setup
	$(Q)$(MAKE) $(JOBS) --no-print-directory $(REPLAY_IMG)
	$(Q)REPLAY=yes ARGS="$(if $(T),test=$(T),seconds=1 seed=$(SEED)) $(ARGS)" tools/qemu.sh

# Which lines of mm/ run, in the kernel and as a process together.
coverage: setup
	$(Q)$(MAKE) $(JOBS) --no-print-directory BUILD=$(BUILD)/coverage COVERAGE=yes iso hosted
	$(Q)GCOV='$(CROSS)gcov' $(PYTHON) tools/coverage.py --build $(BUILD)/coverage

# A million allocations in NMIs that have interrupted the allocator: none may be refused.
million: setup
	$(Q)$(MAKE) $(JOBS) --no-print-directory iso
	$(Q)SMP=$(or $(SMP),2) ARGS="nmi_inside=1000000 $(ARGS)" TIMEOUT=$(or $(TIMEOUT),1500) tools/qemu.sh

# HOURS of the job on machines by chance, with failures injected; SOAK_ARGS: tools/soak.py.
HOURS ?= 1
soak: setup
	$(Q)$(MAKE) $(JOBS) --no-print-directory $(ISO) $(REPLAY_IMG) hosted
	$(Q)$(PYTHON) tools/soak.py --hours $(HOURS) $(SOAK_ARGS)

# The models of mm/ and irq_work, exhaustively, and their deliberate bugs. MODEL= names
# some; MODEL_ARGS: tools/model.py.
model:
	@tools/setup.sh model
	$(Q)$(PYTHON) tools/model.py --only '$(or $(MODEL),*)' $(MODEL_ARGS)

# Deliberate bugs, one at a time, in copies of the tree: the test named with each has to
# fail. M= names some.
mutants:
	@tools/setup.sh mutants
	$(Q)$(PYTHON) tools/mutants.py '$(or $(M),*)'

# The kernel; and the process, plain and as the sanitizers named by SAN= watch it.
test_build = $(Q)$(MAKE) $(JOBS) --no-print-directory iso $(if $(REPLAY_TOO_LARGE),,$(REPLAY_IMG)) $(if $(CONFIG_NO_HOSTED),,hosted)
test_build_san = $(Q)$(MAKE) $(JOBS) --no-print-directory hosted SAN=$(1)

# The images of all variants; a test of some cases needs none of them.
presets:
	$(Q)set -e; for c in $(CONFIGS); do $(MAKE) $(JOBS) --no-print-directory CONFIG=$$c iso; done
# In a build of its own settings: its suites and its part of the matrix.
one_preset := $(if $(GIVEN),,--preset $(CONFIG))

ifeq ($(CONFIG),)
test: setup
	$(test_build)
	$(if $(GIVEN),,$(Q)$(MAKE) --no-print-directory presets)
	$(call test_build_san,address$(comma)undefined)
	$(call test_build_san,thread)
	$(Q)$(PYTHON) tools/test-judge.py
	$(Q)$(if $(T),,$(MAKE) $(JOBS) --no-print-directory fuzz-corpus)
	$(Q)$(PYTHON) tools/run-tests.py
else
test: setup
	$(test_build)
	$(Q)$(PYTHON) tools/run-tests.py $(one_preset)
endif

# Every variant, on 1, 2 and 4 CPUs, in each context; ONLY= names boots.
test-matrix: setup
	$(test_build)
	$(Q)$(MAKE) --no-print-directory presets
	$(Q)$(PYTHON) tools/run-tests.py --matrix --only '$(or $(ONLY),*)'

test-long: setup
	$(Q)tools/setup.sh valgrind
	$(test_build)
	$(call test_build_san,address$(comma)undefined)
	$(call test_build_san,thread)
	$(call test_build_san,valgrind)
	$(Q)$(MAKE) --no-print-directory presets
	$(Q)$(PYTHON) tools/test-judge.py
	$(Q)$(if $(T),,$(MAKE) $(JOBS) --no-print-directory fuzz-corpus)
	$(Q)$(PYTHON) tools/run-tests.py --long

# Instructions an operation, exact; BENCH= names the boots, OUT= the result.
bench: setup
	$(Q)$(MAKE) $(JOBS) --no-print-directory $(REPLAY_IMG)
	$(Q)$(PYTHON) tools/bench.py run --only '$(or $(BENCH),*)' --out '$(or $(OUT),latest.json)'

# The same operations in Debian's kernels; STORM=1: NMIs from a second CPU; KERNEL= names versions.
bench-linux: setup
	$(Q)$(PYTHON) tools/bench-linux.py --kernel '$(KERNEL)' $(if $(STORM),--storm)

# What each variant costs, into docs/costs.md; ONLY= names some.
costs: setup
	$(Q)$(PYTHON) tools/costs.py --only '$(or $(ONLY),*)'
	$(Q)$(PYTHON) tools/costs.py --doc

bench-compare:
	$(Q)$(PYTHON) tools/bench.py compare '$(A)' '$(B)'

debug: iso
	$(Q)tools/qemu.sh --debug

include arch/hosted/hosted.mk
include fuzz/fuzz.mk

# The hosted build beside the allocators of the distribution: nanoseconds, and memory.
include bench/native/native.mk
bench-native:
	$(Q)tools/setup.sh native
	$(Q)$(MAKE) $(JOBS) --no-print-directory native
	$(Q)$(PYTHON) tools/bench-native.py --rounds $(or $(ROUNDS),7) $(if $(BENCH),--only '$(BENCH)') --out '$(or $(OUT),native.json)'


lint:
	$(Q)CROSS='$(CROSS)' tools/lint.sh

clean:
	rm -rf $(BUILD)

help:
	@printf '%s\n' \
	'anyctx - a kernel whose allocator works in every context' '' \
	'make run        build, boot it in QEMU and run the main job' \
	'make test       boot it on many machines and run all tests' \
	'make test-long  the same, longer and on more machines' \
	'make test-matrix  every variant below on 1, 2 and 4 CPUs in each context' \
	'make replay SEED=7  the job under a clock that counts instructions: same seed,' \
	'                same output, to the last byte' \
	'make soak HOURS=0.5  the job by turns on many machines, with failures injected' \
	'make million    the job until a million allocations were made in NMIs that had' \
	'                interrupted the allocator' \
	'make coverage   which lines of mm/ run; a table, and build/coverage/html' \
	'make model      check the models of the lock-free protocols, all interleavings' \
	'make mutants    deliberate bugs, each of which a test has to find; M="3*" some' \
	'make iso        build/anyctx.iso, which BIOS and UEFI boot' \
	'make bench      count the instructions of each operation; results in build/bench' \
	'make bench-linux  the same operations in Linux; STORM=1: its allocator under NMIs' \
	'make bench-native  the hosted build beside glibc, mimalloc, jemalloc, tcmalloc' \
	'make costs      what each variant costs, instructions and bytes: docs/costs.md' \
	'make bench-compare A=x.json B=y.json   what moved between two results' \
	'make debug      boot it stopped, with gdb attached' \
	'make lint       check the sources' \
	'make hosted     the same as a Linux process, build/hosted/anyctx' \
	'make test-hosted  its tests, watched: SAN=address,undefined, SAN=thread, SAN=valgrind' \
	'make fuzz T=600  parsers and allocator by libFuzzer and AFL++, so many seconds' \
	'make fuzz-corpus  the inputs in fuzz/corpus, each once' \
	'make setup      install what the above need (Debian, Ubuntu)' \
	'make clean      remove build/' '' \
	'SMP=4 MEM=512M FIRMWARE=bios|uefi ARGS="kernel arguments" TIMEOUT=seconds' \
	'work on all that start QEMU; make run SMP=1,2,16 runs one after the other;' \
	'make run ARGS="shell=1" ends at a prompt; make test T="suite.case,suite.*"' \
	'CONFIG=name builds a variant, config/name.mk, in build/name:' \
	'    $(CONFIGS)' \
	'CROSS=x86_64-elf- chooses the compiler (used by itself when it is there)' \
	'More: docs/building.md'

-include $(OBJS:.o=.d)
