; switch.asm - from one thread's stack to another's (arch/switch.h).
;
; What the C code may not expect to lose is pushed, the rest is lost by the call; and the
; flags, as a thread that is single-stepped alone has TF. Interrupts are off in all. The
; commit is the one load of RSP. At each instruction RSP is a good stack with nothing in
; use below it, before and after: so an NMI or a debug exception may come anywhere.

bits 64

FLAGS equ 2 ; none, but the bit that always is

section .text

; void arch_switch(u64 *from, u64 to)
global arch_switch
arch_switch:
	pushfq
	push rbp
	push rbx
	push r12
	push r13
	push r14
	push r15
	mov [rdi], rsp
	mov rsp, rsi            ; COMMIT
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbx
	pop rbp
	popfq
	ret

; u64 arch_new_stack(u64 top, void (*fn)(void)): as if fn had just called arch_switch.
; Above it two words of 0 end a backtrace, and RSP is what fn expects behind a call.
global arch_new_stack
arch_new_stack:
	xor eax, eax
	mov [rdi - 8], rax
	mov [rdi - 16], rax     ; fn's return address
	mov [rdi - 24], rsi
	mov qword [rdi - 32], FLAGS
%assign i 5
%rep 6
	mov [rdi - 8 * i], rax
%assign i i + 1
%endrep
	lea rax, [rdi - 80]
	ret
