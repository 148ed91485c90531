/*
 * insn.c - reads as much of an instruction as tells which memory it touches and
 * whether it locks the bus (arch/insn.h).
 *
 * Knows what compilers put out for the kernel: general registers, no VEX. Any
 * context; no state.
 */
#include <anyctx/percpu.h>
#include <arch/insn.h>
#include "lib/string.h"

struct reader {
	const u8 *at;
	const struct regs *r;
	u8 rex;
	bool gs, lock;
};

static bool is_prefix(u8 b)
{
	return b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0xf0 || b == 0x2e || b == 0x36 ||
	       b == 0x3e || b == 0x26 || b == 0x64 || b == 0x65;
}

static void read_prefixes(struct reader *d)
{
	for (; is_prefix(*d->at); d->at++) {
		d->lock |= *d->at == 0xf0;
		d->gs |= *d->at == 0x65;
	}
	if ((*d->at & 0xf0) == 0x40)
		d->rex = *d->at++;
}

static u64 reg(const struct regs *r, unsigned int n)
{
	const u64 in_order[] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				 r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

	return in_order[n];
}

static u64 read_disp(const u8 *at, unsigned int bytes)
{
	s32 v;

	if (bytes == 1)
		return (u64)(s64)*(const s8 *)at;
	memcpy(&v, at, sizeof(v));
	return bytes ? (u64)(s64)v : 0;
}

/* The memory operand of the ModRM byte at d->at; not of a register form. */
static void read_operand(const struct reader *d, struct arch_insn *in)
{
	u8 modrm = *d->at, mod = modrm >> 6, rm = modrm & 7;
	const u8 *at = d->at + 1;
	unsigned int disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	in->touches = true;
	in->addr = d->gs ? this_cpu_offset() : 0;
	if (rm == 4) {
		u8 sib = *at++, base = sib & 7, index = (u8)((sib >> 3 & 7) | (d->rex & 2) << 2);

		if (index != 4)
			in->addr += reg(d->r, index) << (sib >> 6);
		if (base == 5 && !mod)
			disp = 4;
		else
			in->addr += reg(d->r, base | (unsigned int)(d->rex & 1) << 3);
	} else if (rm == 5 && !mod) {
		disp = 4;
		in->relative = true;
	} else {
		in->addr += reg(d->r, rm | (unsigned int)(d->rex & 1) << 3);
	}
	in->addr += read_disp(at, disp);
}

static bool one_byte_has_modrm(u8 op)
{
	if (op < 0x40)
		return (op & 7) < 4;
	return op == 0x63 || op == 0x69 || op == 0x6b || (op >= 0x80 && op < 0x90) || op == 0xc0 ||
	       op == 0xc1 || op == 0xc6 || op == 0xc7 || (op >= 0xd0 && op < 0xd4) || op == 0xf6 ||
	       op == 0xf7 || op >= 0xfe;
}

/* Behind 0x0f. Prefetches and the long nop touch nothing. */
static bool two_byte_touches(u8 op)
{
	return !(op < 0x10 || op == 0x18 || op == 0x1f || (op >= 0x30 && op < 0x38) ||
		 (op >= 0x80 && op < 0x90) || op == 0xa2 || op == 0xae || op >= 0xc8);
}

static void push_at(struct arch_insn *in, u64 addr)
{
	in->stack = true;
	in->stack_addr = addr;
}

static void look_at_stack(const struct regs *r, u8 op, u8 modrm, struct arch_insn *in)
{
	u8 ext = modrm >> 3 & 7;

	if ((op >= 0x50 && op < 0x58) || op == 0x68 || op == 0x6a || op == 0xe8 || op == 0x9c ||
	    (op == 0xff && (ext == 2 || ext == 6)))
		push_at(in, r->rsp - 8);
	else if ((op >= 0x58 && op < 0x60) || op == 0xc3 || op == 0x9d || op == 0x8f)
		push_at(in, r->rsp);
	else if (op == 0xc9)
		push_at(in, r->rbp);
}

static void look_at_string(const struct regs *r, u8 op, struct arch_insn *in)
{
	if (op == 0xaa || op == 0xab || op == 0xa4 || op == 0xa5) {
		in->touches = true;
		in->addr = r->rdi;
	}
}

void arch_insn_look(const struct regs *r, struct arch_insn *in)
{
	struct reader d = { .at = (const u8 *)r->rip, .r = r };
	bool modrm;
	u8 op;

	*in = (struct arch_insn){ 0 };
	read_prefixes(&d);
	op = *d.at++;
	if (op == 0x0f) {
		op = *d.at++;
		modrm = two_byte_touches(op);
	} else {
		look_at_stack(r, op, *d.at, in);
		look_at_string(r, op, in);
		modrm = one_byte_has_modrm(op) && op != 0x8d;
		in->locked = (op == 0x86 || op == 0x87) && *d.at >> 6 != 3;
	}
	in->locked |= d.lock;
	if (modrm && *d.at >> 6 != 3)
		read_operand(&d, in);
}
