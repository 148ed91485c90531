/*
 * llist.h - lock-free singly linked list: anyone adds, anyone takes all.
 *
 * llist_add is one compare-and-swap, llist_del_all one exchange; these and
 * llist_empty may be called at any instruction, in any context, on any CPU at once.
 * No call fails or waits, but for llist_add, which tries again when another has come
 * in between. A node is on one list at most, once, and is its owner's memory: free to
 * be used again for whoever has taken the list. Taking single nodes is not offered:
 * with only a pointer for a head it cannot be done without ABA.
 */
#ifndef ANYCTX_LLIST_H
#define ANYCTX_LLIST_H

#include <anyctx/types.h>

struct llist_node {
	struct llist_node *next;
};

/* Empty: all zero. */
struct llist_head {
	struct llist_node *first;
};

/* True: the list was empty before, so it is for the caller to see that somebody
 * takes it. What was written before is seen by who takes the node. */
static inline bool llist_add(struct llist_node *node, struct llist_head *head)
{
	struct llist_node *first = __atomic_load_n(&head->first, __ATOMIC_RELAXED);

	do {
		WRITE_ONCE(node->next, first);
	} while (!__atomic_compare_exchange_n(&head->first, &first, node, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	return !first;
}

/* The whole list, newest first, NULL if there is none; the head is empty after. */
static inline struct llist_node *llist_del_all(struct llist_head *head)
{
	return __atomic_exchange_n(&head->first, NULL, __ATOMIC_ACQUIRE);
}

/* May have changed when it returns. */
static inline bool llist_empty(const struct llist_head *head)
{
	return !__atomic_load_n(&head->first, __ATOMIC_RELAXED);
}

/* Oldest first: reverse a list that was taken with llist_del_all, which is the
 * caller's; returns the new first node. NULL gives NULL. */
static inline struct llist_node *llist_reverse_order(struct llist_node *n)
{
	struct llist_node *out = NULL;

	while (n) {
		struct llist_node *next = n->next;

		n->next = out;
		out = n;
		n = next;
	}
	return out;
}

#endif
