# No CPU keeps anything for itself: no magazines, no private pages, no deferral; and
# tables for few caches. docs/design-presets.md
CONFIG_CFLAGS := -DCONFIG_TINY=1
