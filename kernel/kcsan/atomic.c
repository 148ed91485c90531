/*
 * atomic.c - atomic accesses: with -fsanitize=thread the compiler calls these instead of
 * making them. Looked at as marked accesses, then made as asked for or stronger.
 */
#include "kernel/kcsan/access.h"

#define MARKED_WRITE (ACCESS_MARKED | ACCESS_WRITE)

/* The same for each size; the names and arguments are the compiler's. */
#define FETCH(bits, name, op) \
	u##bits __tsan_atomic##bits##_##name(volatile u##bits *p, u##bits v, int order); \
	u##bits __tsan_atomic##bits##_##name(volatile u##bits *p, u##bits v, int order) \
	{ \
		(void)order; \
		access_check(p, bits / 8, MARKED_WRITE); \
		return op(p, v, __ATOMIC_SEQ_CST); \
	}

#define ATOMICS(bits) \
	u##bits __tsan_atomic##bits##_load(const volatile u##bits *p, int order); \
	void __tsan_atomic##bits##_store(volatile u##bits *p, u##bits v, int order); \
	bool __tsan_atomic##bits##_compare_exchange_strong(volatile u##bits *p, u##bits *old, u##bits v, int order, \
							   int failed); \
	bool __tsan_atomic##bits##_compare_exchange_weak(volatile u##bits *p, u##bits *old, u##bits v, int order, \
							 int failed); \
	u##bits __tsan_atomic##bits##_load(const volatile u##bits *p, int order) \
	{ \
		(void)order; \
		access_check(p, bits / 8, ACCESS_MARKED); \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST); \
	} \
	void __tsan_atomic##bits##_store(volatile u##bits *p, u##bits v, int order) \
	{ \
		access_check(p, bits / 8, MARKED_WRITE); \
		if (order == __ATOMIC_SEQ_CST) \
			__atomic_store_n(p, v, __ATOMIC_SEQ_CST); \
		else \
			__atomic_store_n(p, v, __ATOMIC_RELEASE); \
	} \
	bool __tsan_atomic##bits##_compare_exchange_strong(volatile u##bits *p, u##bits *old, u##bits v, int order, \
							   int failed) \
	{ \
		(void)order; \
		(void)failed; \
		access_check(p, bits / 8, MARKED_WRITE); \
		return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	} \
	bool __tsan_atomic##bits##_compare_exchange_weak(volatile u##bits *p, u##bits *old, u##bits v, int order, \
							 int failed) \
	{ \
		return __tsan_atomic##bits##_compare_exchange_strong(p, old, v, order, failed); \
	} \
	FETCH(bits, exchange, __atomic_exchange_n) \
	FETCH(bits, fetch_add, __atomic_fetch_add) \
	FETCH(bits, fetch_sub, __atomic_fetch_sub) \
	FETCH(bits, fetch_and, __atomic_fetch_and) \
	FETCH(bits, fetch_or, __atomic_fetch_or) \
	FETCH(bits, fetch_xor, __atomic_fetch_xor)

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_atomic_thread_fence(int order)
{
	if (order == __ATOMIC_SEQ_CST)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		barrier();
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
	barrier();
}
