/*
 * nodes.h - what tests ask about nodes. Constant after boot; any context.
 */
#ifndef TESTS_NODES_H
#define TESTS_NODES_H

#include <anyctx/types.h>

bool node_has_memory(int nid);
/* Of the page that p lies in. */
int nid_of(const void *p);

#endif
