# hosted.mk - the same kernel as a Linux process, a thread for each CPU; included by
# the Makefile. docs/design-hosted.md.
#
#	make hosted                     build/hosted/anyctx
#	make hosted SAN=address,undefined   build/hosted-asan-ubsan/anyctx; also SAN=thread,
#	                                and SAN=valgrind, to be run by valgrind
#	make test-hosted SAN=...        its suites and a main job

HOSTED_CC ?= gcc
SAN :=
comma := ,
san_words := $(subst $(comma), ,$(SAN))
san_short = $(patsubst address,asan,$(patsubst undefined,ubsan,$(patsubst thread,tsan,$(1))))
HOSTED := $(BUILD)/hosted$(subst $() ,,$(foreach s,$(san_words),-$(call san_short,$(s))))

# ---- sources: all that the kernel has, but for its machine and what needs that
HOSTED_LEFT_OUT := \
	$(wildcard tests/entry_*.c) \
	tests/paging.c tests/acpi.c tests/apic.c tests/multiboot2.c \
	kernel/sched.c kernel/sched_cpu.c kernel/kthread.c kernel/sleep.c kernel/runqueue.c kernel/wait.c kernel/rtmutex.c kernel/crash_thread.c $(wildcard tests/kthread*.c)
# entry_*: the entry code, IST stacks and debug registers; paging: page tables and
# rights; acpi, apic, multiboot2: tables and devices; threads: arch/hosted/threads.c says why. And parts of the machine that a process has as well:
HOSTED_SHARED := arch/x86_64/rseq.c arch/x86_64/insn.c arch/x86_64/span.c arch/x86_64/backtrace.c
# One way to serve interrupts or the other; and what is for one sanitizer only:
HOSTED_LEFT_OUT += $(if $(filter thread,$(san_words)),arch/hosted/deliver_now.c,\
	arch/hosted/deliver_later.c arch/hosted/tsan.c)
HOSTED_LEFT_OUT += $(if $(filter address,$(san_words)),,arch/hosted/asan.c)
# Sanitizers come with string functions that check what they touch:
HOSTED_LEFT_OUT += $(if $(filter address thread,$(san_words)),lib/string.c)
HOSTED_C := $(filter-out $(HOSTED_LEFT_OUT) $(CONFIG_HOSTED_LEFT_OUT) arch/x86_64/%,$(wildcard arch/hosted/*.c) $(C_SRCS)) $(HOSTED_SHARED)
HOSTED_OBJS := $(HOSTED_C:%.c=$(HOSTED)/%.o)

# ---- what watches it. The first error ends the run. Each checker that the allocator
# talks to has its own arch/sanitize.h.
san_flags := $(subst $() ,$(comma),$(filter-out valgrind,$(san_words)))
HOSTED_SAN := $(if $(san_flags),-fsanitize=$(san_flags) -fno-sanitize-recover=all)
HOSTED_SAN_INCLUDE := $(patsubst %,-Iarch/hosted/sanitize/%,$(filter address thread valgrind,$(san_words)))

# ThreadSanitizer sees nothing of arch/hosted; volatile accesses count as relaxed atomic
# ones (tsan.c), and each basic block is a place for an interrupt (deliver_later.c). It
# does not know fences, which the compiler warns of: what hangs on one says so (sanitize.h).
san_thread := $(filter thread,$(san_words))
HOSTED_SAN_ARCH := $(if $(san_thread),,$(HOSTED_SAN))
HOSTED_SAN_KERNEL := $(HOSTED_SAN) $(if $(san_thread),--param tsan-distinguish-volatile=1 \
	-fsanitize-coverage=trace-pc -Wno-tsan)

# ---- flags: the kernel's but for the address where it lies; arch/hosted has the C library
HOSTED_COMMON := -std=gnu11 -O2 -g -Wall -Wextra -Wvla -Werror -m64 -mcx16 -mno-red-zone -fno-pic -fno-pie \
	-fno-stack-protector -fno-strict-aliasing -fno-common -fno-omit-frame-pointer -fcf-protection=none \
	-I. -Iinclude $(HOSTED_SAN_INCLUDE) -Iarch/hosted/include -Iarch/x86_64/include $(CONFIG_CFLAGS) $(EXTRA_CFLAGS)
HOSTED_CFLAGS := $(HOSTED_COMMON) $(HOSTED_SAN_KERNEL) -ffreestanding -mgeneral-regs-only
HOSTED_ARCH_CFLAGS := $(HOSTED_COMMON) $(HOSTED_SAN_ARCH) -D_GNU_SOURCE -pthread
# All symbols bound at the start: a handler must not run into the dynamic linker. The
# descriptors (layout.h) and the text's bounds are where the kernel's linker.ld has them.
HOSTED_LDFLAGS := $(HOSTED_SAN) -no-pie -pthread -Wl,-T,arch/hosted/mm_text.ld -Wl,-z,now -Wl,-z,noexecstack -Wl,--defsym=vmemmap=0x44000000 \
	$(if $(COVERAGE),--coverage) -Wl,--defsym=__text_start=__executable_start -Wl,--defsym=__text_end=etext

.PHONY: hosted test-hosted no-process
hosted: $(if $(CONFIG_NO_HOSTED),no-process,$(HOSTED)/anyctx)
no-process:
	@echo 'CONFIG=$(CONFIG) has no form as a process (config/$(CONFIG).mk)' >&2; exit 2

$(HOSTED)/flags.c: FORCE
	$(call stamp,$(HOSTED_CC) $(shell $(HOSTED_CC) --version | head -n 1) $(HOSTED_CFLAGS) $(HOSTED_ARCH_CFLAGS) $(COVERAGE))
$(HOSTED)/flags.ld: FORCE
	$(call stamp,$(HOSTED_CC) $(HOSTED_LDFLAGS) $(HOSTED_OBJS))

$(HOSTED)/%.o: %.c $(HOSTED)/flags.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(HOSTED_CC) $(HOSTED_CFLAGS) $(CFLAGS_$*.o) $(if $(COVERAGE),$(call in_mm,$*,$(COVERAGE_GCC))) \
		-MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $@ $<

$(HOSTED)/arch/hosted/%.o: arch/hosted/%.c $(HOSTED)/flags.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(HOSTED_CC) $(HOSTED_ARCH_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $@ $<

# Linked twice, as the kernel is, for the names in reports.
$(HOSTED)/pass1: $(HOSTED_OBJS) arch/hosted/mm_text.ld $(HOSTED)/flags.ld
	$(call say,LD,$@)
	$(Q)$(HOSTED_CC) $(HOSTED_LDFLAGS) -o $@ $(HOSTED_OBJS)

$(HOSTED)/ksyms.S: $(HOSTED)/pass1 $(KSYMS_PY)
	$(Q)NM=nm $(PYTHON) $(KSYMS_PY) $< $@

$(HOSTED)/anyctx: $(HOSTED)/ksyms.S
	$(call say,LD,$@)
	$(Q)$(HOSTED_CC) $(HOSTED_LDFLAGS) -o $@ $(HOSTED_OBJS) $<

HOSTED_RUN := $(if $(filter valgrind,$(san_words)),valgrind -q --error-exitcode=9 --fair-sched=yes )$(HOSTED)/anyctx
test-hosted: hosted
	$(Q)$(PYTHON) tools/run-tests.py --hosted '$(HOSTED_RUN)'

-include $(HOSTED_OBJS:.o=.d)
