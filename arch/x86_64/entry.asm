; entry.asm - every interrupt, exception and NMI enters the kernel here, and
; leaves here. docs/design-entry.md has the argument; in short:
;
; - Interrupts and ordinary exceptions run on the stack they interrupted. An NMI
;   may hit any instruction of their entry and exit: RSP is a good stack at each,
;   and nothing below it is in use (there is no red zone).
; - NMI and #DB arrive on IST stacks, which hardware enters at the top each time.
;   Both build their frame below the interrupted RSP and go there with one
;   instruction (COMMIT below); after it the IST stack is free again, and nesting
;   needs no further care.
; - Until an NMI's commit NMIs are blocked by hardware, and breakpoints are off;
;   so nothing but a machine check can come between.
; - A #DB may be interrupted by an NMI before its commit, which leaves live words
;   at the top of the #DB stack. The NMI does not run on that stack: it takes the
;   one that the #DB interrupted. And it moves the #DB stack's top down by one
;   slice as long as it lasts, so that a #DB inside it spares those words.
; - GS base is this CPU's at every instruction.
;
; Nothing here may have an instruction breakpoint, nor entry_cpu, the IDT and the
; IST stacks a data breakpoint: arch_hw_break_set refuses them.

default rel
bits 64

extern entry_cpu, trap_entry, trap_nmi, trap_debug

; struct entry_cpu (private.h)
EC_PAUSED       equ 0
EC_DR7          equ 8
EC_IST_DB       equ 108

DB_SLICE        equ 256         ; more than entry_db uses on its stack, and below the other
DB_GAP          equ 64          ; see entry_db
DR7_OFF         equ 0x400
DR7_ENABLES     equ 0xff

; struct regs (arch/cpu.h)
R_RAX           equ 14 * 8
R_VECTOR        equ 15 * 8
R_RIP           equ 17 * 8
R_SIZE          equ 22 * 8
; the same seen from above, where the frame is built: distance below the old RSP
F_SS            equ 8
F_RSP           equ 16
F_RFLAGS        equ 24
F_CS            equ 32
F_RIP           equ 40
F_ERROR         equ 48
F_VECTOR        equ 56
F_RAX           equ 64

; the frame that hardware pushed
H_RIP           equ 0
H_CS            equ 8
H_RFLAGS        equ 16
H_RSP           equ 24
H_SS            equ 32

; The registers of struct regs below rax.
%macro PUSH_REGS 0
	push rbx
	push rcx
	push rdx
	push rsi
	push rdi
	push rbp
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
%endmacro

%macro POP_REGS 0
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rbp
	pop rdi
	pop rsi
	pop rdx
	pop rcx
	pop rbx
	pop rax
	add rsp, 16             ; vector, error
%endmacro

; Call a C function with struct regs *. It gets a frame that makes the interrupted
; instruction look like its caller, so that a backtrace walks through.
%macro CALL_C 1
	cld
	mov rdi, rsp
	push qword [rsp + R_RIP]
	push rbp
	mov rbp, rsp
	and rsp, -16
	call %1
	lea rsp, [rbp + 16]
%endmacro

; Copy the hardware frame, whose lowest word is at [rsp + %1], to below rax, with
; error 0 and vector %2; rcx is lost. The interrupted rax is at [rsp + %3].
%macro COPY_FRAME 3
	mov rcx, [rsp + %1 + H_SS]
	mov [rax - F_SS], rcx
	mov rcx, [rsp + %1 + H_RSP]
	mov [rax - F_RSP], rcx
	mov rcx, [rsp + %1 + H_RFLAGS]
	mov [rax - F_RFLAGS], rcx
	mov rcx, [rsp + %1 + H_CS]
	mov [rax - F_CS], rcx
	mov rcx, [rsp + %1 + H_RIP]
	mov [rax - F_RIP], rcx
	mov qword [rax - F_ERROR], 0
	mov qword [rax - F_VECTOR], %2
	mov rcx, [rsp + %3]
	mov [rax - F_RAX], rcx
%endmacro

section .entry.text progbits alloc exec nowrite align=64

; ---- interrupts and exceptions on the current stack ----
global entry_stubs
align 16
entry_stubs:
%assign vec 0
%rep 256
	align 16
%if vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21 || vec == 29 || vec == 30
	push qword vec          ; hardware has pushed the error code
%else
	push qword 0
	push qword vec
%endif
	jmp entry_common
%assign vec vec + 1
%endrep

align 64
entry_common:
	push rax
	PUSH_REGS
	CALL_C trap_entry
leave_regs:
	POP_REGS
	iretq

; ---- #DB ----
global entry_db
align 64
entry_db:
	; Count first, then clear: an NMI in between finds the count, and does not
	; switch the breakpoints on again when it leaves.
	inc qword [gs:entry_cpu + EC_PAUSED]
	push rax
	push rcx
	mov eax, DR7_OFF
	mov dr7, rax
	; A gap, as wide as any pop, ret or iretq: where one of them has just read a
	; word under a read breakpoint, this frame must not put its own there, or the
	; iretq below would read it and hit again, for ever.
	mov rax, [rsp + 16 + H_RSP]
	sub rax, DB_GAP
	COPY_FRAME 16, 1, 8
	mov rcx, [rsp]
	lea rsp, [rax - F_RAX]  ; COMMIT: the #DB stack is free
	PUSH_REGS
	CALL_C trap_debug
	jmp leave_paused

; ---- NMI ----
global entry_nmi
align 64
entry_nmi:
	push rax
	push rcx
	push rdx
	inc qword [gs:entry_cpu + EC_PAUSED]
	mov rax, dr7
	test eax, DR7_ENABLES
	jz .quiet
	mov eax, DR7_OFF
	mov dr7, rax
.quiet:
	; On which stack? The interrupted one, unless that is the top slice of the
	; #DB stack: then entry_db has not committed, and its hardware frame is at the
	; top. Below the RSP in that frame entry_db may have used DB_GAP + F_RAX bytes.
	mov rax, [rsp + 24 + H_RSP]
	mov rcx, [gs:entry_cpu + EC_IST_DB]
	mov rdx, rcx
	sub rdx, rax
	cmp rdx, DB_SLICE
	jae .stack_known
	mov rax, [rcx - 40 + H_RSP]
	sub rax, DB_SLICE
.stack_known:
	sub rcx, DB_SLICE
	mov [gs:entry_cpu + EC_IST_DB], rcx
	COPY_FRAME 24, 2, 16
	mov rcx, [rsp + 8]
	mov rdx, [rsp]
	lea rsp, [rax - F_RAX]  ; COMMIT: the NMI stack is free
	PUSH_REGS
	CALL_C trap_nmi
	; From here NMIs may be enabled, if something in the handler did an IRET.
	add qword [gs:entry_cpu + EC_IST_DB], DB_SLICE
	; Back into entry_db before it has counted itself: it must find its words
	; unharmed, so breakpoints stay off; it switches them on when it leaves.
	cmp qword [rsp + R_RIP], entry_db
	jne leave_paused
	dec qword [gs:entry_cpu + EC_PAUSED]
	jmp leave_regs

; ---- the way out of both: breakpoints on again, if this was the outermost ----
leave_paused:
	dec qword [gs:entry_cpu + EC_PAUSED]
	jnz leave_regs
	cmp qword [gs:entry_cpu + EC_DR7], 0
	je leave_regs
.again:
	mov rax, [gs:entry_cpu + EC_DR7]
	mov dr7, rax
	cmp rax, [gs:entry_cpu + EC_DR7]
	jne .again              ; a nested NMI has changed it in between
	jmp leave_regs

; ---- reading any address ----
; bool arch_probe_read64(const void *va, u64 *out): the load may fault, and then
; trap_entry goes on at the fixup.
section .text
global arch_probe_read64
arch_probe_read64:
.load:
	mov rax, [rdi]
	mov [rsi], rax
	mov eax, 1
	ret
.fault:
	xor eax, eax
	ret

section extable progbits alloc noexec nowrite align=8
	dq arch_probe_read64.load, arch_probe_read64.fault
