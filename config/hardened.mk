# Against who writes where he should not: links of free objects encoded, new slabs' objects in
# an order by chance, memory zeroed at both ends of its use. docs/design-slab-debug.md
CONFIG_CFLAGS := -DCONFIG_HARDENED=1
