/*
 * nodes.c - which nodes have memory, and whose it is (nodes.h).
 */
#include "tests/nodes.h"
#include "mm/internal.h"

bool node_has_memory(int nid)
{
	for (u64 line = 0; line < nr_lines; line++)
		if (line_node[line] == nid)
			return true;
	return false;
}

int nid_of(const void *p)
{
	return page_to_nid(virt_to_page(p));
}
