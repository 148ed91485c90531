; header.asm - the multiboot2 header: how GRUB knows this kernel and what it asks
; for. The linker puts it first in the image; it must lie in the first 32 KiB.

MAGIC  equ 0xe85250d6
ARCH   equ 0                    ; entered in 32-bit protected mode

section .boot.header progbits alloc noexec nowrite align=8
header:
	dd MAGIC
	dd ARCH
	dd header_end - header
	dd 0x100000000 - (MAGIC + ARCH + (header_end - header))

	; Tags wanted: command line (1), memory map (6). The ACPI tags (14, 15) come
	; when there are any; asking for them would fail where there are none.
	align 8
	dw 1, 0
	dd 16
	dd 1, 6

	align 8
	dw 0, 0                 ; end
	dd 8
header_end:
