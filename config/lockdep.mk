# lockdep.mk - locks, and what is waited for, are watched: docs/design-lockdep.md.
CONFIG_CFLAGS += -DCONFIG_LOCKDEP=1
CONFIG_DIRS := kernel/finding kernel/lockdep tests/finding tests/lockdep
# As a process it has no threads that give way to each other.
CONFIG_HOSTED_LEFT_OUT := tests/lockdep/table_thread.c tests/lockdep/mutex.c
# GRUB's image without a disk holds 480 KiB, compressed; with TESTS=no it fits.
CONFIG_NO_REPLAY := yes
