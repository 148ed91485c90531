; start.asm - the road from GRUB to C: 32-bit protected mode without paging, then
; long mode on the boot page tables, then the higher half.
;
; Entered by GRUB on CPU 0 with eax = multiboot2 magic and ebx = the physical
; address of the boot information. Invariant: the boot page tables are constant;
; the other CPUs start on them too (boot/trampoline.asm).

bits 32

KERNEL_VMA      equ 0xffffffff80000000
COM1            equ 0x3f8
DEBUG_EXIT      equ 0xf4
EXIT_FAIL       equ 0x11
MSR_EFER        equ 0xc0000080
MSR_GS_BASE     equ 0xc0000101
EFER_LME        equ 1 << 8
CR0_PG_WP_PE    equ 1 << 31 | 1 << 16 | 1
CR4_PAE         equ 1 << 5
CPUID_LM        equ 1 << 29     ; 0x80000001 edx

extern setup_early

section .boot.text progbits alloc exec nowrite align=16
global boot_entry
boot_entry:
	cli
	cld
	mov esp, boot_stack32_top
	mov ebp, eax            ; magic; cpuid below eats eax to edx
	mov esi, ebx

	mov eax, 0x80000000
	cpuid
	cmp eax, 0x80000001
	jb no_long_mode
	mov eax, 0x80000001
	cpuid
	test edx, CPUID_LM
	jz no_long_mode

	mov eax, CR4_PAE        ; and nothing else: no 5-level paging, no surprises
	mov cr4, eax
	mov eax, boot_pml4
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, CR0_PG_WP_PE
	mov cr0, eax
	lgdt [boot_gdt_ptr]
	jmp 0x08:boot_entry64

; The one message that C cannot print: there is no 64-bit C on this CPU.
no_long_mode:
	mov esi, no_long_mode_text
.next:
	mov dx, COM1 + 5
.wait:
	in al, dx
	test al, 0x20
	jz .wait
	lodsb
	test al, al
	jz .exit
	mov dx, COM1
	out dx, al
	jmp .next
.exit:
	mov dx, DEBUG_EXIT
	mov eax, EXIT_FAIL
	out dx, eax
.halt:
	hlt
	jmp .halt

no_long_mode_text:
	db 13, 10, "anyctx: this CPU has no 64-bit long mode (CPUID 0x80000001 EDX bit 29). "
	db "Use a 64-bit CPU; with QEMU, add -cpu max.", 13, 10, 0

bits 64
boot_entry64:
	mov eax, 0x10
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	xor edx, edx            ; GS base 0: CPU 0 uses the percpu section itself
	mov ecx, MSR_GS_BASE
	wrmsr
	mov edi, ebp
	mov rax, enter_high
	jmp rax

section .text
enter_high:
	mov rsp, boot_stack_top
	xor ebp, ebp            ; the end of every backtrace, and a return address 0
	push rbp
	jmp setup_early         ; (magic, boot information); does not return

; void switch_stack(void *top, void (*fn)(void)): go on in fn on another stack,
; for good.
global switch_stack
switch_stack:
	mov rsp, rdi
	xor ebp, ebp
	push rbp
	jmp rsi

section .boot.data progbits alloc noexec write align=4096
; The first 4 GiB at 0 and at DIRECT_MAP_BASE (slot 273), the first GiB at
; KERNEL_VMA: present, writable; 2 MiB pages, as not every CPU has larger ones.
global boot_pml4
boot_pml4:
	dq boot_pdpt + 3
	times 272 dq 0
	dq boot_pdpt + 3
	times 237 dq 0
	dq boot_pdpt_high + 3
boot_pdpt:
	dq boot_pd + 0x0003
	dq boot_pd + 0x1003
	dq boot_pd + 0x2003
	dq boot_pd + 0x3003
	times 508 dq 0
boot_pdpt_high:
	times 510 dq 0
	dq boot_pd + 3
	dq 0
boot_pd:
%assign i 0
%rep 2048
	dq i * 0x200000 + 0x83
%assign i i + 1
%endrep

align 8
boot_gdt:
	dq 0
	dq 0x00af9b000000ffff   ; 64-bit code
	dq 0x00cf93000000ffff   ; data
boot_gdt_ptr:
	dw boot_gdt_ptr - boot_gdt - 1
	dd boot_gdt

align 16
	times 256 db 0
boot_stack32_top:

section .bss nobits alloc noexec write align=16
; Until setup has a stack with a guard page.
global boot_stack, boot_stack_top
boot_stack:
	resb 16384
boot_stack_top:
