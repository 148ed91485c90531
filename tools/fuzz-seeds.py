#!/usr/bin/env python3
"""fuzz-seeds.py - writes the inputs that were made by hand, fuzz/corpus/TARGET/seed-NAME.

They show how an input of each target looks, and give the engines what they would be long
in finding: good tables, and sequences of calls that fill and empty the allocator.
"""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus"


def write(target, name, data):
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"seed-{name}").write_bytes(data)


# ---- kernel command line: size of the error's buffer and bit 7 for telling it, the line
def cmdline():
    lines = {
        "plain": "num=5 text=hello s te=x", "quotes": "text=\"a b 'c'\" te='x \"y\"' num=0x1f",
        "suffix": "number=1G any=-9223372036854775807 num=1k", "unknown": "num=1 nothing=2", "number": "num=12x",
        "bounds": "s=2", "negative": "number=-5 s=-1 num=0", "overflow": "any=99999999999999999999", "bare": "text", "empty": "\"\" ''  \t",
        "long": "text=" + "a" * 2100,
    }
    for name, line in lines.items():
        write("cmdline", name, bytes([0xff if name == "unknown" else 0x7f]) + line.encode())
    write("cmdline", "short-error", b"\x02unknown=1")


# ---- multiboot2 boot information
def tag(kind, body):
    data = struct.pack("<II", kind, 8 + len(body)) + body
    return data + b"\0" * (-len(data) % 8)


def memory_map(entries, size=24):
    body = struct.pack("<II", size, 0)
    for base, length, kind in entries:
        body += struct.pack("<QQII", base, length, kind, 0) + b"\0" * (size - 24)
    return tag(6, body)


def root_pointer(revision, rsdt, xsdt):
    data = bytearray(b"RSD PTR " + b"\0" + b"OEMID " + bytes([revision]) + struct.pack("<I", rsdt))
    data[8] = -sum(data) & 0xff
    if revision >= 2:
        data += struct.pack("<IQ", 36, xsdt) + b"\0" * 4
        data[32] = -sum(data) & 0xff
    return bytes(data)


def multiboot2():
    ram = [(0, 0x9f000, 1), (0x100000, 64 << 20, 1), (0x4100000, 1 << 20, 3), (8 << 20, 1 << 20, 2)]
    head = b"\0" * 8
    good = (head + tag(1, b"seconds=3\0") + memory_map(ram) + tag(14, root_pointer(0, 0x7fe0000, 0))
            + tag(15, root_pointer(2, 0x7fe0000, 0x7fe1000)) + tag(0, b""))
    write("multiboot2", "good", good)
    write("multiboot2", "map", head + memory_map(ram))
    write("multiboot2", "large-entries", head + memory_map(ram, 40))
    write("multiboot2", "no-end", head + tag(1, b"no zero at the end")[:-2])
    write("multiboot2", "end-of-addresses", head + memory_map([(0x100001, 2 ** 64 - 1, 1), (5 << 30, 2 ** 63, 1)]))
    write("multiboot2", "too-long", head + struct.pack("<II", 1, 0xffffffff) + b"text")
    many = [(0x1000000 + i * 0x3000, 0x1000, 1) for i in range(140)]
    write("multiboot2", "many", head + memory_map(many))


# ---- ACPI tables, behind their headers
def madt():
    return (struct.pack("<II", 0xfee00000, 1) + struct.pack("<BBBBI", 0, 8, 0, 2, 1) + struct.pack("<BBBBI", 0, 8, 1, 3, 1)
            + struct.pack("<BBHIII", 9, 16, 0, 300, 1, 7) + struct.pack("<BBBBII", 1, 12, 0, 0, 0xfec00000, 0)
            + struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0) + struct.pack("<BBBHB", 4, 6, 0xff, 0, 1)
            + struct.pack("<BBHIB3x", 10, 12, 0, 7, 0) + struct.pack("<BBHQ", 5, 12, 0, 0xfee00000))


def srat():
    def cpu(apic, domain):
        return struct.pack("<BBBBIB3sI", 0, 16, domain, apic, 1, 0, b"\0\0\0", 0)

    def memory(base, length, domain):
        return struct.pack("<BBIHQQIIQ", 1, 40, domain, 0, base, length, 0, 1, 0)
    x2apic = struct.pack("<BBHIIIII", 2, 24, 0, 5, 300, 1, 0, 0)
    return (b"\0" * 12 + cpu(2, 0) + cpu(3, 1) + x2apic + memory(0, 1 << 28, 0) + memory(1 << 28, 1 << 28, 1)
            + memory(1 << 30, 3 << 30, 5))


def slit():
    return struct.pack("<Q", 6) + bytes(10 if i == j else 21 for i in range(6) for j in range(6))


def hpet():
    return struct.pack("<IBBBBQBHB", 0x8086a201, 0, 64, 0, 0, 0xfed00000, 0, 100, 0)


TABLES = (madt, srat, slit, hpet)


def acpi_tables():
    def piece(kind, body):
        return struct.pack("<BH", kind, len(body)) + body
    for i, make in enumerate(TABLES):
        write("acpi_tables", make.__name__, piece(i, make()))
    write("acpi_tables", "all", b"".join(piece(i, make()) for i, make in enumerate(TABLES)))
    write("acpi_tables", "raw", piece(4, table(b"APIC", madt())))


def table(signature, body):
    data = bytearray(signature + struct.pack("<I", 36 + len(body)) + b"\1\0OEMID OEMTABLE" + b"\0" * 12)
    data[9] = -(sum(data) + sum(body)) & 0xff
    return bytes(data) + body


def acpi():
    """Flags, root pointer, and memory from 0x1000 on: the list of tables first."""
    at, bodies, addresses = 0x1000 + 36 + 8 * len(TABLES), b"", []
    for signature, make in zip((b"APIC", b"SRAT", b"SLIT", b"HPET"), TABLES):
        data = table(signature, make())
        addresses.append(at + len(bodies))
        bodies += data
    xsdt = table(b"XSDT", b"".join(struct.pack("<Q", a) for a in addresses))
    write("acpi", "xsdt", b"\0" + root_pointer(2, 0, 0x1000) + xsdt + bodies)
    write("acpi", "sums-made", b"\1" + root_pointer(2, 0, 0x1000) + xsdt + bodies)
    rsdt = table(b"RSDT", b"".join(struct.pack("<I", a) for a in addresses)) + b"\0" * 16
    write("acpi", "rsdt", b"\0" + root_pointer(0, 0x1000, 0) + b"\0" * 16 + rsdt + bodies)
    write("acpi", "no-root", b"\2")
    write("acpi", "itself", b"\1" + root_pointer(2, 0, 0x1000) + table(b"XSDT", struct.pack("<QQ", 0x1000, 2 ** 64 - 40)))


# ---- the allocator: a row of steps
KMALLOC, FREE, PAGES, OBJECT, KREALLOC, CREATE, DESTROY, FAIL, LOOK, GET, SHRINK, BARRIER, CHECK, BAD = range(14)
THREAD, THREAD_1, IRQ, IRQ_1, NMI, NMI_1, DEBUG = range(7)
ZERO, THISNODE, RECLAIM = 1, 2, 4
NODE_0, NODE_1 = 0x200, 0x300


def op(kind, a=0, b=0, c=0):
    return struct.pack("<BHH", kind, a, b) + (struct.pack("<H", c) if kind in (KREALLOC, CREATE, DESTROY, FAIL) else b"")



def step(what, place=THREAD, times=1, change=0):
    how = next(v for v in range(0x40 if times > 1 else 0, 0xe0 if times > 1 else 0x40)
               if v % 7 == place and (change < 0 or v >> 3 & 7 == change) and bool(v & 0x40) == (times > 1))
    return bytes([how]) + (bytes([times]) if times > 1 else b"") + what


def interrupted(outer, inner, at, place=DEBUG, in_nmi=False):
    code = next(v for v in range(0x80 if in_nmi else 0, 0x100 if in_nmi else 0x80) if v % 7 == place)
    return bytes([0xe0, code]) + struct.pack("<H", at) + outer + inner


def alloc():
    fill = step(op(KMALLOC, 100, ZERO), times=200)
    empty = step(op(FREE, 0, 0), times=200)
    write("alloc", "fill", fill + step(op(CHECK)) + empty + step(op(CHECK, 1)))
    write("alloc", "sizes", b"".join(step(op(KMALLOC, 0x8000 | i, ZERO)) for i in range(13))
          + step(op(LOOK, 3), times=13, change=1))
    write("alloc", "large", step(op(KMALLOC, 0xc004, ZERO)) + step(op(KMALLOC, 0xc400, 0)) + step(op(FREE, 1))
          + step(op(KMALLOC, 0xc400, ZERO)) + step(op(KMALLOC, 0xffff, 0)))
    write("alloc", "orders", b"".join(step(op(PAGES, i, (i % 4) << 5 | ZERO)) for i in range(11)) + step(op(GET, 1))
          + step(op(FREE, 1, 2), times=12, change=1))
    write("alloc", "end-of-memory", step(op(PAGES, 9, 64), times=20) + step(op(PAGES, 4, 64), times=60)
          + step(op(PAGES, 0, 64), times=120) + step(op(KMALLOC, 8000, 4)) + step(op(KMALLOC, 24, 4), times=100)
          + step(op(FREE, 3), times=90) + step(op(PAGES, 10, 64 | NODE_1 | THISNODE)))
    write("alloc", "krealloc", step(op(KMALLOC, 20, ZERO)) + b"".join(step(op(KREALLOC, n, ZERO)) for n in
          (60, 0x4fa0, 0xc008, 100, 40, 0)))
    caches = step(op(CREATE, 200, 0, 0)) + step(op(CREATE, 33, 7 | 32, 1)) + step(op(CREATE, 0x8800, 16, 2))
    write("alloc", "caches", caches + step(op(OBJECT, 0), times=100) + step(op(OBJECT, 1), times=100)
          + step(op(OBJECT, 2, 32)) + step(op(DESTROY, 1)) + step(op(FREE, 5, 1), times=150) + step(op(SHRINK, 1))
          + step(op(BARRIER)) + step(op(FREE), times=60) + step(op(DESTROY, 0)))
    write("alloc", "contexts", b"".join(step(op(KMALLOC, 64, ZERO), place, 20) + step(op(PAGES, 1, 64), place, 3)
          + step(op(FREE, 7), 6 - place, 15) for place in range(7)))
    write("alloc", "deferred", step(op(KMALLOC, 0xa, 0), times=150) + step(op(FREE), NMI, 100) + step(op(BARRIER))
          + step(op(FREE), NMI_1, 40) + step(op(CHECK, 1)))
    write("alloc", "failures", step(op(FAIL, 1 << 1 | 8, 3)) + step(op(KMALLOC, 40, ZERO), times=5)
          + step(op(FAIL, 1 | 2 << 1, 2)) + step(op(KMALLOC, 0x8c, 0), times=30) + step(op(FAIL, 3 << 1 | 8, 40000, 7))
          + step(op(CREATE, 100, 0, 3)) + step(op(OBJECT, 3), times=20) + step(op(KREALLOC, 4000, ZERO)) + step(op(FAIL)))
    write("alloc", "bad", step(op(KMALLOC, 64, 0), times=3) + step(op(PAGES, 2, 64)) + step(op(PAGES, 3, 96))
          + step(op(CREATE, 48, 0, 0)) + step(op(OBJECT, 0)) + b"".join(step(op(BAD, i, i)) for i in range(6))
          + step(op(FREE, 0, 0)) + step(op(BAD, 2)) + step(op(DESTROY, 0)))
    for name, outer in (("kmalloc", op(KMALLOC, 64, ZERO)), ("pages", op(PAGES, 6, 64)), ("free", op(FREE, 2)),
                        ("object", op(OBJECT, 0, 32))):
        inner = (op(KMALLOC, 64, 0), op(PAGES, 9, 64), op(FREE, 1), op(OBJECT, 0))
        write("alloc", "in-" + name, step(op(CREATE, 200, 0, 0)) + step(op(KMALLOC, 64, 0), times=4)
              + b"".join(interrupted(outer, inner[i % 4], 3 + 7 * i, (DEBUG, NMI, IRQ)[i % 3], i == 5) for i in range(7)))


for make_seeds in (cmdline, multiboot2, acpi_tables, acpi, alloc):
    make_seeds()
