/*
 * graph.c - in which order classes were taken: an edge from A to B says that B was waited
 * for while A was held.
 *
 * Invariant: a bit of `after` is set once, by one locked or, and stays. Who set it looks
 * for a circle after that: so of two CPUs that set the two edges of one, the later sees
 * both. The places of an edge are written once, by who claimed its entry by one
 * compare-and-swap, and count when `ready` says so.
 */
#include "internal.h"

struct edge lock_edges[MAX_EDGES];

static u32 pair_of(u32 from, u32 to)
{
	return (from * MAX_CLASSES + to) + 1;
}

static struct edge *edge_slot(u32 pair, bool make)
{
	u32 i = pair * 0x9e3779b1u >> 22;

	for (unsigned int n = 0; n < MAX_EDGES; n++, i = (i + 1) % MAX_EDGES) {
		u32 have = __atomic_load_n(&lock_edges[i].pair, __ATOMIC_ACQUIRE);

		if (have == pair)
			return &lock_edges[i];
		if (have)
			continue;
		if (!make)
			return NULL;
		if (__atomic_compare_exchange_n(&lock_edges[i].pair, &have, pair, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return &lock_edges[i];
	}
	return NULL;
}

const struct edge *graph_edge(u32 from, u32 to)
{
	const struct edge *e = edge_slot(pair_of(from, to), false);

	return e && __atomic_load_n(&e->ready, __ATOMIC_ACQUIRE) ? e : NULL;
}

static bool test(const u64 *map, u32 i)
{
	return __atomic_load_n(&map[i / 64], __ATOMIC_ACQUIRE) >> i % 64 & 1;
}

bool graph_add(struct lock_class *from, struct lock_class *to, const struct trace *taken,
	       const struct trace *waited)
{
	u32 f = class_index(from), t = class_index(to);
	u64 bit = 1UL << t % 64;
	struct edge *e;

	if (test(from->after, t) || __atomic_fetch_or(&from->after[t / 64], bit, __ATOMIC_SEQ_CST) & bit)
		return false;
	e = edge_slot(pair_of(f, t), true);
	if (e) {
		e->taken = *taken;
		e->waited = *waited;
		__atomic_store_n(&e->ready, 1, __ATOMIC_RELEASE);
	}
	return true;
}

static bool wanted(u32 i, int goal, enum usage u)
{
	return goal < 0 ? READ_ONCE(lock_classes[i].usage) >> u & 1 : i == (u32)goal;
}

int graph_search(struct search *s, u32 start, bool back, int goal, enum usage u)
{
	unsigned int first = 0, end = 0;

	for (unsigned int w = 0; w < MAP_WORDS; w++)
		s->seen[w] = 0;
	s->seen[start / 64] |= 1UL << start % 64;
	s->parent[start] = (u16)start;
	s->queue[end++] = (u16)start;
	while (first < end) {
		u32 at = s->queue[first++];

		if (wanted(at, goal, u))
			return (int)at;
		for (u32 i = 0; i < MAX_CLASSES; i++) {
			if (s->seen[i / 64] >> i % 64 & 1 ||
			    !(back ? test(lock_classes[i].after, at) : test(lock_classes[at].after, i)))
				continue;
			s->seen[i / 64] |= 1UL << i % 64;
			s->parent[i] = (u16)at;
			s->queue[end++] = (u16)i;
		}
	}
	return -1;
}
