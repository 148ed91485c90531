#!/usr/bin/env python3
"""ksyms.py - the table of function names for backtraces: ksyms.py ELF OUTPUT.S

Reads the symbols of a first link without the table, and writes assembler source
of it. All of it lies in the section .ksyms, which linker.ld puts behind the
text, so the second link moves no function. kernel/ksyms.c reads the table:

  ksyms_count    number of names
  ksyms_offsets  their offsets from __text_start, ascending; then the text's end
  ksyms_name_at  where each name starts in ksyms_names
  ksyms_names    the names, each with a 0 behind it

NM in the environment names the nm to use.
"""
import os
import subprocess
import sys


def text_symbols(elf):
    """(offset, name) of each address in the text, ascending; and the text's size."""
    nm = os.environ.get("NM") or "nm"
    lines = subprocess.run([nm, "-n", elf], check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = [line.split() for line in lines if len(line.split()) == 3]
    bounds = {name: int(value, 16) for value, _, name in symbols if name in ("__text_start", "__text_end")}
    start, end = bounds["__text_start"], bounds["__text_end"]
    names = {}
    for value, kind, name in symbols:
        address = int(value, 16)
        if kind not in "tTwW" or not start <= address < end or name.startswith("__text_"):
            continue
        # Of several names for one address, a function's rather than a label's.
        best = names.get(address)
        if best is None or ("." in best and "." not in name):
            names[address] = name
    return [(address - start, names[address]) for address in sorted(names)], end - start


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    symbols, size = text_symbols(sys.argv[1])
    out = ["/* ksyms.S - made by tools/ksyms.py */", '\t.section .ksyms, "a"', "\t.balign 8"]

    def table(label, lines):
        out.extend([f"\t.globl {label}", f"{label}:"] + lines)

    at, starts = 0, []
    for _, name in symbols:
        starts.append(at)
        at += len(name) + 1
    table("ksyms_count", [f"\t.long {len(symbols)}"])
    table("ksyms_offsets", [f"\t.long {offset:#x}" for offset, _ in symbols] + [f"\t.long {size:#x}"])
    table("ksyms_name_at", [f"\t.long {start}" for start in starts])
    table("ksyms_names", [f'\t.asciz "{name}"' for _, name in symbols])
    out.append('\t.section .note.GNU-stack, "", @progbits')
    with open(sys.argv[2], "w", encoding="ascii") as f:
        f.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
