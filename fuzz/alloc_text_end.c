/*
 * alloc_text_end.c - linked behind the kernel's code, see alloc_text_start.c.
 */
__asm__(".text\n.globl __text_end\n__text_end:\n");
