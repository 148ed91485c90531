/*
 * defer.pml - model of deferral: defer.c, and kernel/irq_work.c and the cross call
 * under it. For spin; tools/model.py runs it.
 *
 * Models mm/defer.c: defer_free, serve_one, serve, defer_serve, serve_here, defer_kick_all,
 * defer_free_barrier; kernel/irq_work.c: queue, irq_work_run_one, irq_work_serve, irq_work_sync;
 * arch/x86_64/rseq.c: rseq_fixup.
 *
 * Not modelled: what defer_work_run does besides (magazines, trims), the cross call's
 * own slots (here a flag and an IPI), several items' order, and two CPUs that run one item.
 *
 * CPU 1 has a deferral stack. Its NMIs defer objects; its interrupts serve the
 * irq_work list and cross calls; its thread serves as flush_cpu does. CPU 0's
 * thread queues work on CPU 1 and runs the barrier. What is of a higher level
 * begins at any step of a lower one (an interrupt only with interrupts on) and runs
 * to its end; rseq_fixup sends interrupted sequences back.
 *
 * A step is one access to shared memory. Sequentially consistent: the steps that
 * another CPU relies on are locked instructions.
 *
 * Checked: each object is served once (OBJECT), each request of a work item is seen
 * by a run of its function that began after it, a list is never broken, what was
 * deferred before the barrier began has been served when it returns, and nothing is
 * deferred from CPU 1's answer to its end, so the stack only shrinks; at rest
 * nothing waits anywhere. No deadlock, so the barrier and the sync end.
 *
 * Bounds: a stack of 2, RETRIES 2 (the code has 4); by configuration (CFG) 3 NMIs
 * that defer and 1 that does not, or 2 that defer and a second work item that CPU 0
 * queues twice.
 */

#if CFG == 1 /* deferral and barrier */
#define DEFERS 3
#define OTHER_NMIS 1
#define OTHER_TIMES 0
#else /* 2: a second item among them */
#define DEFERS 2
#define OTHER_NMIS 0
#define OTHER_TIMES 2
#endif
#define RETRIES 2
#define SLOTS 2 /* defer_stack */
#define PENDING 1
#define RUNNER 2
#define DEFER_WORK 1 /* items, as list nodes: 0 is NULL */
#define OTHER_WORK 2

/* struct irq_work and the list of CPU 1. */
byte state[3], next[3], first;
/* What the item's user has asked for, and what its function has seen. */
byte asked[3], seen[3];
bit ipi_work, ipi_call; /* latched by CPU 1's APIC */
bit call_wanted, unfinished;
/* Who waits for the stack to be empty; has CPU 1 served him? Then the stack only shrinks. */
bit waiters, closed;

/* The deferral stack; slot 0 is the NULL below its floor. */
byte slot[SLOTS + 1], top = 1;
#define NOWHERE 0
#define DEFERRED 1
#define IN_HAND 2
#define SERVED 3
byte object[DEFERS + 1];

/* CPU 1: its level (0 thread, 1 interrupt, 2 NMI), its thread's interrupt flag. */
byte level;
bit irqs_off, inside[2], sent_back[2];
byte ended;

#define CPU0 3
#define ME (my == CPU0 || level == my)
/* The next instruction of a sequence: not if we were sent back. */
#define NEXT ME && (my > 1 || !sent_back[my % 2])

/* ---------------------------------------------------------- irq_work.c, llist.h */

inline irq_work_queue(w)
{
	atomic { ME -> old = state[w]; state[w] = old | PENDING; asked[w] = (w == OTHER_WORK -> asked[w] : 1) };
#ifdef BUG_ADD_TWICE
	old = 0;
#endif
	if
	:: old & PENDING -> old = 0
	:: !(old & PENDING) ->
		old = 0;
		do
		:: atomic { ME -> f = first };
			atomic { ME -> next[w] = f };
			atomic { ME ->
				if
#ifdef BUG_ADD_STORE
				:: true -> first = w; break
#else
				:: first == f -> first = w; break
				:: else -> f = 0
#endif
				fi
			}
		od;
		if
#ifdef BUG_NO_IPI
		:: my == 2 -> f = 0
		:: my != 2 && f == 0 -> atomic { ME -> ipi_work = 1 }
#else
		:: f == 0 -> atomic { ME -> ipi_work = 1 }
#endif
		:: f != 0 -> f = 0
		fi
	fi
}

inline irq_work_run_one(w)
{
#ifdef BUG_NO_RUNNER
	atomic { ME -> assert(state[w] & PENDING); state[w] = state[w] - PENDING };
#elif !defined(BUG_PENDING_AFTER)
	atomic { ME -> assert(state[w] & PENDING); state[w] = state[w] + RUNNER - PENDING };
#endif
	atomic { ME -> seen[w] = asked[w] };
	if
	:: w == DEFER_WORK -> defer_serve()
	:: w != DEFER_WORK
	fi;
#ifdef BUG_NO_RUNNER
	skip
#elif defined(BUG_PENDING_AFTER)
	atomic { ME -> state[w] = state[w] - PENDING }
#elif defined(BUG_END_STORE)
	atomic { ME -> old = state[w] };
	atomic { ME -> state[w] = old - RUNNER; old = 0 }
#else
	atomic { ME -> state[w] = state[w] - RUNNER }
#endif
}

/* llist_del_all, llist_reverse_order of at most two, then each. */
inline irq_work_serve()
{
	atomic { ME -> n = first; first = 0 };
	do
	:: n != 0 ->
		atomic { ME -> f = next[n] };
		atomic { ME -> next[n] = out };
		atomic { out = n; n = f; f = 0 }
	:: n == 0 -> n = out; out = 0; break
	od;
	do
	:: n != 0 ->
#ifdef BUG_NEXT_LATE
		irq_work_run_one(n);
		atomic { ME -> n = next[n] }
#else
		atomic { ME -> out = next[n] };
		irq_work_run_one(n);
		atomic { n = out; out = 0 }
#endif
	:: n == 0 -> break
	od
}

/* ---------------------------------------------------------- defer.c */

#define RESTARTED atomic { ME && my < 2 && sent_back[my % 2] -> sent_back[my % 2] = 0; inside[my % 2] = 0; t = 0; p = 0; r = 2 }

/* local_pop: r is 0 done (p is the object, in hand), 1 refused, 2 restart. */
inline local_pop()
{
	atomic { ME -> t = top; inside[my % 2] = 1 };
	if
	:: atomic { NEXT -> p = slot[t - 1]; t = 0 };
		if
		:: p == 0 ->
			if
			:: atomic { NEXT -> inside[my % 2] = 0; r = 1 }
			:: RESTARTED
			fi
		:: p != 0 ->
			if
			:: atomic { NEXT ->
					inside[my % 2] = 0; r = 0; top = top - 1;
					assert(object[p] == DEFERRED); object[p] = IN_HAND
				}
			:: RESTARTED
			fi
		fi
	:: RESTARTED
	fi
}

/* count: how many, no more than there were at first; emptied: it saw that nothing was left.
 * Interrupts are off in an interrupt anyway. */
inline defer_serve()
{
	tries = RETRIES;
	atomic { ME -> most = top - 1 };
	do
	:: most == 0 -> break
	:: most > 0 ->
#ifndef BUG_SERVE_WITH_IRQS
		atomic { ME -> irqs_off = (my == 0 -> 1 : irqs_off) };
#endif
		local_pop();
		if
		:: r == 0 -> /* slab_put */
			atomic { ME -> assert(object[p] == IN_HAND); object[p] = SERVED; p = 0; count++; most-- }
		:: r != 0
		fi;
		atomic { ME -> irqs_off = (my == 0 -> 0 : irqs_off) };
		if
		:: r == 0
		:: r == 1 -> break
		:: atomic { r == 2 && tries > 1 -> tries-- }
		:: atomic { r == 2 && tries == 1 -> break }
		fi
	od;
	tries = 0; most = 0;
#ifdef BUG_EMPTY_BY_COUNT
	emptied = (r != 2);
#else
	atomic { ME -> emptied = (top == 1) };
#endif
#ifndef BUG_NO_KICK
	if
	:: !emptied -> irq_work_queue(DEFER_WORK)
	:: emptied
	fi;
#endif
	r = 0
}

/* By IPI for the barrier. */
inline serve_here()
{
#ifdef BUG_BARRIER_COUNTS
	atomic { ME -> waiting = top - 1 };
	count = 0;
	defer_serve();
	if
	:: count < waiting -> atomic { ME -> unfinished = (top > 1 -> 1 : unfinished) }
	:: count >= waiting
	fi;
	waiting = 0;
#else
	defer_serve();
	if
	:: !emptied -> atomic { ME -> unfinished = 1 }
	:: emptied
	fi;
#endif
	atomic { count = 0; emptied = 0 }
}

#define LOCALS byte my, old, f, n, out, t, p, r, tries, most, count, waiting; bit emptied

/* ---------------------------------------------------------- who does it */

active proctype thread()
{
	LOCALS;

	defer_serve();
	count = 0; emptied = 0;
	ended++
}

inline leave_interrupt()
{
	level = 0;
#ifndef BUG_NO_FIXUP
	sent_back[0] = inside[0]
#endif
}

active proctype interrupt()
{
	LOCALS;

	my = 1;
end:	do
	:: atomic { ipi_work && level == 0 && !irqs_off -> level = 1;
#ifdef BUG_ACK_LATE
		skip
#else
		ipi_work = 0
#endif
		};
		irq_work_serve();
		atomic { ME ->
#ifdef BUG_ACK_LATE
			ipi_work = 0;
#endif
			count = 0; emptied = 0; leave_interrupt() }
	:: atomic { ipi_call && level == 0 && !irqs_off -> level = 1; ipi_call = 0 };
		serve_here();
		atomic { ME -> call_wanted = 0; leave_interrupt() }
	od
}

active proctype nmi()
{
	LOCALS;
	byte before, o = 1, others = OTHER_NMIS;

	my = 2;
	do
	:: atomic { others > 0 -> /* one that defers nothing */
			others--;
#ifndef BUG_NO_FIXUP
			if
			:: level < 2 -> sent_back[level] = inside[level]
			:: else
			fi
#endif
		}
	:: o <= DEFERS ->
		atomic { before = level; level = 2 };
		/* defer_free; if somebody waits, or the stack is full, the object goes into its
		 * slab at once. */
#if defined(BUG_NOT_CLOSED) || defined(BUG_BARRIER_COUNTS) || defined(BUG_EMPTY_BY_COUNT)
		tries = 0;
#else
		tries = waiters;
#endif
		if
		:: atomic { !tries && top <= SLOTS ->
#if !defined(BUG_BARRIER_COUNTS) && !defined(BUG_EMPTY_BY_COUNT)
				assert(!closed);
#endif
				slot[top] = o; top++; object[o] = DEFERRED };
			irq_work_queue(DEFER_WORK)
		:: atomic { tries || top > SLOTS -> object[o] = SERVED; tries = 0 }
		fi;
		atomic {
			o++; level = before;
#ifndef BUG_NO_FIXUP
			sent_back[before] = inside[before];
#endif
			before = 0
		}
	:: o > DEFERS && others == 0 -> break
	od;
	ended++
}

active proctype cpu0()
{
	LOCALS;
	bit was[DEFERS + 1];

	my = CPU0;
	/* kick_all; and the other item: the second time it may be pending. */
	irq_work_queue(DEFER_WORK);
	do
	:: asked[OTHER_WORK] < OTHER_TIMES ->
		asked[OTHER_WORK] = asked[OTHER_WORK] + 1;
		irq_work_queue(OTHER_WORK)
	:: asked[OTHER_WORK] == OTHER_TIMES -> break
	od;

	/* defer_free_barrier */
	atomic {
		t = 1;
		do
		:: t <= DEFERS -> was[t] = (object[t] != NOWHERE); t++
		:: else -> break
		od;
		t = 0
	};
	waiters = 1;
	do
	:: atomic { unfinished = 0; call_wanted = 1; ipi_call = 1 };
		atomic { !call_wanted -> closed = 1 };
		if
		:: unfinished
		:: !unfinished -> break
		fi
	od;
	atomic { waiters = 0; closed = 0 };
	atomic {
		t = 1;
		do
		:: t <= DEFERS -> assert(!was[t] || object[t] == SERVED); was[t] = 0; t++
		:: else -> break
		od;
		t = 0
	};
	/* irq_work_sync */
	state[OTHER_WORK] == 0;
	assert(seen[OTHER_WORK] == OTHER_TIMES);
	ended++
}

active proctype at_rest()
{
	byte o = 1;

	atomic {
		ended == 3 && level == 0 && !ipi_work && !ipi_call;
		assert(first == 0 && top == 1 && state[DEFER_WORK] == 0 && state[OTHER_WORK] == 0);
		do
		:: o <= DEFERS -> assert(object[o] == SERVED); o++
		:: else -> break
		od
	}
}
