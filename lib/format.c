/*
 * format.c - vsnprintf and snprintf.
 *
 * Conversions: d i u x X p s c and %%; flags 0 - + space #; width and precision,
 * also as *; lengths hh h l ll z. No more than size bytes are written, the last
 * of them 0; the result is the length that the whole text has. No state, no
 * allocation: any context.
 */
#include "kernel/printk.h"
#include "lib/string.h"

struct out {
	char *buf;
	size_t size, n; /* room; length of the whole text so far */
};

struct spec {
	bool zero, left, plus, space, alt;
	int width, precision; /* precision -1: not given */
	int length;           /* -2 hh, -1 h, 0 int, 1 long */
	char conv;
};

static void put(struct out *o, char c)
{
	if (o->n + 1 < o->size)
		o->buf[o->n] = c;
	o->n++;
}

static void put_times(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, int len)
{
	if (!s->left)
		put_times(o, ' ', s->width - len);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		put_times(o, ' ', s->width - len);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	int len = 0;

	if (!text)
		text = "(null)";
	while ((s->precision < 0 || len < s->precision) && text[len])
		len++;
	put_text(o, s, text, len);
}

/* Digits of v, at the end of buf; where they begin. */
static const char *digits(char *end, u64 v, unsigned int base, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	do {
		*--end = set[v % base];
		v /= base;
	} while (v);
	return end;
}

static void put_number(struct out *o, const struct spec *s, u64 v, const char *prefix,
		       unsigned int base)
{
	char buf[24], *end = buf + sizeof(buf);
	const char *d = digits(end, v, base, s->conv == 'X');
	int len = (int)(end - d), zeros = s->precision - len, pad;

	if (!s->precision && !v)
		len = 0;
	if (zeros < 0)
		zeros = 0;
	pad = s->width - len - zeros - (int)strlen(prefix);
	if (s->zero && !s->left && s->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if (!s->left)
		put_times(o, ' ', pad);
	while (*prefix)
		put(o, *prefix++);
	put_times(o, '0', zeros);
	for (int i = 0; i < len; i++)
		put(o, d[i]);
	if (s->left)
		put_times(o, ' ', pad);
}

static void put_signed(struct out *o, const struct spec *s, s64 v)
{
	const char *sign = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

	put_number(o, s, v < 0 ? -(u64)v : (u64)v, sign, 10);
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '0': s->zero = true; break;
		case '-': s->left = true; break;
		case '+': s->plus = true; break;
		case ' ': s->space = true; break;
		case '#': s->alt = true; break;
		default: return f;
		}
	}
}

static const char *parse_int(const char *f, int *v)
{
	for (*v = 0; *f >= '0' && *f <= '9'; f++)
		*v = *v * 10 + (*f - '0');
	return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
	for (;; f++) {
		if (*f == 'l' || *f == 'z')
			s->length = 1;
		else if (*f == 'h')
			s->length--;
		else
			return f;
	}
}

static u64 narrow_unsigned(u64 v, int length)
{
	return length == 1 ? v : length == 0 ? (u32)v : length == -1 ? (u16)v : (u8)v;
}

static s64 narrow_signed(s64 v, int length)
{
	return length == 1 ? v : length == 0 ? (s32)v : length == -1 ? (s16)v : (s8)v;
}

static void convert(struct out *o, const struct spec *s, u64 v)
{
	char c = (char)v;

	switch (s->conv) {
	case 'd':
	case 'i':
		put_signed(o, s, narrow_signed((s64)v, s->length));
		break;
	case 'u':
		put_number(o, s, narrow_unsigned(v, s->length), "", 10);
		break;
	case 'x':
	case 'X':
		v = narrow_unsigned(v, s->length);
		put_number(o, s, v, s->alt && v ? "0x" : "", 16);
		break;
	case 'p':
		put_number(o, s, v, "0x", 16);
		break;
	case 's':
		put_string(o, s, (const char *)v);
		break;
	case 'c':
		put_text(o, s, &c, 1);
		break;
	}
}

/* One conversion; f is after the '%'. Returns where the text goes on. */
static const char *conversion(struct out *o, const char *f, va_list *ap)
{
	struct spec s = { .precision = -1 };
	const char *start = f;

	f = parse_flags(f, &s);
	if (*f == '*') {
		s.width = va_arg(*ap, int);
		if (s.width < 0) {
			s.left = true;
			s.width = -s.width;
		}
		f++;
	} else {
		f = parse_int(f, &s.width);
	}
	if (*f == '.' && f[1] == '*') {
		s.precision = va_arg(*ap, int);
		f += 2;
	} else if (*f == '.') {
		f = parse_int(f + 1, &s.precision);
	}
	f = parse_length(f, &s);
	s.conv = *f;
	if (*f == '%') {
		put(o, '%');
	} else if (*f && strchr("diuxXpsc", *f)) {
		/* Everything is passed in 8 bytes; an int's upper half is not
		 * defined, so it is cut off when the length is known. */
		convert(o, &s, va_arg(*ap, u64));
	} else { /* unknown: as it stands */
		put(o, '%');
		return start;
	}
	return f + 1;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	va_list args;

	va_copy(args, ap);
	while (*fmt) {
		if (*fmt == '%')
			fmt = conversion(&o, fmt + 1, &args);
		else
			put(&o, *fmt++);
	}
	va_end(args);
	if (size)
		buf[o.n < size ? o.n : size - 1] = 0;
	return (int)o.n;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
