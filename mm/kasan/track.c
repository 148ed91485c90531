/*
 * track.c - who is here: CPU, context, and the return addresses up the stack.
 *
 * A track lies behind its object (or in the table of pages) and is written by the call
 * that owns the object at that time, by plain stores. Reports read it as it is, and
 * believe nothing: a torn one shows wrong names and no more. Any context.
 */
#include <arch/paging.h>
#include "kernel/context.h"
#include "mm/kasan/kasan.h"
#include "mm/mm.h"

#define MAX_WALK 24
#define MAX_FRAME (64UL << 10) /* the distance of two frames of one stack */

struct frame {
	u64 rbp, ret;
};

/* The interrupted code may have had anything in rbp. *page: the last that was mapped. */
static bool plausible(u64 from, u64 to, u64 *page)
{
	if (to & 7 || to <= from || to - from > MAX_FRAME)
		return false;
	if ((to & PAGE_MASK) == *page && (to & ~PAGE_MASK) <= PAGE_SIZE - sizeof(struct frame))
		return true;
	if (!arch_is_mapped((void *)to) || !arch_is_mapped((void *)(to + sizeof(struct frame) - 1)))
		return false;
	*page = to & PAGE_MASK;
	return true;
}

/* The allocator's own frames come first, and are left out. */
void kasan_track_here(struct kasan_track *t, unsigned int most)
{
	u64 at = (u64)__builtin_frame_address(0), page = at & PAGE_MASK;
	u8 n = 0;

	t->cpu = (u8)smp_processor_id();
	t->context = (u8)current_context();
	for (unsigned int i = 0; i < MAX_WALK && n < most; i++) {
		const struct frame *f = (const void *)at;

		if (!f->ret)
			break;
		if (n || !mm_in_text(f->ret))
			t->pc[n++] = (u32)f->ret;
		if (!plausible(at, f->rbp, &page))
			break;
		at = f->rbp;
	}
	t->frames = n;
}
