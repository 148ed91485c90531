/*
 * words.pml - model of the free map: words.c, lines.c, and the way of search.c and
 * page.c through it. For spin; tools/model.py runs it, docs/verification.md says
 * what was found.
 *
 * Models mm/words.c: word_resolve, word_peek, words_look_full, word_take, give_bits,
 * give_hints, attempt_begin, words_take; mm/lines.c: line_word_free, line_join, line_take,
 * line_split, hint_begin, hint_end, hint_busy, hint_version, hint_set, line_has,
 * hint_recheck; mm/search.c: take_in_line, search_hinted, search_whole, search_unhinted,
 * take_last_look, line_looks_free, line_has_block, page_find_free; mm/page.c: take_any.
 *
 * Not modelled: private pages (page_fast.h, private_set in page.c: each is one unlocked
 * cmpxchg of a word of the CPU's own, and what goes to or comes from the map does as here),
 * word_take_all (word_take with another mask), line_page (line_take's FREE -> TAKEN), arenas
 * and nodes (where a search begins), tight mode, reclaim, that hint_next reads 64 hints
 * at once, and hints_clear (who calls it owns all of the line's pages).
 *
 * Each process makes calls: it takes a block as page.c's take_any does (or, LIGHT,
 * as one search_range without force), and gives it back. A process of depth 1 or 2
 * interrupts one of lesser depth of its CPU at any step, and runs to its end while
 * that one stands still. A step is one access to shared memory, with what the CPU
 * computes from it; each inline has the name of the function that it models.
 *
 * Memory is sequentially consistent here. It is enough for x86: all changes of
 * words, lines, hints and status but line_join's are locked instructions, and
 * between line_join's stores and the next locked instruction of that CPU, the
 * words are its own.
 *
 * Checked, besides the assertions in the text:
 *  - each page has one owner at most: ghost_take, ghost_give
 *  - after each commit the map says exactly which pages are free: MAP_IS_TRUE
 *  - no call says "none left" if one and the same block was free from the
 *    beginning of its last look to the end: judge
 *  - at rest all pages are free, the hints name them, nobody is counted: at_rest
 *  - with -DNP: no cycle, so no call is kept for ever while the others stand still
 *    or run; and no sequence wraps within the bounds (assert in next_seq)
 *
 * Bounds: by configuration (CFG), below. FORCED_TRIES is 1 to 3 (the code has 1000), and
 * page.c's look again until they are sure (the code 16 times, then counts it as spurious); a
 * call that others undid so often is not judged.
 */

/* ---------------------------------------------------------- configurations */

#define PAGE_ 1 /* order 0 */
#define WORD_ 2 /* order 5 */
#define WORDS_ 3 /* orders 6 to 8 */
#define LINE_ 4 /* order 9 */
#define PAIR_ 5 /* order 10 */
#define RECHECK_ 6 /* only a search's last step: hint_recheck of HINT_ANY */
#define SOME_ 7 /* any of CHOICE */
#define LIGHT 8 /* page_alloc_light: not forced, may fail */
#define KEEP 16 /* give it back at the end only */
#define SCRIPT(a, b, c) ((a) | (b) << 5 | (c) << 10)

#if CFG == 1 /* a split line, words and pages, nesting and a second CPU */
#define NP 3
#define NL 1
#define LW 2
#define WP 2
#define CPU_OF(p) ((p) == 2 -> 1 : 0)
#define DEPTH_OF(p) ((p) == 1 -> 1 : 0)
#define CHOICE(o) :: o = PAGE_ :: o = WORDS_
#define OPS_OF(p) SCRIPT(SOME_, 0, 0)
#define PID_CPU1 2
#define LINE_START LINE_SPLIT
#define UNHINTED
#elif CFG == 2 /* lines joined, split and given back */
#define NP 3
#define NL 1
#define LW 2
#define WP 1
#define CPU_OF(p) ((p) == 2 -> 1 : 0)
#define DEPTH_OF(p) ((p) == 1 -> 1 : 0)
#define CHOICE(o) :: o = PAGE_ :: o = LINE_
#define OPS_OF(p) SCRIPT(SOME_, 0, 0)
#define PID_CPU1 2
#define LINE_START LINE_FREE
#define UNHINTED
#elif CFG == 3 /* two lines, and both as one block */
#define NP 3
#define NL 2
#define LW 1
#define WP 1
#define CPU_OF(p) ((p) == 2 -> 1 : 0)
#define DEPTH_OF(p) ((p) == 1 -> 1 : 0)
#define CHOICE(o) :: o = PAGE_ :: o = LINE_
#define OPS_OF(p) SCRIPT(((p) == 0 -> PAIR_ : SOME_), 0, 0)
#define PID_CPU1 2
#define LINE_START LINE_FREE
#define UNHINTED
#elif CFG == 4 /* three levels on one CPU */
#define NP 3
#define NL 1
#define LW 2
#define WP 1
#define CPU_OF(p) 0
#define DEPTH_OF(p) (p)
#define CHOICE(o) :: o = WORD_ :: o = WORDS_ :: o = LINE_
#define OPS_OF(p) SCRIPT(SOME_, ((p) < 2 -> SOME_ : 0), 0)
#define PID_CPU1 0
#define LINE_START LINE_SPLIT
#define UNHINTED
#elif CFG == 7 /* a line of two pairs of words: attempts beside a committed one */
#define NP 3
#define NL 1
#define LW 4
#define WP 1
#define CPU_OF(p) ((p) == 2 -> 1 : 0)
#define DEPTH_OF(p) ((p) == 1 -> 1 : 0)
#define CHOICE(o) :: o = PAGE_ :: o = WORDS_
#define OPS_OF(p) SCRIPT(((p) == 1 -> WORDS_ : SOME_), 0, 0)
#define PID_CPU1 2
#define LINE_START LINE_SPLIT
#define UNHINTED
#elif CFG == 8 /* calls and nested calls on both CPUs */
#define NP 4
#define NL 1
#define LW 2
#define WP 1
#define CPU_OF(p) ((p) / 2)
#define DEPTH_OF(p) ((p) & 1)
#define CHOICE(o) :: o = WORDS_
#define OPS_OF(p) ((p) < 2 -> SCRIPT(WORDS_, 0, 0) : SCRIPT(((p) == 2 -> WORDS_ : PAGE_) | LIGHT, 0, 0))
#define PID_CPU1 2
#define LINE_START LINE_SPLIT
#define UNHINTED
#define FORCED_TRIES 1
#elif CFG == 9 /* three CPUs */
#define NP 3
#define NL 1
#define LW 2
#define WP 1
#define NCPU 3
#define CPU_OF(p) (p)
#define DEPTH_OF(p) 0
#define CHOICE(o) :: o = PAGE_ :: o = WORDS_
#define OPS_OF(p) SCRIPT(((p) == 0 -> SOME_ : WORDS_), 0, 0)
#define PID_CPU1 1
#define LINE_START LINE_SPLIT
#define UNHINTED
#define FORCED_TRIES 2
#elif CFG == 6 /* a look for a line; on the other CPU pages and words go and come */
#define NP 3
#define NL 1
#define LW 1
#define WP 2
#define CPU_OF(p) ((p) == 0 -> 0 : 1)
#define DEPTH_OF(p) ((p) == 2 -> 1 : 0)
#define CHOICE(o) :: o = PAGE_ :: o = WORD_ :: o = LINE_
#define OPS_OF(p) ((p) == 0 -> SCRIPT(LINE_, 0, 0) : SCRIPT(SOME_ | LIGHT, 0, 0))
#define PID_CPU1 1
#define LINE_START LINE_SPLIT
#else /* 5: a look on one CPU; on the other, hints that go and come */
#define NP 4
#define NL 1
#define LW 1
#define WP 2
#define CPU_OF(p) ((p) == 0 -> 0 : 1)
#define DEPTH_OF(p) ((p) == 0 -> 0 : (p) - 1)
#define CHOICE(o) :: o = PAGE_
#define OPS_OF(p) \
	((p) == 3 -> SCRIPT(PAGE_ | LIGHT | KEEP, LINE_ | LIGHT, 0) : \
	 ((p) == 0 -> SCRIPT(PAGE_, 0, 0) : ((p) == 1 -> SCRIPT(RECHECK_, 0, 0) : SCRIPT(PAGE_ | LIGHT, 0, 0))))
#define PID_CPU1 1
#define LINE_START LINE_FREE
#endif

#ifndef FORCED_TRIES
#define FORCED_TRIES 3
#endif
#define NW (NL * LW)
#ifndef NCPU
#define NCPU 2
#endif
#define SEQ_MAX 15

/* ---------------------------------------------------------- shared memory */

/* A word: map 2 bits, owner of the tag 2 (3), its sequence 4. */
#define FULL ((1 << WP) - 1)
#define ALL ((1 << (NW * WP)) - 1)
#define MAP(v) ((v) & 3)
#if NCPU > 2
#define WORD_TYPE short
#define TAG_WHOLE 4
#define OWNER(v) ((v) >> 2 & 7)
#define SEQ(v) ((v) >> 5)
#define WTAG(o, s) ((o) << 2 | (s) << 5)
#else
#define WORD_TYPE byte
#define TAG_WHOLE 3
#define OWNER(v) ((v) >> 2 & 3)
#define SEQ(v) ((v) >> 4)
#define WTAG(o, s) ((o) << 2 | (s) << 4)
#endif
#ifdef BUG_NO_SEQ
#define HTAG(o, s) WTAG(o, 0)
#else
#define HTAG(o, s) WTAG(o, s)
#endif
#ifdef BUG_WHOLE_NO_SEQ
#define LTAG(s) WTAG(TAG_WHOLE, 0)
#else
#define LTAG(s) WTAG(TAG_WHOLE, s)
#endif

#define LINE_SPLIT 0
#define LINE_FREE 1
#define LINE_TAKEN 2
#define STATE(l) ((l) & 3)
#define LSEQ(l) ((l) >> 2)

#define IDLE 0
#define UNDECIDED 1
#define SUCCESS 2
#define FAILED 3

#define HINT_ANY 0
#define HINT_WORD 1
#define HINT_LINE 2
#define HINT(h, l) hint[(h) * NL + (l)]

WORD_TYPE word[NW] = (LINE_START == LINE_FREE -> WTAG(TAG_WHOLE, 0) : FULL);
byte line[NL] = LINE_START;
byte status[NCPU];
byte hold_first[NCPU], hold_n[NCPU]; /* struct hold's words */
bit hint[3 * NL] = 1; /* a hint too many costs only time */
byte hint_work[NCPU]; /* the half that counts who is at it */
bit begun[NCPU]; /* the other half, which counts who began, has changed since process 0 read it */

/* Who runs on each CPU: every step of another waits. */
#define ME (current[me_cpu] == _pid)
#if NCPU > 2
byte current[NCPU] = { 0, PID_CPU1, 2 };
#else
byte current[NCPU] = { 0, PID_CPU1 };
#endif
byte done;

/* What is true: which pages are free; and which of them have been so since each
 * process began to look. */
byte is_free = ALL;
byte watch[NP];

/* ---------------------------------------------------------- what is checked */

/* hold_state, line_word_free, word_peek: of a word's value v that has a tag. */
#ifdef BUG_NO_SEQ
#define HOLD_SAME(v, st) true
#else
#define HOLD_SAME(v, st) ((st) >> 2 == SEQ(v))
#endif
#ifdef BUG_WHOLE_NO_SEQ
#define LINE_WORD_FREE(w, v) (STATE(line[(w) / LW]) == LINE_SPLIT)
#else
#define LINE_WORD_FREE(w, v) (STATE(line[(w) / LW]) == LINE_SPLIT && LSEQ(line[(w) / LW]) == SEQ(v))
#endif
#define HOLD_TAKEN(v) (HOLD_SAME(v, status[OWNER(v) - 1]) && (status[OWNER(v) - 1] & 3) == SUCCESS)
#define PEEK_TAGGED(w, v) \
	(OWNER(v) == TAG_WHOLE -> (LINE_WORD_FREE(w, v) -> FULL : 0) : (HOLD_TAKEN(v) -> 0 : MAP(v)))
#ifdef BUG_HELD_IS_TAKEN
#define LOOKS(w, v) (OWNER(v) == TAG_WHOLE -> PEEK_TAGGED(w, v) : 0)
#else
#define LOOKS(w, v) PEEK_TAGGED(w, v)
#endif

#define TRUTH(w) \
	(STATE(line[(w) / LW]) == LINE_FREE -> FULL : \
	 (OWNER(word[w]) == 0 -> MAP(word[w]) : PEEK_TAGGED(w, word[w])))
#if NL * LW == 1
#define MAP_IS_TRUE (is_free == TRUTH(0))
#elif NL * LW == 2
#define MAP_IS_TRUE (is_free == (TRUTH(0) | TRUTH(1) << WP))
#else
#define MAP_IS_TRUE (is_free == (TRUTH(0) | TRUTH(1) << WP | TRUTH(2) << 2 * WP | TRUTH(3) << 3 * WP))
#endif

inline ghost_take(m)
{
	assert((is_free & (m)) == (m));
	is_free = is_free & ~(m);
	watch[0] = watch[0] & ~(m);
	watch[1] = watch[1] & ~(m);
	watch[2] = watch[2] & ~(m);
#if NP > 3
	watch[3] = watch[3] & ~(m);
#endif
	assert(MAP_IS_TRUE)
}

inline ghost_give(m)
{
	assert((is_free & (m)) == 0);
	is_free = is_free | (m);
	assert(MAP_IS_TRUE)
}

#define W_MASK(w, n) (((1 << ((n) * WP)) - 1) << ((w) * WP))
#define WATCHED(w, n) ((watch[_pid] & W_MASK(w, n)) == W_MASK(w, n))
/* With two or four words of lines as above. */
inline judge()
{
	if
	:: order == PAGE_ -> assert(watch[_pid] == 0)
	:: order == WORD_ -> assert(!WATCHED(0, 1) && !WATCHED(1, 1))
	:: order == WORDS_ || order == PAIR_ -> assert(!WATCHED(0, 2) && !(NW == 4 && WATCHED(2, 2)))
	:: order == LINE_ -> assert(!WATCHED(0, LW) && !WATCHED(NW - LW, LW))
	fi
}

inline at_rest()
{
	assert(is_free == ALL && MAP_IS_TRUE);
	assert((status[0] & 3) == IDLE || (status[0] & 3) == FAILED);
	assert((status[1] & 3) == IDLE || (status[1] & 3) == FAILED);
#if NCPU > 2
	assert((status[2] & 3) == IDLE || (status[2] & 3) == FAILED);
#endif
	assert(!hint_work[0] && !hint_work[1]);
	l = 0;
	do
	:: l < NL ->
#ifndef UNHINTED
		assert(HINT(HINT_LINE, l));
		assert(STATE(line[l]) == LINE_FREE || (HINT(HINT_WORD, l) && HINT(HINT_ANY, l)));
#endif
		l++
	:: else -> break
	od
}

/* ---------------------------------------------------------- the functions */

inline cas(p, old, new)
{
	if
	:: p == old -> p = new; ok = 1
	:: p != old -> ok = 0
	fi
}

inline hint_begin()
{
#ifdef UNHINTED
	skip
#else
	atomic { ME -> hint_work[me_cpu] = hint_work[me_cpu] + 1; begun[me_cpu] = 1 }
#endif
}

inline hint_end()
{
#ifdef UNHINTED
	skip
#else
	atomic { ME -> hint_work[me_cpu] = hint_work[me_cpu] - 1 }
#endif
}

inline hint_set(h, l)
{
#ifdef UNHINTED
	skip
#else
	if
	:: ME && HINT(h, l)
	:: ME && !HINT(h, l);
		atomic { ME -> HINT(h, l) = 1 }
	fi
#endif
}

/* To map; one or two steps. */
inline word_peek(w)
{
	if
	:: atomic { ME && OWNER(word[w]) == 0 -> map = word[w] }
	:: atomic { ME && OWNER(word[w]) != 0 -> pv = word[w] };
		atomic { ME -> map = LOOKS(w, pv); pv = 0 }
	fi
}

/* To yes. */
inline words_look_full(f, cnt)
{
	do
	:: atomic {
		ME && OWNER(word[f + j]) == 0 -> yes = (word[f + j] == FULL); j++;
		if
		:: !yes || j == cnt -> j = 0; break
		:: else
		fi
	}
	:: atomic { ME && OWNER(word[f + j]) != 0 -> pv = word[f + j] };
		atomic {
			ME -> yes = (LOOKS(f + j, pv) == FULL); pv = 0; j++;
			if
			:: !yes || j == cnt -> j = 0; break
			:: else
			fi
		}
	od
}

/* To yes: line_peek(line) == LINE_FREE || words_look_full(...) */
inline line_looks_free(l)
{
	if
	:: atomic { ME && STATE(line[l]) == LINE_FREE -> yes = 1 }
	:: ME && STATE(line[l]) != LINE_FREE;
		words_look_full((l) * LW, LW)
	fi
}

/* To yes: is there what the hint says? */
inline line_has(h, l)
{
	if
	:: h == HINT_LINE -> line_looks_free(l)
	:: h != HINT_LINE ->
		do
		:: word_peek((l) * LW + k);
			atomic {
				yes = (h == HINT_WORD -> map == FULL : map != 0); map = 0; k++;
				if
				:: yes || k == LW -> k = 0; break
				:: else
				fi
			}
		od
	fi
}

inline hint_recheck(h, l)
{
#ifdef UNHINTED
	skip
#else
	line_has(h, l);
	if
	:: yes -> yes = 0
	:: !yes ->
		hint_begin();
		atomic { ME -> HINT(h, l) = 0 };
#ifndef BUG_NO_RECHECK
		line_has(h, l);
		if
		:: yes -> hint_set(h, l)
		:: !yes
		fi;
#endif
		hint_end();
		yes = 0
	fi
#endif
}

/* To busy. */
inline hint_busy()
{
#ifdef UNHINTED
	busy = 1
#else
	if
	:: atomic { ME && hint_work[0] != 0 -> busy = 1 }
	:: ME && hint_work[0] == 0;
		atomic { ME -> busy = (hint_work[1] != 0) }
	fi
#endif
}

/* To rv, with its tag if one is left. */
inline word_resolve(w)
{
	do
	:: atomic { ME && OWNER(word[w]) == 0 -> rv = word[w]; break }
	:: atomic { ME && OWNER(word[w]) == TAG_WHOLE -> rv = word[w] };
		if
		:: ME && LINE_WORD_FREE(w, rv);
			atomic { ME -> cas(word[w], rv, FULL); rv = 0; ok = 0 }
		:: atomic { ME && !LINE_WORD_FREE(w, rv) -> break }
		fi
	:: atomic { ME && OWNER(word[w]) != 0 && OWNER(word[w]) != TAG_WHOLE -> rv = word[w] };
		if
		:: atomic { ME && HOLD_SAME(rv, status[OWNER(rv) - 1]) && (status[OWNER(rv) - 1] & 3) == UNDECIDED ->
				rs = status[OWNER(rv) - 1];
				if
#ifdef BUG_PASS_HELD
				:: true -> rs = 0; break
#else
				:: light -> rs = 0; break
				:: else
#endif
				fi
			};
#ifdef BUG_UNDO_WORD_ONLY
			atomic { ME -> cas(word[w], rv, FULL); rv = 0; rs = 0; ok = 0 }
#else
			atomic { ME -> cas(status[OWNER(rv) - 1], rs, ((rs & ~3) | FAILED)); rv = 0; rs = 0; ok = 0 }
#endif
		:: ME && HOLD_TAKEN(rv);
#ifdef BUG_TAKEN_SET_FREE
			atomic { ME -> cas(word[w], rv, FULL); rv = 0; ok = 0 }
#else
			atomic { ME -> cas(word[w], rv, 0); rv = 0; ok = 0 }
#endif
		:: ME && !HOLD_TAKEN(rv) && !(HOLD_SAME(rv, status[OWNER(rv) - 1]) && (status[OWNER(rv) - 1] & 3) == UNDECIDED);
			atomic { ME -> cas(word[w], rv, FULL); rv = 0; ok = 0 }
		fi
	od
}

/* find_run: the first page, or the whole word. */
#define RUN(v) (order == WORD_ -> ((v) == FULL -> FULL : 0) : ((v) & 1 -> 1 : ((v) & 2 -> 2 : 0)))

/* To got and pos. */
inline word_take(w)
{
	do
	:: word_resolve(w);
		if
		:: atomic { OWNER(rv) != 0 || RUN(rv) == 0 -> rv = 0; break }
		:: atomic { ME && OWNER(rv) == 0 && RUN(rv) != 0 ->
				map = RUN(rv);
#ifdef BUG_TAKE_STORE
				word[w] = rv & ~map; ok = 1;
#else
				cas(word[w], rv, (rv & ~map));
#endif
				if
				:: ok -> ok = 0; got = 1;
					pos = (order == WORD_ -> w : (w) * WP + (rv & 1 -> 0 : 1));
					ghost_take(map << ((w) * WP)); map = 0; rv = 0; break
				:: else -> rv = 0; map = 0
				fi
			}
		fi
	od
}

/* Step 3 of a committed attempt, or giving up what it holds. */
inline set_held(f, cnt, tag, to)
{
	do
	:: atomic { ME && c < cnt -> cas(word[f + c], (FULL | tag), to); ok = 0; c++ }
	:: atomic { c >= cnt -> c = 0; break }
	od
}

#define MY_TAG(st) HTAG(me_cpu + 1, (st) >> 2)

/* To st. */
inline attempt_begin()
{
	do
	:: atomic { ME && (status[me_cpu] & 3) == UNDECIDED -> st = status[me_cpu] };
		atomic { ME -> cas(status[me_cpu], st, ((st & ~3) | FAILED)); ok = 0; st = 0 }
	:: atomic { ME && (status[me_cpu] & 3) != UNDECIDED -> st = status[me_cpu] };
#ifdef BUG_WORDS_BEFORE_CLEAN
		atomic { ME -> hold_first[me_cpu] = first; hold_n[me_cpu] = n };
#endif
#ifndef BUG_NO_CLEAN
		if
		:: (st & 3) == SUCCESS ->
			atomic { ME -> cf = hold_first[me_cpu] };
			atomic { ME -> cn = hold_n[me_cpu] };
			set_held(cf, cn, MY_TAG(st), 0);
			atomic { cf = 0; cn = 0 }
		:: (st & 3) != SUCCESS
		fi;
#endif
		/* One store in the code. */
		atomic { ME -> hold_first[me_cpu] = first; hold_n[me_cpu] = n };
		atomic {
			ME -> assert(st >> 2 < SEQ_MAX); /* next_seq: does not wrap */
			cas(status[me_cpu], st, (((st >> 2) + 1) << 2 | UNDECIDED));
			if
			:: ok -> ok = 0; st = ((st >> 2) + 1) << 2 | UNDECIDED; break
			:: else -> st = 0
			fi
		}
	od
}

/* words first to first + n - 1; to got. */
inline words_take()
{
	tries = (light -> 1 : FORCED_TRIES);
	do
	:: attempt_begin();
		do
		:: word_resolve(first + i);
			if
			:: atomic { rv != FULL -> rv = 0; break }
			:: atomic { ME && rv == FULL ->
					rv = 0;
					cas(word[first + i], FULL, (FULL | MY_TAG(st)));
					if
					:: !ok -> break
					:: else -> ok = 0; i++
					fi;
#ifdef BUG_COMMIT_EARLY
					if
					:: i == n - 1 -> cas(status[me_cpu], st, ((st & ~3) | SUCCESS)); ok = 0
					:: else
					fi;
#endif
					if
					:: i == n -> break
					:: else
					fi
				}
			fi
		od;
		if
		:: atomic { ME && i == n ->
#ifdef BUG_COMMIT_STORE
				status[me_cpu] = (st & ~3) | SUCCESS; ok = 1;
#elif defined(BUG_COMMIT_EARLY)
				ok = (status[me_cpu] == ((st & ~3) | SUCCESS));
#else
				cas(status[me_cpu], st, ((st & ~3) | SUCCESS));
#endif
				if
				:: ok -> ghost_take(W_MASK(first, n))
				:: else
				fi
			}
		:: atomic { i != n -> ok = 0 }
		fi;
		if
		:: atomic { ok -> ok = 0; i = 0; tries = 0 };
			set_held(first, n, MY_TAG(st), 0);
			atomic { ME -> cas(status[me_cpu], ((st & ~3) | SUCCESS), ((st & ~3) | IDLE)); ok = 0; got = 1; pos = first; st = 0; break }
		:: !ok ->
			atomic { ME -> cas(status[me_cpu], st, ((st & ~3) | FAILED)); ok = 0 };
			set_held(first, i, MY_TAG(st), FULL);
			st = 0;
			if
			:: atomic { tries == 1 -> undone = !light; tries = 0; i = 0; break }
			:: atomic { tries > 1 && i == n -> tries--; i = 0 }
			:: atomic { tries > 1 && i != n -> tries--; i = 0 };
				words_look_full(first, n);
				if
				:: yes
				:: atomic { !yes -> tries = 0; break }
				fi
			fi
		fi
	od
}

inline line_split(l)
{
	if
	:: ME && STATE(line[l]) != LINE_FREE
	:: atomic { ME && STATE(line[l]) == LINE_FREE -> lv = line[l] };
#ifndef BUG_SPLIT_NOT_COUNTED
		hint_begin();
#endif
		atomic { ME -> cas(line[l], lv, ((lv & ~3) | LINE_SPLIT)); lv = 0; assert(MAP_IS_TRUE) };
		if
		:: atomic { ok -> ok = 0 };
			hint_set(HINT_ANY, l);
			hint_set(HINT_WORD, l)
		:: !ok
		fi;
#ifndef BUG_SPLIT_NOT_COUNTED
		hint_end()
#endif
	fi
}

inline line_join(l)
{
	/* The line's word is the caller's: reading it is no step of its own. */
	atomic {
		ME -> assert(LSEQ(line[l]) < SEQ_MAX);
		line[l] = (LSEQ(line[l]) + 1) << 2 | LINE_TAKEN; assert(MAP_IS_TRUE)
	};
	do
	:: atomic { ME && c < LW ->
			word[(l) * LW + c] = LTAG(LSEQ(line[l])); c++; assert(MAP_IS_TRUE) }
	:: atomic { c == LW -> c = 0; break }
	od
}

inline line_take(l)
{
	do
	:: atomic { ME && STATE(line[l]) == LINE_TAKEN -> break }
	:: atomic { ME && STATE(line[l]) == LINE_FREE -> lv = line[l] };
		atomic { ME ->
			cas(line[l], lv, ((lv & ~3) | LINE_TAKEN)); lv = 0;
			if
			:: ok -> ok = 0; got = 1; pos = l; ghost_take(W_MASK((l) * LW, LW)); break
			:: else
			fi
		}
	:: atomic { ME && STATE(line[l]) == LINE_SPLIT -> lv = line[l]; first = (l) * LW; n = LW };
		take_words();
		if
		:: got -> line_join(l); atomic { pos = l; lv = 0; break }
		:: !got ->
			if
			:: atomic { ME && (undone || line[l] == lv) -> lv = 0; break }
			:: atomic { ME && !undone && line[l] != lv -> lv = 0 }
			fi
		fi
	od
}

/* words_look_full, and then words_take; to got. */
inline take_words()
{
	words_look_full(first, n);
	if
	:: !yes
	:: yes -> words_take()
	fi
}

/* To got and pos: a block of the line. */
inline take_in_line(l)
{
	if
	:: order <= WORD_ ->
		do
		:: word_take((l) * LW + k);
			atomic {
				k++;
				if
				:: got || k == LW -> k = 0; break
				:: else
				fi
			}
		od
	:: order == WORDS_ ->
		atomic { first = (l) * LW; n = 2 };
		do
		:: take_words();
			if
			:: got || undone || first + 2 == ((l) + 1) * LW -> break
			:: !got && !undone && first + 2 < ((l) + 1) * LW -> first = first + 2
			fi
		od
	:: order == LINE_ -> line_take(l)
#if NL > 1
	:: order == PAIR_ ->
		if
		:: (l) & 1
		:: !((l) & 1) ->
			line_looks_free(l);
			if
			:: !yes
			:: yes ->
				line_looks_free((l) + 1);
				if
				:: !yes
				:: yes ->
					line_split(l);
					line_split((l) + 1);
					atomic { first = (l) * LW; n = 2 * LW };
					take_words()
				fi
			fi
		fi
#endif
	fi;
	atomic { first = 0; n = 0; yes = 0 }
}

/* search_hinted, search_whole, search_unhinted: phases 0, 1, 2. */
#define HINT_FOR (order >= LINE_ -> HINT_LINE : (order == PAGE_ -> HINT_ANY : HINT_WORD))
#define PHASE_HINT (phase == 0 -> HINT_FOR : HINT_LINE)
inline search()
{
	atomic { phase = (busy -> 2 : 0); busy = 0; l = 0 };
	do
	:: ME && phase < 2 && !HINT(PHASE_HINT, l);
		goto_next_line()
	:: ME && (phase == 2 || HINT(PHASE_HINT, l));
		if
		:: phase != 1
		:: atomic { ME && phase == 1 -> pass = (STATE(line[l]) == LINE_TAKEN) }
		fi;
		if
		:: pass -> pass = 0
		:: !pass ->
			if
			:: phase > 0 && order < LINE_ -> line_split(l)
			:: !(phase > 0 && order < LINE_)
			fi;
			take_in_line(l);
			if
			:: got -> break
			:: !got && phase == 2
			:: !got && phase == 1 -> hint_recheck(HINT_LINE, l)
			:: !got && phase == 0 && HINT_FOR == HINT_LINE -> hint_recheck(HINT_LINE, l)
			:: !got && phase == 0 && HINT_FOR == HINT_WORD -> hint_recheck(HINT_WORD, l)
			:: !got && phase == 0 && HINT_FOR == HINT_ANY -> hint_recheck(HINT_ANY, l)
			fi
		fi;
		goto_next_line()
	od;
	atomic { l = 0; phase = 0; yes = 0 }
}

inline goto_next_line()
{
	atomic {
		l++;
		if
		:: l < NL
		:: l == NL && phase == 0 && order < LINE_ -> l = 0; phase = 1
		:: l == NL && !(phase == 0 && order < LINE_) -> break
		fi
	}
}

/* To yes. */
inline line_has_block(l)
{
	if
#if NL > 1
	:: order == PAIR_ ->
		yes = 0;
		if
		:: (l) & 1
		:: !((l) & 1) ->
			line_looks_free(l);
			if
			:: !yes
			:: yes -> line_looks_free((l) + 1)
			fi
		fi
#endif
	:: order != PAIR_ ->
		line_looks_free(l);
		if
		:: yes || order == LINE_
		:: !yes && order == WORDS_ ->
			first = (l) * LW;
			do
			:: words_look_full(first, 2);
				if
				:: yes || first + 2 == ((l) + 1) * LW -> first = 0; break
				:: !yes && first + 2 < ((l) + 1) * LW -> first = first + 2
				fi
			od
		:: !yes && order <= WORD_ ->
			do
			:: word_peek((l) * LW + k);
				atomic {
					yes = (RUN(map) != 0); map = 0; k++;
					if
					:: yes || k == LW -> k = 0; break
					:: else
					fi
				}
			od
		fi
	fi
}

/* hint_version before the look; to busy. Only process 0's looks are by hints. */
inline hint_version_before()
{
#ifdef UNHINTED
	busy = 1
#elif defined(BUG_NOT_BUSY)
	atomic { ME -> busy = 0; begun[0] = 0 };
	atomic { ME -> begun[1] = 0 }
#else
	atomic { ME -> busy = (hint_work[0] != 0); begun[0] = 0 };
	if
	:: busy
	:: atomic { ME && !busy -> busy = (hint_work[1] != 0); begun[1] = 0 }
	fi
#endif
}

/* And after it; to busy: not the same. */
inline hint_version_after()
{
	atomic { ME -> busy = begun[0] };
	if
	:: busy
	:: atomic { ME && !busy -> busy = begun[1] }
	fi
}

/* To yes: by HINT_LINE, then by the order's hint; or all lines. */
inline page_find_free()
{
	hint_version_before();
	atomic { phase = (busy -> 2 : 1); busy = 0; l = 0; yes = 0 };
	do
	:: phase < 3 && !yes ->
		if
		:: ME && phase < 2 && !HINT(PHASE_HINT, l)
		:: ME && (phase == 2 || HINT(PHASE_HINT, l));
			line_has_block(l)
		fi;
		atomic {
			l++;
			if
			:: l < NL || yes
			:: l == NL && !yes ->
				l = 0;
				phase = (phase == 1 -> 0 : (phase == 0 -> 4 : 3))
			fi
		}
	:: phase == 4 ->
#if defined(BUG_ONE_VERSION) || defined(UNHINTED)
		break
#else
		hint_version_after();
		atomic { phase = (busy -> 2 : 3); busy = 0 }
#endif
	:: phase == 3 || yes -> break
	od;
	atomic { l = 0; phase = 0 }
}

/* Until there is none left; a light call looks once. */
inline take_any()
{
	do
	:: atomic { ME -> watch[_pid] = (light -> 0 : is_free) };
		if
		:: light -> busy = 0
		:: !light -> hint_busy()
		fi;
		search();
		if
		:: atomic { ME && (got || light || undone) -> undone = 0; watch[_pid] = 0; break }
		:: !got && !light && !undone ->
#ifdef BUG_ONE_LOOK
			atomic { ME -> judge(); watch[_pid] = 0; break }
#else
			page_find_free();
			if
			:: atomic { yes -> yes = 0 }
			:: atomic { ME && !yes -> judge(); watch[_pid] = 0; break }
			fi
#endif
		fi
	od
}

/* A word's pages; with a tag it would be refused. */
inline give_bits(w, mask)
{
	do
	:: atomic { ME -> assert(OWNER(word[w]) == 0 && (word[w] & (mask)) == 0); rv = word[w] };
		atomic {
			ME -> cas(word[w], rv, (rv | (mask)));
			if
			:: ok -> ok = 0; yes = ((rv | (mask)) == FULL); rv = 0; ghost_give((mask) << ((w) * WP)); break
			:: else -> rv = 0
			fi
		}
	od
}

/* If yes, its two hints, too; line l. */
inline give_hints(l)
{
#ifdef UNHINTED
	skip
#else
	hint_set(HINT_ANY, l);
	if
	:: !yes
	:: yes ->
		hint_set(HINT_WORD, l);
		words_look_full((l) * LW, LW);
		if
		:: yes -> hint_set(HINT_LINE, l)
		:: !yes
		fi
	fi
#endif
}

inline give()
{
#ifndef BUG_GIVE_NOT_COUNTED
	hint_begin();
#endif
	if
	:: order == PAGE_ ->
		give_bits(pos / WP, (1 << (pos % WP)));
		give_hints(pos / WP / LW)
	:: order == WORD_ ->
		give_bits(pos, FULL);
		give_hints(pos / LW)
	:: order == WORDS_ || order == PAIR_ ->
		do
		:: give_bits(pos + i, FULL);
			atomic {
				i++;
				if
				:: i == 2 -> i = 0; break
				:: else
				fi
			}
		od;
		do
		:: atomic { yes = 1 };
			give_hints(pos / LW + i);
			atomic {
				i++;
				if
				:: i == (order == PAIR_ -> 2 : 1) -> i = 0; break
				:: else
				fi
			}
		od
	:: order == LINE_ ->
		atomic { ME -> assert(STATE(line[pos]) == LINE_TAKEN); lv = line[pos] };
		atomic {
			ME -> cas(line[pos], lv, ((lv & ~3) | LINE_FREE)); assert(ok); ok = 0; lv = 0;
			ghost_give(W_MASK(pos * LW, LW))
		};
		hint_set(HINT_LINE, pos)
	fi;
#ifndef BUG_GIVE_NOT_COUNTED
	hint_end();
#endif
	atomic { pos = 0; yes = 0; got = 0; order = 0 }
}

/* ---------------------------------------------------------- the processes */

active [NP] proctype call()
{
	short ops = OPS_OF(_pid);
	byte me_cpu = CPU_OF(_pid), before;
	byte order, pos, kept_order, kept_pos;
	bit light, keep, got, yes, busy, ok, undone, pass;
	byte l, phase, first, n, i, j, k, c, cf, cn, st, tries;
	WORD_TYPE rv, pv;
	byte rs, lv, map;

	atomic {
		ME || DEPTH_OF(current[me_cpu]) < DEPTH_OF(_pid);
		before = current[me_cpu]; current[me_cpu] = _pid
	};
	do
	:: atomic { ops != 0 ->
			order = ops & 7; light = ops >> 3 & 1; keep = ops >> 4 & 1; ops = ops >> 5;
			if
			:: order == SOME_ ->
				if
				CHOICE(order)
				fi
			:: else
			fi
		};
		if
		:: order == RECHECK_ -> hint_recheck(HINT_ANY, 0); order = 0
		:: order != RECHECK_ -> take_any()
		fi;
		if
		:: !got
		:: got && keep -> atomic { kept_order = order; kept_pos = pos; keep = 0; got = 0; pos = 0; order = 0 }
		:: got && !keep -> give()
		fi
	:: ops == 0 -> break
	od;
	if
	:: kept_order -> atomic { order = kept_order; pos = kept_pos; kept_order = 0; kept_pos = 0 }; give()
	:: !kept_order
	fi;
	d_step {
		ME;
		order = 0; light = 0; keep = 0;
		done++;
		if
		:: done == NP -> at_rest()
		:: else
		fi;
		current[me_cpu] = before; before = 0
	}
}
