/*
 * fwcfg.c - QEMU's firmware configuration device, through its two ports.
 *
 * The device is one selector and one data port: whoever selects must read before
 * anyone else selects. So: CPU 0 while booting, one call at a time.
 */
#include "lib/string.h"
#include "fwcfg.h"
#include "x86.h"

#define PORT_SELECT 0x510
#define PORT_DATA 0x511
#define KEY_SIGNATURE 0x00
#define KEY_DIRECTORY 0x19
#define NAME_SIZE 56

struct fw_file {
	u32 size;
	u16 key;
	char name[NAME_SIZE];
};

static u32 read_be(unsigned int bytes)
{
	u32 v = 0;

	while (bytes--)
		v = v << 8 | inb(PORT_DATA);
	return v;
}

static void read_bytes(char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)inb(PORT_DATA);
}

/* Only on a hypervisor are the ports touched: elsewhere they may be anything. */
static bool fwcfg_present(void)
{
	char sig[4];

	if (!(cpuid(1, 0).ecx & 1u << 31))
		return false;
	outw(PORT_SELECT, KEY_SIGNATURE);
	read_bytes(sig, sizeof(sig));
	return !memcmp(sig, "QEMU", 4);
}

static bool find_file(const char *name, struct fw_file *f)
{
	u32 count;

	outw(PORT_SELECT, KEY_DIRECTORY);
	count = read_be(4);
	for (u32 i = 0; i < count; i++) {
		f->size = read_be(4);
		f->key = (u16)read_be(2);
		read_be(2);
		read_bytes(f->name, NAME_SIZE);
		f->name[NAME_SIZE - 1] = 0;
		if (!strcmp(f->name, name))
			return true;
	}
	return false;
}

bool fwcfg_read_string(const char *name, char *buf, size_t size)
{
	struct fw_file f;
	size_t n;

	if (!fwcfg_present() || !find_file(name, &f))
		return false;
	n = f.size < size ? f.size : size - 1;
	outw(PORT_SELECT, f.key);
	read_bytes(buf, n);
	buf[n] = 0;
	return true;
}
