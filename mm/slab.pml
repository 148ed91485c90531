/*
 * slab.pml - model of the slabs: slab.c's state word and partial.c's stacks and
 * hand slots. For spin; tools/model.py runs it.
 *
 * Models mm/slab.c: slab_new, slab_get_some, chain_prefix, slab_unlist_if_exhausted,
 * slab_release_if_empty, slab_put, slab_publish, list_after_put; mm/partial.c: hand_open,
 * hand_hold, hand_close, hands_get_one, list_push, list_pop, partial_relist, drop_exhausted,
 * stack_get_one, stacks_version, partial_get_one, stack_trim; mm/alloc.c: refill_partial,
 * keep_new, refill_new.
 *
 * Not modelled: more than one node or cache (a page that goes to another cache is as one
 * that goes to anybody: its links are overwritten), the count of empties, reports of
 * double frees and broken chains, more than HAND_SLOTS calls within one another, and that
 * partial_get_one gives up after 64 looks during which slabs moved.
 *
 * Each process makes calls of one cache. One of depth 1 interrupts that of depth 0
 * of its CPU at any step and runs to its end. A step is one access to shared
 * memory; each inline has the name of the function that it models. Magazines are
 * one slot a CPU and change in one step, as magazine.pml shows that they do.
 *
 * Memory is sequentially consistent. It is enough for x86: state words and stacks
 * change by locked instructions, after which a CPU's earlier stores (links, next,
 * hand slots) are seen by all.
 *
 * Checked, besides the assertions in the text:
 *  - an object has one owner at most, and is put back by its owner: own, disown
 *  - a slab is on one stack at most, and is released when on none with no object in
 *    use; ON-LIST says so (pushed, popped, slab_release_if_empty)
 *  - no chain is ever taken for broken
 *  - partial_get_one says "none" only if no slab had a free object during the
 *    whole of its last look: watch
 *  - at rest nothing is lost: at_rest
 *
 * Bounds: 2 slabs of 3 objects, calls by configuration (CFG). A sequence or tag
 * does not wrap within them (asserted).
 */

/* Calls: what is taken goes back in the end. */
#define REFILL 1 /* refill_partial: one slab's objects, up to two */
#define GET_ONE 2 /* partial_get_one */
#define NEW 3 /* refill_new, one object kept in the magazine */
#define POP 4 /* out of the magazine */
#define TRIM 5
#define SCRIPT(a, b) ((a) | (b) << 3)

#define NP 3
#define CPU_OF(p) ((p) == 2 -> 1 : 0)
#define DEPTH_OF(p) ((p) == 1 -> 1 : 0)
#if CFG == 1 /* slabs on and off their stacks */
#define OPS_OF(p) SCRIPT(REFILL, 0)
#define SLABS_AT_START 2
#elif CFG == 2 /* a new slab, and frees into it before it is published */
#define OPS_OF(p) ((p) == 0 -> SCRIPT(NEW, 0) : ((p) == 1 -> SCRIPT(POP, 0) : SCRIPT(REFILL, GET_ONE)))
#define SLABS_AT_START 0
#elif CFG == 3 /* trimming, and looks from outside */
#define OPS_OF(p) ((p) == 0 -> SCRIPT(TRIM, 0) : ((p) == 1 -> SCRIPT(REFILL, 0) : SCRIPT(GET_ONE, 0)))
#define SLABS_AT_START 1
#elif CFG == 4 /* two trims, one inside a call that takes and gives */
#define OPS_OF(p) ((p) == 0 -> SCRIPT(REFILL, 0) : SCRIPT(TRIM, 0))
#define SLABS_AT_START 2
#elif CFG == 6 /* a look from outside at a slab that is emptied and filled */
#define OPS_OF(p) ((p) == 2 -> SCRIPT(GET_ONE, 0) : SCRIPT(REFILL, 0))
#define SLABS_AT_START 1
#else /* 5: a look that interrupts a free, while another frees */
#define OPS_OF(p) ((p) == 1 -> SCRIPT(GET_ONE, 0) : SCRIPT(REFILL, 0))
#define SLABS_AT_START 1
#endif

#define NO 3 /* objects of a slab */
#define NSLABS 2 /* frames 1 and 2; 0 is none */
#define SLOTS 2 /* a CPU's hand slots */
#define SEQ_MAX 200

/* ---------------------------------------------------------- shared memory */

/* A state word: head index 2 bits, free count 2, cache 1, on-list 1, sequence. */
#define NONE 3
#define HEAD(st) ((st) & 3)
#define FREE(st) ((st) >> 2 & 3)
#define CACHE(st) ((st) >> 4 & 1)
#define ONLIST(st) ((st) >> 5 & 1)
#define SEQ(st) ((st) >> 6)
#ifdef BUG_NO_SEQ
#define STATE(old, head, nfree, cache, onlist) ((head) | (nfree) << 2 | (cache) << 4 | (onlist) << 5)
#else
#define STATE(old, head, nfree, cache, onlist) \
	((head) | (nfree) << 2 | (cache) << 4 | (onlist) << 5 | (SEQ(old) + 1) << 6)
#endif
#ifdef BUG_NO_TAG
#define RETAGGED(old, frame) (frame)
#else
#define RETAGGED(old, frame) (((old) & ~3) + 4 | (frame))
#endif
#define FRAME(top) ((top) & 3)

/* At the start slabs are on stack 0, all objects free. */
#define ON 124 /* sequence 1, on-list, cache 1, 3 free, head 0 */
#define OFF 67 /* sequence 1, no cache */
#if SLABS_AT_START == 2
#define AT_START(with2, with1, with0) with2
#elif SLABS_AT_START == 1
#define AT_START(with2, with1, with0) with1
#else
#define AT_START(with2, with1, with0) with0
#endif
short state[NSLABS + 1] = { OFF, AT_START(ON, ON, OFF), AT_START(ON, OFF, OFF) };
byte next[NSLABS + 1] = { 0, 0, AT_START(1, 0, 0) };
#define UNMARKED 7 /* a link of an object in use */
byte link[(NSLABS + 1) * NO] = { 0, 0, 0, 1, 2, NONE, 1, 2, NONE };
#define LINK(f, o) link[(f) * NO + (o)]
short stack[2] = { SLABS_AT_START, 0 };
byte nr = SLABS_AT_START;
byte depth[2], hand[2 * SLOTS];
#define HAND(c, i) hand[(c) * SLOTS + (i)]
byte magazine[2]; /* frame << 2 | object; frame 0: none */
bit page_free[NSLABS + 1] = { 0, AT_START(0, 0, 1), AT_START(0, 1, 1) };

/* Who runs on each CPU: every step of another waits. */
byte current[2] = { 0, 2 };
#define ME (current[me_cpu] == _pid)
byte done;

/* What is true: objects that somebody owns, slabs on stacks; and which slabs have had
 * a free object since each process began to look. */
bit owned[(NSLABS + 1) * NO];
bit on_stack[NSLABS + 1] = { 0, AT_START(1, 1, 0), AT_START(1, 0, 0) };
byte watch[NP];

inline own(f, o)
{
	assert(!owned[(f) * NO + (o)]); owned[(f) * NO + (o)] = 1
}

inline disown(f, o)
{
	assert(owned[(f) * NO + (o)]); owned[(f) * NO + (o)] = 0
}

/* The state has been swapped: the slab may have no free object now. */
inline swapped(f)
{
	assert(SEQ(state[f]) < SEQ_MAX);
	if
	:: FREE(state[f]) == 0 ->
		watch[0] = watch[0] & ~(1 << (f));
		watch[1] = watch[1] & ~(1 << (f));
		watch[2] = watch[2] & ~(1 << (f))
	:: else
	fi
}

inline cas(p, old, new)
{
	if
	:: p == old -> p = new; ok = 1
	:: p != old -> ok = 0
	fi
}

/* ---------------------------------------------------------- partial.c */

inline hand_hold(slot, f)
{
	atomic { ME -> HAND(me_cpu, slot) = f }
}

inline hand_open(slot, f)
{
	atomic { ME -> slot = depth[me_cpu] };
	atomic { ME -> assert(slot < SLOTS); depth[me_cpu] = slot + 1 };
	hand_hold(slot, f)
}

inline hand_close(slot)
{
	hand_hold(slot, 0);
	atomic { ME -> depth[me_cpu] = slot; slot = 0 }
}

inline list_push(f, i)
{
	atomic { ME -> nr++ };
	do
	:: atomic { ME -> top = stack[i] };
		atomic { ME -> next[f] = FRAME(top) };
		atomic { ME ->
			assert(top < 4 * SEQ_MAX);
			cas(stack[i], top, RETAGGED(top, f)); top = 0;
			if
			:: ok -> ok = 0; assert(!on_stack[f] && ONLIST(state[f])); on_stack[f] = 1; break
			:: else
			fi
		}
	od
}

/* To f. */
inline list_pop(i, slot)
{
	do
	:: atomic { ME && FRAME(stack[i]) == 0 -> f = 0; break }
	:: atomic { ME && FRAME(stack[i]) != 0 -> top = stack[i]; f = FRAME(top) };
#ifndef BUG_HAND_LATE
		hand_hold(slot, f);
#endif
		atomic { ME -> nx = next[f] };
		atomic { ME ->
			cas(stack[i], top, RETAGGED(top, nx)); top = 0; nx = 0;
			if
			:: ok -> ok = 0; assert(on_stack[f]); on_stack[f] = 0; break
			:: else -> f = 0
			fi
		}
	od;
	if
	:: f != 0 ->
#ifdef BUG_HAND_LATE
		hand_hold(slot, f);
#endif
		atomic { ME -> nr-- }
	:: f == 0
	fi
}

/* ---------------------------------------------------------- slab.c */

/* To n, a[], in slab g; takes them. */
inline slab_get_some(g, max)
{
	atomic { ME -> st = state[g] };
	do
	:: CACHE(st) == 0 || FREE(st) == 0 -> n = 0; break
	:: CACHE(st) == 1 && FREE(st) != 0 ->
		n = (FREE(st) < max -> FREE(st) : max);
		idx = HEAD(st);
		/* chain_prefix */
		do
		:: atomic { ME && i < n ->
				a[i] = idx; idx = LINK(g, idx); i++;
				if
				:: idx == UNMARKED || (idx == NONE && i < FREE(st)) -> idx = UNMARKED; break
				:: else
				fi;
				if
				:: i == n -> break
				:: else
				fi
			}
		od;
		atomic { ME ->
			if
			:: idx == UNMARKED -> cas(state[g], st, STATE(st, NONE, 0, 1, ONLIST(st))); assert(!ok)
			:: else -> nst = STATE(st, idx, FREE(st) - n, 1, ONLIST(st)); cas(state[g], st, nst); nst = 0
			fi;
			idx = 0; i = 0;
			if
			:: ok -> ok = 0;
				own(g, a[0]);
				if
				:: n > 1 -> own(g, a[1])
				:: else
				fi;
				swapped(g); break
			:: else -> st = state[g]; a[0] = 0; a[1] = 0
			fi
		}
	od;
	st = 0
}

/* Off the list if no object is free; to yes. */
inline slab_unlist_if_exhausted(g)
{
#ifdef BUG_UNLIST_STORE
	atomic { ME -> yes = (FREE(state[g]) == 0) };
	if
	:: yes -> atomic { ME -> state[g] = STATE(state[g], NONE, 0, 1, 0) }
	:: !yes
	fi
#else
	atomic { ME -> st = state[g] };
	do
	:: FREE(st) != 0 -> yes = 0; break
	:: atomic { ME && FREE(st) == 0 ->
			cas(state[g], st, STATE(st, NONE, 0, 1, 0)); yes = ok; st = state[g];
			if
			:: ok -> ok = 0; break
			:: else
			fi
		}
	od;
	st = 0
#endif
}

/* To yes. */
inline slab_release_if_empty(g)
{
	atomic { ME -> st = state[g] };
	do
	:: CACHE(st) == 0 || FREE(st) != NO -> yes = 0; break
	:: atomic { ME && CACHE(st) == 1 && FREE(st) == NO ->
			cas(state[g], st, STATE(st, NONE, 0, 0, 0));
			if
			:: ok -> ok = 0; yes = 1;
				assert(!on_stack[g] && !owned[(g) * NO] && !owned[(g) * NO + 1] && !owned[(g) * NO + 2]);
				swapped(g); break
			:: else -> st = state[g]
			fi
		}
	od;
	st = 0;
	if
	:: yes -> atomic { ME -> page_free[g] = 1; LINK(g, 0) = 1; LINK(g, 1) = 0; LINK(g, 2) = 1 } /* others write there */
	:: !yes
	fi
}

/* The swap of slab_put and slab_publish: first .. last are chained, cnt of them. */
inline put_chain(g, first, last, cnt)
{
	hand_open(slot, g);
	atomic { ME -> st = state[g] };
	do
	:: atomic { ME -> LINK(g, last) = (FREE(st) != 0 -> HEAD(st) : NONE) };
		atomic { ME ->
			assert(CACHE(st) == 1 && FREE(st) + cnt <= NO);
#ifdef BUG_PUBLISH_STORE
			if
			:: publishing -> state[g] = STATE(st, first, FREE(st) + cnt, 1, 1); ok = 1
			:: !publishing -> cas(state[g], st, STATE(st, first, FREE(st) + cnt, 1, 1))
			fi;
#else
			nst = STATE(st, first, FREE(st) + cnt, 1, 1); cas(state[g], st, nst); nst = 0;
#endif
			if
			:: ok -> ok = 0;
				disown(g, first);
				if
				:: cnt > 1 -> disown(g, last)
				:: else
				fi;
				break
			:: else -> st = state[g]
			fi
		}
	od;
#ifdef BUG_CLOSE_EARLY
	hand_close(slot);
#endif
	/* list_after_put */
	if
#ifdef BUG_LIST_BY_COUNT
	:: FREE(st) == 0 -> list_push(g, 0)
	:: FREE(st) != 0
#else
	:: !ONLIST(st) -> list_push(g, 0)
	:: ONLIST(st)
#endif
	fi;
#ifndef BUG_CLOSE_EARLY
	hand_close(slot);
#endif
	st = 0
}

/* The n objects a[] of slab h, together or one after the other, in any order. */
inline slab_put()
{
	if
	:: n > 1 ->
		atomic { ME -> LINK(h, a[0]) = a[1] };
		put_chain(h, a[0], a[1], 2)
	:: n > 0 ->
		if
		:: n > 1 -> atomic { idx = a[0]; a[0] = a[1]; a[1] = idx; idx = 0 }
		:: true
		fi;
		do
		:: n > 0 -> put_chain(h, a[n - 1], a[n - 1], 1); n--
		:: n == 0 -> break
		od
	:: n == 0
	fi;
	atomic { n = 0; h = 0; a[0] = 0; a[1] = 0 }
}

/* ---------------------------------------------------------- calls */

inline refill_partial()
{
	do
	:: hand_open(slot2, 0);
		list_pop(0, slot2);
		if
		:: f == 0 -> list_pop(1, slot2)
		:: f != 0
		fi;
		h = f;
		if
		:: h == 0
		:: h != 0 ->
			slab_get_some(h, 2);
			/* partial_relist */
			slab_unlist_if_exhausted(h);
			if
			:: !yes -> list_push(h, 0)
			:: yes
			fi
		fi;
		hand_close(slot2);
		if
		:: atomic { h == 0 || n != 0 -> yes = 0; f = 0; break }
		:: h != 0 && n == 0
		fi
	od
}

inline drop_exhausted(i)
{
	atomic { ME -> f = FRAME(stack[i]) };
	if
	:: f == 0
	:: f != 0 ->
		atomic { ME -> yes = (FREE(state[f]) != 0) };
		if
		:: yes
		:: !yes ->
			hand_open(slot2, 0);
			list_pop(i, slot2);
			if
			:: f == 0
			:: f != 0 ->
				slab_unlist_if_exhausted(f);
				if
				:: !yes -> list_push(f, i)
				:: yes
				fi
			fi;
			hand_close(slot2)
		fi
	fi;
	atomic { f = 0; yes = 0 }
}

/* stacks_version: two loads. */
#define TAG(v) ((v) >> 2)
inline partial_get_one()
{
	do
	:: atomic { ME -> watch[_pid] = (FREE(state[1]) != 0 -> 2 : 0) | (FREE(state[2]) != 0 -> 4 : 0); v0 = TAG(stack[0]) };
		atomic { ME -> v1 = TAG(stack[1]) };
		/* stack_get_one of each */
		k = 0;
		do
		:: k < 2 && n == 0 ->
			atomic { ME -> h = FRAME(stack[k]); steps = 4 };
			do
			:: h != 0 && steps > 0 ->
				slab_get_some(h, 1);
				if
				:: n != 0 -> break
				:: n == 0 -> drop_exhausted(k); atomic { ME -> h = next[h]; steps-- }
				fi
			:: h == 0 || steps == 0 -> break
			od;
			atomic { steps = 0; k++ }
		:: k == 2 || n != 0 -> break
		od;
		/* hands_get_one */
		k = 0;
		do
		:: n == 0 && k < 2 * SLOTS ->
			atomic { ME -> h = hand[k] };
			if
			:: h == 0
			:: h != 0 -> slab_get_some(h, 1)
			fi;
			k++
		:: n != 0 || k == 2 * SLOTS -> break
		od;
		k = 0;
		if
		:: n != 0 -> break
		:: n == 0 ->
#ifdef BUG_ONE_LOOK
			atomic { ME -> assert(watch[_pid] == 0); break }
#else
			if
			:: atomic { ME && TAG(stack[0]) != v0 -> v0 = 0; v1 = 0 }
			:: ME && TAG(stack[0]) == v0;
				if
				:: atomic { ME && TAG(stack[1]) != v1 -> v0 = 0; v1 = 0 }
				:: atomic { ME && TAG(stack[1]) == v1 -> assert(watch[_pid] == 0); break }
				fi
			fi
#endif
		fi
	od;
	atomic { ME -> watch[_pid] = 0; v0 = 0; v1 = 0 }
}

inline refill_new()
{
	if
	:: atomic { ME && page_free[1] -> page_free[1] = 0; h = 1 }
	:: atomic { ME && page_free[2] -> page_free[2] = 0; h = 2 }
	:: ME && !page_free[1] && !page_free[2]
	fi;
	if
	:: h == 0
	:: h != 0 ->
		/* slab_new: whatever was in the page; and a plain store. */
		atomic { ME -> LINK(h, 0) = UNMARKED; LINK(h, 1) = UNMARKED; LINK(h, 2) = UNMARKED; own(h, 0); own(h, 1); own(h, 2) };
		atomic { ME -> st = state[h] };
		atomic { ME -> state[h] = STATE(st, NONE, 0, 1, 0); st = 0; swapped(h) };
		/* keep_new */
		kept = 1;
		if
		:: atomic { ME && magazine[me_cpu] == 0 -> magazine[me_cpu] = h << 2 | 1; kept = 2 }
		:: ME && magazine[me_cpu] != 0
		fi;
		/* slab_publish of kept .. 2 */
		if
		:: kept == 1 -> atomic { ME -> LINK(h, 1) = 2 }
		:: kept == 2
		fi;
#ifdef BUG_PUBLISH_STORE
		publishing = 1;
#endif
		put_chain(h, kept, 2, NO - kept);
		publishing = 0;
		atomic { kept = 0; n = 1; a[0] = 0 }
	fi
}

inline stack_trim(from)
{
	hand_open(slot2, 0);
	atomic { ME -> steps = nr };
	do
	:: steps > 0 ->
#ifndef BUG_TRIM_ENDLESS
		steps--;
#endif
		list_pop(from, slot2);
		if
		:: f == 0 -> break
		:: f != 0 ->
			slab_release_if_empty(f);
			if
			:: yes
			:: !yes ->
				slab_unlist_if_exhausted(f);
				if
				:: yes
				:: !yes -> list_push(f, 1 - from)
				fi
			fi;
			hand_hold(slot2, 0)
		fi
	:: steps == 0 -> break
	od;
	hand_close(slot2);
	atomic { steps = 0; f = 0; yes = 0 }
}

/* Nobody is at work: objects are in magazines or free, and slabs where they are found. */
inline at_rest()
{
	assert(!depth[0] && !depth[1] && !hand[0] && !hand[1] && !hand[2] && !hand[3]);
	assert(nr == on_stack[1] + on_stack[2]);
	f = 1;
	do
	:: f <= NSLABS ->
		assert(page_free[f] == (CACHE(state[f]) == 0));
		assert(on_stack[f] == ONLIST(state[f]));
		assert(page_free[f] || FREE(state[f]) == 0 || on_stack[f]);
		n = owned[f * NO] + owned[f * NO + 1] + owned[f * NO + 2];
		assert(page_free[f] || n + FREE(state[f]) == NO);
		assert(n == (magazine[0] >> 2 == f) + (magazine[1] >> 2 == f));
		f++
	:: else -> break
	od
}

active [NP] proctype call()
{
	byte ops = OPS_OF(_pid), me_cpu = CPU_OF(_pid), before, op;
	byte a[2], n, h, f, i, k, idx, slot, slot2, steps, nx, kept, v0, v1;
	short st, nst, top;
	bit ok, yes, publishing;

	atomic {
		ME || DEPTH_OF(current[me_cpu]) < DEPTH_OF(_pid);
		before = current[me_cpu]; current[me_cpu] = _pid
	};
	do
	:: ops != 0 -> atomic { op = ops & 7; ops = ops >> 3 };
		if
		:: op == REFILL -> refill_partial()
		:: op == GET_ONE -> partial_get_one()
		:: op == NEW -> refill_new()
		:: op == POP ->
			atomic { ME ->
				if
				:: magazine[me_cpu] -> h = magazine[me_cpu] >> 2; a[0] = magazine[me_cpu] & 3; n = 1; magazine[me_cpu] = 0
				:: else
				fi
			}
		:: op == TRIM -> stack_trim(1); stack_trim(0)
		fi;
		op = 0;
		/* The user writes to his objects. */
		if
		:: n == 0
		:: n == 1 -> atomic { ME -> LINK(h, a[0]) = UNMARKED }
		:: n == 2 -> atomic { ME -> LINK(h, a[0]) = UNMARKED; LINK(h, a[1]) = UNMARKED }
		fi;
		slab_put()
	:: ops == 0 -> break
	od;
	op = 0; /* no jump goes into a d_step */
	d_step {
		ME;
		done++;
		if
		:: done == NP -> at_rest()
		:: else
		fi;
		current[me_cpu] = before; before = 0
	}
}
