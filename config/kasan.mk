# kasan.mk - heap, stack and global variables are checked by calls that the compiler puts
# before each access; the runtime is mm/kasan/. docs/design-kasan.md.
#
# The process has SAN=address for that: built with this it is the ordinary one.
CONFIG_MACHINE_CFLAGS := -DCONFIG_KASAN=1
CONFIG_INCLUDE := mm/kasan/include
CONFIG_DIRS := mm/kasan tests/kasan
CONFIG_HOSTED_LEFT_OUT := mm/kasan/% tests/kasan/%

# The runtime cannot be checked by itself; and what debugs single caches looks at what
# lies behind objects, and at free ones.
kasan_none := mm/kasan/% $(addprefix mm/slab_debug,_report _bytes) mm/slab_debug tests/slab_debug_user
# What runs before the page tables have a shadow has no redzones on its stack, as a
# function with some writes to the shadow of its frame; nor has a panic. Their accesses are checked by calls,
# which know from when on there is one.
kasan_early := $(addprefix arch/x86_64/,setup features idt gdt serial multiboot2 multiboot2_parse fwcfg span paging trap backtrace) \
	mm/early lib/format lib/string $(addprefix kernel/,bootmark printk panic ksyms)
kasan_flags := -fsanitize=kernel-address -fsanitize-address-use-after-scope -fasan-shadow-offset=0xdffffc0000000000 \
	--param asan-instrumentation-with-call-threshold=0 --param asan-globals=1

# lib/string.c moves blocks by string instructions, which the compiler does not look
# into: it has the functions' insides, and mm/kasan/string.c their names.
CONFIG_FILE_CFLAGS = $(if $(filter-out $(kasan_none),$(1)),$(kasan_flags) \
	--param asan-stack=$(if $(filter $(kasan_early),$(1)),0,1)) \
	$(if $(filter lib/string,$(1)),-Dmemset=__memset -Dmemcpy=__memcpy -Dmemmove=__memmove)
# GRUB's image without a disk holds 480 KiB, compressed; with TESTS=no it fits.
CONFIG_NO_REPLAY := yes
