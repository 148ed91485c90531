# ubsan.mk - undefined behaviour is reported where it happens: docs/design-ubsan.md. The
# reporting itself is not watched; there are no arrays of variable length (-Wvla).
CONFIG_CFLAGS += -DCONFIG_UBSAN=1 -fsanitize=undefined -fno-sanitize=vla-bound
CONFIG_DIRS := kernel/finding kernel/ubsan tests/finding tests/ubsan
CFLAGS_kernel/ubsan/ubsan.o := -fno-sanitize=undefined
CFLAGS_kernel/ubsan/value.o := -fno-sanitize=undefined
# GRUB's image without a disk holds 480 KiB, compressed; with TESTS=no it fits.
CONFIG_NO_REPLAY := yes
