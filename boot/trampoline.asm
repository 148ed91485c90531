; trampoline.asm - the road of the other CPUs from their start in real mode to C.
;
; smp.c copies the first part to a page below 640 KiB and starts a CPU at its first
; byte: cs is the page, ip 0. Everything else runs where it is linked. Invariant:
; no memory is written and no stack used before the exchange of ap_stack has given
; this CPU one; a CPU that comes too late gets none, and halts.

KERNEL_VMA      equ 0xffffffff80000000
MSR_EFER        equ 0xc0000080
EFER_LME_NXE    equ 1 << 8 | 1 << 11
CR0_PE          equ 1
CR0_PG_WP_PE    equ 1 << 31 | 1 << 16 | 1       ; and caches on: INIT leaves them off
CR4_PAE         equ 1 << 5
CODE32          equ 0x08
DATA            equ 0x10
CODE64          equ 0x18

extern boot_pml4, kernel_cr3, ap_stack, ap_main

section .boot.text progbits alloc exec nowrite align=16
bits 16
global ap_trampoline, ap_trampoline_end
ap_trampoline:
	cli
	cld
	o32 lgdt [cs:ap_gdt_ptr - ap_trampoline]
	mov eax, cr0
	or eax, CR0_PE
	mov cr0, eax
	jmp dword CODE32:ap_entry32
ap_gdt_ptr:
	dw ap_gdt_end - ap_gdt - 1
	dd ap_gdt
ap_trampoline_end:

bits 32
ap_entry32:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov eax, CR4_PAE
	mov cr4, eax
	mov eax, boot_pml4
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME_NXE    ; kernel_cr3 wants NXE
	wrmsr
	mov eax, CR0_PG_WP_PE
	mov cr0, eax
	jmp CODE64:ap_entry64

bits 64
ap_entry64:
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov rax, ap_high
	jmp rax

section .text
ap_high:
	mov rax, [kernel_cr3]
	mov cr3, rax
	xor eax, eax
	xchg [ap_stack], rax    ; the commit: this CPU is the one being started
	test rax, rax
	jz .late
	mov rsp, rax
	xor ebp, ebp            ; the end of every backtrace, and a return address 0
	push rbp
	jmp ap_main             ; does not return
.late:
	hlt
	jmp .late

section .boot.data progbits alloc noexec write align=8
ap_gdt:
	dq 0
	dq 0x00cf9b000000ffff   ; 32-bit code
	dq 0x00cf93000000ffff   ; data
	dq 0x00af9b000000ffff   ; 64-bit code
ap_gdt_end:
