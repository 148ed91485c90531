/*
 * fuzz.h - what each target gives an engine, and how it says that something is wrong.
 *
 * An engine (libFuzzer, AFL++) or replay.c calls LLVMFuzzerTestOneInput with bytes, one
 * input after the other. A target leaves nothing behind that would change what the next
 * input does. What is wrong ends the process: by the sanitizers, or by fuzz_fail.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <anyctx/types.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* Says it on standard error and aborts, which the engines take for a crash. Any context. */
void __noreturn fuzz_fail(const char *fmt, ...) __printf(1, 2);

/* What the target's console has to say about it; nothing, if it has none. */
void console_dump(void);

#define FUZZ_CHECK(c) do { \
	if (unlikely(!(c))) \
		fuzz_fail("%s:%d: expected: %s", __FILE__, __LINE__, #c); \
} while (0)

/* The bytes, on the heap and with nothing behind them: who reads on is told. Freed by
 * fuzz_exact_free. */
u8 *fuzz_exact(const u8 *data, size_t size);
void fuzz_exact_free(u8 *p);

/* An input that is taken apart from its front; zeros when it is at its end. */
struct fuzz_input {
	const u8 *p;
	size_t left;
};

static inline u8 fuzz_u8(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline u16 fuzz_u16(struct fuzz_input *in)
{
	u8 low = fuzz_u8(in);

	return (u16)(low | fuzz_u8(in) << 8);
}

#endif
