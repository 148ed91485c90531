# A kernel for one CPU, which it uses of any machine: no calls between CPUs, and the
# number of this one is a constant. docs/design-presets.md
CONFIG_CFLAGS := -DCONFIG_UP=1 -Wno-array-bounds -Wno-maybe-uninitialized # of loops over CPUs that are none
