/*
 * magazine.pml - model of the restartable sequences of arch/local.h, as magazine.c
 * uses them: local_pop (local_pop_marked is alike), local_push, local_pop_many,
 * local_push_many (so local_push_run), local_move. For spin; tools/model.py runs it.
 *
 * Models arch/x86_64/include/arch/local.h: local_pop, local_push, local_pop_many,
 * local_push_many, local_move; mm/magazine.c: magazine_close, magazine_open;
 * arch/x86_64/rseq.c: rseq_fixup.
 *
 * Not modelled: the marks in free objects, setting a magazine up, looks from outside, how
 * many a flush takes at most (as many as there are when it begins). A restarted call is over
 * here; in the code it tries again, as another call here does.
 *
 * One CPU, three levels: a thread, an interrupt, an NMI. Each does calls of any
 * sort; one of a higher level begins at any step of a lower one and runs to its
 * end. On its way out rseq_fixup sends the sequence that it interrupted back. A
 * step is one instruction that touches memory.
 *
 * Checked: an object is in one place only (take, put), none is lost (at_rest), the
 * slots from floor to top hold objects and the one below floor the bottom at any
 * time (WHOLE), and a magazine that was interrupted while it was being closed is
 * either closed or open.
 *
 * Bounds: a magazine for 3 objects, 4 objects, 3 calls at each level, or 2 (CFG, CALLS).
 */

#define SLOTS 5 /* slot 0 is below all floors; the last is end[-1] */
#define FLOOR 2
#define END SLOTS
#define OBJECTS 4
#if CFG == 1
#define CALLS 3
#else
#define CALLS 2
#endif

/* Slots hold an object's number from 1, or 0 for the bottom. */
byte slot[SLOTS];
byte top = FLOOR;
byte level;         /* who runs */
bit inside[3];      /* the level's RIP is inside a sequence, past its first instruction */
bit sent_back[3];   /* rseq_fixup has changed its RIP */
bit in_hand[OBJECTS + 1]; /* somebody's own; else in the magazine */
byte finished, kept;

/* Between any two instructions. */
#define CLOSED (top == END && slot[END - 1] == 0)
#define WHOLE (slot[FLOOR - 1] == 0 && top >= FLOOR && top <= END && \
	       (CLOSED || ((top <= FLOOR || slot[FLOOR] != 0) && (top <= FLOOR + 1 || slot[FLOOR + 1] != 0) && \
			   (top <= FLOOR + 2 || slot[FLOOR + 2] != 0))))
#define ME (level == _pid)

/* The next instruction of a sequence: not if we were sent back. */
#define NEXT ME && !sent_back[_pid]
inline first_instruction()
{
	t = top; inside[_pid] = 1
}
inline commit()
{
	inside[_pid] = 0; assert(WHOLE)
}
#define RESTARTED atomic { ME && sent_back[_pid] -> sent_back[_pid] = 0; inside[_pid] = 0; t = 0; p = 0; i = 0; went = 0 }

inline take(o)
{
	assert(o != 0 && !in_hand[o]); in_hand[o] = 1
}
inline put(o)
{
	assert(in_hand[o]); in_hand[o] = 0
}

/* went: how many; the objects are mine[] from `have` on. */
inline local_pop_many(max)
{
	atomic { ME -> first_instruction() };
	do
	:: atomic { NEXT && i < max ->
			p = slot[t - 1];
			if
			:: p == 0 -> went = 1
			:: else -> got[i] = p; t--; i++
			fi
		};
		if
		:: went || i == max -> break
		:: else
		fi
	:: RESTARTED; goto gone
	od;
	if
	:: atomic { NEXT ->
			top = t; t = 0; p = 0; went = 0;
			do
			:: i > 0 -> i--; take(got[i]); mine[have] = got[i]; got[i] = 0; have++
			:: else -> break
			od;
			commit()
		}
	:: RESTARTED
	fi
}

inline local_push_many(n)
{
	atomic { ME -> first_instruction() };
	do
	:: atomic { NEXT && i < n ->
			if
			:: t == END -> went = 1
			:: else -> slot[t] = mine[have - 1 - i]; t++; i++
			fi
		};
		if
		:: went || i == n -> break
		:: else
		fi
	:: RESTARTED; goto gone
	od;
	if
	:: atomic { NEXT ->
			top = t; t = 0; went = 0;
			do
			:: i > 0 -> i--; have--; put(mine[have]); mine[have] = 0
			:: else -> break
			od;
			commit()
		}
	:: RESTARTED
	fi
}

inline local_pop()
{
	atomic { ME -> first_instruction() };
	if
	:: atomic { NEXT -> p = slot[t - 1] };
		if
		:: p == 0 -> /* refused */
			if
			:: atomic { NEXT -> inside[_pid] = 0; t = 0 }
			:: RESTARTED
			fi
		:: p != 0 ->
			if
			:: atomic { NEXT -> top = top - 1; take(p); mine[have] = p; have++; p = 0; t = 0; commit() }
			:: RESTARTED
			fi
		fi
	:: RESTARTED
	fi
}

inline local_push()
{
	atomic { ME -> first_instruction() };
	if
	:: atomic { t == END && NEXT -> inside[_pid] = 0; t = 0 } /* refused */
#ifdef BUG_TOP_FIRST
	:: atomic { t != END && NEXT -> inside[_pid] = 0; top = top + 1; have--; put(mine[have]) };
		atomic { ME -> slot[t] = mine[have]; mine[have] = 0; t = 0 }
#else
	:: atomic { t != END && NEXT -> slot[t] = mine[have - 1] };
		if
		:: atomic { NEXT -> top = top + 1; have--; put(mine[have]); mine[have] = 0; t = 0; commit() }
		:: RESTARTED
		fi
#endif
	:: RESTARTED
	fi
}

/* clear: magazine_close; else magazine_open. The first instruction compares. */
inline local_move(from, to, clear)
{
	if
#ifdef BUG_CLOSE_ANYHOW
	:: atomic { ME -> inside[_pid] = 1 };
#else
	:: ME && top != from
	:: atomic { ME && top == from -> inside[_pid] = 1 };
#endif
		if
		:: !clear
		:: clear ->
			if
			:: atomic { NEXT -> slot[END - 1] = 0 }
			:: RESTARTED; goto gone
			fi
		fi;
		if
#ifdef BUG_OPEN_ANYHOW
		:: atomic { NEXT };
#else
		:: atomic { NEXT && slot[END - 1] != 0 -> inside[_pid] = 0 }
		:: atomic { NEXT && slot[END - 1] == 0 };
#endif
			if
			:: atomic { NEXT -> top = to; commit() }
			:: RESTARTED
			fi
		:: RESTARTED
		fi
	fi
}

active [3] proctype context()
{
	byte mine[OBJECTS], got[2], have, t, p, i, calls, before;
	bit went;

	atomic {
		(_pid == 0 -> ME : level < _pid);
		before = level; level = _pid;
		if
		:: _pid == 0 -> /* two objects in the magazine, two in hand */
			slot[FLOOR] = 1; slot[FLOOR + 1] = 2; top = FLOOR + 2;
			mine[0] = 3; mine[1] = 4; have = 2; in_hand[3] = 1; in_hand[4] = 1
		:: else
		fi;
		calls = CALLS
	};
	do
	:: calls > 0 ->
		if
		:: local_pop()
		:: local_pop_many(2)
		:: have > 0 -> local_push()
		:: have > 1 -> local_push_many(2)
		:: local_move(FLOOR, END, 1)
		:: local_move(END, FLOOR, 0)
		fi;
gone:
		calls--
	:: calls == 0 -> break
	od;
	atomic {
		ME;
		/* All that it has in hand is its own. */
		do
		:: have > 0 -> have--; assert(in_hand[mine[have]]); in_hand[mine[have]] = 0; kept++; mine[have] = 0
		:: else -> break
		od;
		finished++;
#ifndef BUG_NO_FIXUP
		/* rseq_fixup, for the level below */
		if
		:: before != _pid && inside[before] -> sent_back[before] = 1
		:: else
		fi;
#endif
		/* At rest: all are in the magazine, or were kept. */
		if
		:: finished == 3 -> assert(WHOLE && kept + (CLOSED -> 0 : top - FLOOR) == OBJECTS)
		:: else
		fi;
		level = before
	}
}
