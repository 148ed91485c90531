# native.mk - make bench-native: the hosted build of the allocator beside the allocators
# that a distribution offers, in one run; included by the Makefile after hosted.mk.

NATIVE := $(BUILD)/native
# One object with the loops for all of them; it is not the kernel's, and has the C library.
NATIVE_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -fno-pie -fno-strict-aliasing -I. -pthread
# In place of kernel/init.c; and as little of what is no allocator as who embeds it would take.
NATIVE_LEFT_OUT := tests/% bench/% $(patsubst %,kernel/%.c,init ktap shell crash% workload%)
NATIVE_OBJS := $(patsubst %.c,$(HOSTED)/%.o,$(filter-out $(NATIVE_LEFT_OUT),$(HOSTED_C)) bench/native/anyctx.c)

$(NATIVE)/flags: FORCE
	$(call stamp,$(HOSTED_CC) $(NATIVE_CFLAGS))
$(NATIVE)/%.o: bench/native/%.c $(NATIVE)/flags
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(HOSTED_CC) $(NATIVE_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c -o $@ $<

$(NATIVE)/peer: $(NATIVE)/loops.o $(NATIVE)/peer.o
	$(call say,LD,$@)
	$(Q)$(HOSTED_CC) -no-pie -pthread -Wl,-z,now -o $@ $^

$(NATIVE)/anyctx: $(NATIVE)/loops.o $(NATIVE_OBJS) $(HOSTED)/flags.ld
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(HOSTED_CC) $(HOSTED_LDFLAGS) -o $@ $(filter %.o,$^)

native: $(NATIVE)/peer $(NATIVE)/anyctx

-include $(NATIVE)/loops.d $(NATIVE)/peer.d $(HOSTED)/bench/native/anyctx.d
