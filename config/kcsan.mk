# kcsan.mk - data races are looked for: docs/design-kcsan.md. On the machine only; the
# process has ThreadSanitizer.
CONFIG_MACHINE_CFLAGS += -DCONFIG_KCSAN=1
KCSAN_CFLAGS := -fsanitize=thread --param tsan-distinguish-volatile=1 --param tsan-instrument-func-entry-exit=0 -Wno-tsan
# Not watched: the detector, and formatting, which works on its caller's stack and is
# much of what tests step through.
CONFIG_FILE_CFLAGS = $(if $(filter kernel/kcsan/% lib/format,$(1)),,$(KCSAN_CFLAGS))
CONFIG_DIRS := kernel/finding kernel/kcsan tests/finding tests/kcsan
CONFIG_INCLUDE := kernel/kcsan/include
# GRUB's image without a disk holds 480 KiB, compressed; with TESTS=no it fits.
CONFIG_NO_REPLAY := yes
