# A kernel for one CPU, which it uses of any machine: no calls between CPUs, the number of
# this one is a constant, and no instruction is locked. docs/design-presets.md
CONFIG_CFLAGS := -DCONFIG_UP=1 -Wno-array-bounds -Wno-maybe-uninitialized # of loops over CPUs that are none
CONFIG_MACHINE_CFLAGS := -include arch/x86_64/unlocked.h
