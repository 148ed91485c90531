# Locks sleep, with priority inheritance; deferred work has threads; the allocator's long
# ways are preempted. docs/design-rt.md
CONFIG_CFLAGS := -DCONFIG_RT=1
CONFIG_INCLUDE := kernel/rt/include
CONFIG_DIRS := kernel/rt tests/rt
CONFIG_LEFT_OUT := kernel/spinlock.c kernel/local_lock.c tests/locks.c
CONFIG_NO_HOSTED := yes # threads, and so who waits for a lock, are the machine's alone
