/*
 * alloc_text_start.c - linked first, before the kernel's code; alloc_text_end.c behind it.
 * So single steps (arch/hosted/step.c) know what is the kernel's and what a runtime's.
 */
__asm__(".text\n.globl __text_start\n__text_start:\n");
