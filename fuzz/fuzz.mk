# fuzz.mk - targets that engines feed with bytes; included by the Makefile.
# docs/fuzzing.md.
#
#	make fuzz T=60        each target by libFuzzer and AFL++, so many seconds in all
#	make fuzz-corpus      the inputs in fuzz/corpus, with gcc alone
#
# Each target is built three times: build/fuzz/gcc/NAME runs files, build/fuzz/libfuzzer/NAME
# and build/fuzz/afl/NAME are for the engines. Always with AddressSanitizer and
# UndefinedBehaviorSanitizer, whose first word ends it.

FUZZ := $(BUILD)/fuzz
FUZZ_TARGETS := cmdline multiboot2 acpi_tables acpi alloc
FUZZ_ENGINES := gcc libfuzzer afl
FUZZ_SECONDS = $(or $(T),60)

# ---- the engines: compiler, what the kernel's code is compiled with, what links it all
FUZZ_CC_gcc := gcc
FUZZ_CC_libfuzzer := clang
FUZZ_CC_afl := AFL_QUIET=1 afl-clang-fast
FUZZ_WATCH := -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SEEN_libfuzzer := -fsanitize=fuzzer-no-link
FUZZ_LINK_libfuzzer := -fsanitize=fuzzer
FUZZ_LINK_afl := -fsanitize=fuzzer
FUZZ_MAIN_gcc := fuzz/replay.c
# afl-clang-fast instruments all that it compiles; what is the target's own goes past it.
FUZZ_CC_own_gcc := gcc
FUZZ_CC_own_libfuzzer := clang
FUZZ_CC_own_afl := clang

# ---- the parsers: these of the kernel's files, and the target's own
FUZZ_cmdline := kernel/cmdline.c lib/format.c
FUZZ_multiboot2 := arch/x86_64/multiboot2_parse.c arch/x86_64/span.c
FUZZ_acpi_tables := arch/x86_64/acpi_parse.c arch/x86_64/nodes.c
FUZZ_acpi := arch/x86_64/acpi.c arch/x86_64/acpi_parse.c arch/x86_64/nodes.c lib/format.c
FUZZ_OWN_cmdline := fuzz/cmdline.c fuzz/printk.c fuzz/fuzz.c
FUZZ_OWN_multiboot2 := fuzz/multiboot2.c fuzz/fuzz.c
FUZZ_OWN_acpi_tables := fuzz/acpi_tables.c fuzz/acpi_check.c fuzz/fuzz.c
FUZZ_OWN_acpi := fuzz/acpi.c fuzz/acpi_check.c fuzz/printk.c fuzz/fuzz.c

# ---- the allocator: mm/ and what it stands on, as a process (arch/hosted); the fuzzer is
# what decides, so there are no tests, no job and no shell
FUZZ_alloc := $(filter-out $(HOSTED_LEFT_OUT) lib/string.c kernel/init.c kernel/ktap.c kernel/shell.c kernel/crash.c kernel/crash_%.c kernel/run_in.c \
	kernel/workload%,$(wildcard mm/*.c kernel/*.c lib/*.c)) $(HOSTED_SHARED)
FUZZ_HOST_alloc := $(filter-out arch/hosted/main.c arch/hosted/console.c arch/hosted/smp.c \
	arch/hosted/deliver_later.c arch/hosted/tsan.c,\
	$(wildcard arch/hosted/*.c))
FUZZ_OWN_alloc := fuzz/alloc_text_end.c $(FUZZ_HOST_alloc) $(filter-out fuzz/alloc_text_%,$(wildcard fuzz/alloc*.c)) \
	fuzz/fuzz.c
FUZZ_FIRST_alloc := fuzz/alloc_text_start.c

# ---- flags: as the hosted kernel's
FUZZ_COMMON := -std=gnu11 -O2 -g -Wall -Wextra -Wvla -Werror -m64 -mcx16 -mno-red-zone -fno-pic -fno-pie \
	-fno-stack-protector -fno-strict-aliasing -fno-common -fno-omit-frame-pointer -fcf-protection=none \
	$(FUZZ_WATCH) -I. -Iinclude $(EXTRA_CFLAGS)
FUZZ_CFLAGS_kernel := -ffreestanding -mgeneral-regs-only
FUZZ_CFLAGS_own := -D_GNU_SOURCE -pthread
# The C library is in the process as well, and its printf has the name of the kernel's.
FUZZ_CFLAGS_parser := -Iarch/x86_64/include -Dsnprintf=kernel_snprintf -Dvsnprintf=kernel_vsnprintf
FUZZ_CFLAGS_parser_own := -Iarch/x86_64/include
FUZZ_CFLAGS_alloc_own := -Iarch/hosted/sanitize/address -Iarch/hosted/include -Iarch/x86_64/include
FUZZ_CFLAGS_alloc := $(FUZZ_CFLAGS_alloc_own) -Dsnprintf=kernel_snprintf -Dvsnprintf=kernel_vsnprintf
fuzz_kind = $(if $(filter alloc,$(1)),alloc,parser)
FUZZ_LDFLAGS := $(FUZZ_WATCH) -no-pie -pthread -Wl,-z,now -Wl,-z,noexecstack
FUZZ_LDFLAGS_alloc := -Wl,--defsym=vmemmap=0x44000000 -Wl,-T,arch/hosted/mm_text.ld

# ---- rules: $(1) the engine, $(2) the target. The kernel's code is linked between the
# target's first and last file.
define fuzz_rules
FUZZ_OBJS_$(1)_$(2) := $$(patsubst %.c,$(FUZZ)/$(1)/$(2).o/%.o,$(FUZZ_$(2)))
FUZZ_OBJS_FIRST_$(1)_$(2) := $$(patsubst %.c,$(FUZZ)/$(1)/$(2).o/%.o,$(FUZZ_FIRST_$(2)))
FUZZ_OBJS_OWN_$(1)_$(2) := $$(patsubst %.c,$(FUZZ)/$(1)/$(2).o/%.o,$(FUZZ_OWN_$(2)) $(FUZZ_MAIN_$(1)))

$$(FUZZ_OBJS_$(1)_$(2)): $(FUZZ)/$(1)/$(2).o/%.o: %.c $(FUZZ)/flags.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$(FUZZ_CC_$(1)) $(FUZZ_COMMON) $(FUZZ_SEEN_$(1)) $(FUZZ_CFLAGS_kernel) \
		$(FUZZ_CFLAGS_$(call fuzz_kind,$(2))) -MMD -MP -MT $$@ -MF $$(@:.o=.d) -c -o $$@ $$<

$$(FUZZ_OBJS_FIRST_$(1)_$(2)) $$(FUZZ_OBJS_OWN_$(1)_$(2)): $(FUZZ)/$(1)/$(2).o/%.o: %.c $(FUZZ)/flags.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$(FUZZ_CC_own_$(1)) $(FUZZ_COMMON) $(FUZZ_CFLAGS_own) $(FUZZ_CFLAGS_$(call fuzz_kind,$(2))_own) \
		-MMD -MP -MT $$@ -MF $$(@:.o=.d) -c -o $$@ $$<

$(FUZZ)/$(1)/$(2): $$(FUZZ_OBJS_FIRST_$(1)_$(2)) $$(FUZZ_OBJS_$(1)_$(2)) $$(FUZZ_OBJS_OWN_$(1)_$(2))
	$$(call say,LD,$$@)
	$$(Q)$(FUZZ_CC_$(1)) $(FUZZ_LDFLAGS) $(FUZZ_LINK_$(1)) $(FUZZ_LDFLAGS_$(2)) -o $$@ $$^

-include $$(patsubst %.o,%.d,$$(FUZZ_OBJS_$(1)_$(2)) $$(FUZZ_OBJS_OWN_$(1)_$(2)))
endef
$(foreach e,$(FUZZ_ENGINES),$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rules,$(e),$(t)))))

$(FUZZ)/flags.c: FORCE
	$(call stamp,$(FUZZ_COMMON) $(foreach k,kernel own parser parser_own alloc alloc_own,$(FUZZ_CFLAGS_$(k))) \
		$(FUZZ_LDFLAGS) $(FUZZ_LDFLAGS_alloc))

.PHONY: fuzz fuzz-build fuzz-corpus
fuzz-build: $(foreach e,libfuzzer afl,$(FUZZ_TARGETS:%=$(FUZZ)/$(e)/%))

fuzz:
	$(Q)tools/setup.sh fuzz
	$(Q)$(MAKE) --no-print-directory fuzz-build
	$(Q)$(PYTHON) tools/fuzz.py --build $(FUZZ) --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

fuzz-corpus: $(FUZZ_TARGETS:%=$(FUZZ)/gcc/%)
	$(Q)bad=0; $(foreach t,$(FUZZ_TARGETS),$(FUZZ)/gcc/$(t) fuzz/corpus/$(t) || bad=1;) exit $$bad
