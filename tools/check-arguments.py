#!/usr/bin/env python3
"""check-arguments.py - each kernel argument has its row in docs/building.md, and each row its argument.

An argument is a KPARAM_...(variable, "name", ...) of a C source that is in the kernel. Those of
arch/hosted are the process's own. The tables stand below the two headings in TABLES; the first
cell of a row has the names between backticks, the others values, default and purpose. Status 1 if
something is missing, twice there, or in the wrong table; each is told.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "building.md"
TABLES = {"## Kernel arguments": False, "### The process": True}  # heading: are they arch/hosted's alone
DIRS = ("arch", "kernel", "mm", "tests", "bench")
OTHERS = ROOT / "bench" / "native"  # a program with an argument of its own


def arguments(sources):
    """{name: declared only in arch/hosted}"""
    found = {}
    for path in sources:
        for name in re.findall(r'^KPARAM_[A-Z]+\(\s*\w+,\s*"(\w+)"', path.read_text(errors="replace"), flags=re.M):
            found[name] = "hosted" in path.parts and found.get(name, True)
    return found


def rows(text):
    """(of the process, cells) of each row; headings of other names end a table."""
    table = None
    for line in text.splitlines():
        if line.startswith("#"):
            table = TABLES.get(line)
        elif table is not None and line.startswith("| `"):
            yield table, [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def check(known, text):
    wrong, told = [], {}
    for hosted, cells in rows(text):
        if len(cells) != 4 or not all(cells):
            wrong.append(f"not name, values, default, purpose: {cells[0]}")
        for name in re.findall(r"`(\w+)`", cells[0]):
            if name in told:
                wrong.append(f"{name} has two rows")
            told[name] = hosted
    wrong += [f"{name} has no row" for name in sorted(known.keys() - told.keys())]
    wrong += [f"{name} is no kernel argument" for name in sorted(told.keys() - known.keys())]
    wrong += [f"{name} is in the wrong table" for name in sorted(known.keys() & told.keys()) if known[name] != told[name]]
    return wrong


def sources():
    return [p for d in DIRS for p in sorted((ROOT / d).rglob("*.c")) if OTHERS not in p.parents]


def main():
    wrong = check(arguments(sources()), DOC.read_text())
    for line in wrong:
        print(f"docs/building.md: kernel arguments: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
