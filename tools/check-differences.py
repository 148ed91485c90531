#!/usr/bin/env python3
"""check-differences.py - each public call has its row in docs/differences.md.

A public call is a function or a macro with arguments of include/anyctx/NAME.h whose
name does not begin with an underscore. Its row stands in a table below "## NAME.h" and
has the name between backticks in its first cell. Rows have four cells: call, anyctx,
Linux, why; one that begins with "the same" needs no reason. Status 1 if something is
missing; each is told.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_CALLS = {"if", "while", "for", "switch", "return", "sizeof", "defined"}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def top_level(text):
    """The text outside of braces, and without what macros stand for."""
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"^[ \t]*#.*$", "", text, flags=re.M)
    out, depth = [], 0
    for c in text:
        depth -= c == "}"
        if depth == 0:
            out.append(";" if c == "}" else c)
        depth += c == "{"
    return "".join(out)


def calls_of(header):
    """Names of its functions and of its macros with arguments."""
    text = without_comments(header.read_text())
    names = set(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\(", text, flags=re.M))
    for declaration in top_level(text).split(";"):
        declaration = re.sub(r"__(attribute|asm)__\s*\(\([^)]*\)\)|__(asm__|printf|aligned|section)\s*\([^)]*\)", " ", declaration)
        found = re.match(r"\s*[\w\s*]*?\b(\w+)\s*\(", declaration)
        if found and not declaration.lstrip().startswith("typedef") and not found[1].isupper():
            names.add(found[1])
    return {n for n in names if not n.startswith("_") and n not in NOT_CALLS}


def sections(text):
    """Header -> its table's rows, as lists of cells; a title may name several."""
    rows, names = {}, []
    for line in text.splitlines():
        if line.startswith("## "):
            names = line[3:].strip().split(", ")
        elif names and line.startswith("|") and not set(line) <= set("|-: "):
            for name in names:
                rows.setdefault(name, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def check(headers, text):
    wrong, told = [], sections(text)
    for header in headers:
        calls = calls_of(header)
        rows = told.get(header.name, [])
        named = set(re.findall(r"\w+", " ".join(" ".join(re.findall(r"`[^`]*`", row[0])) for row in rows)))
        wrong += [f"{header.name}: {call} has no row" for call in sorted(calls - named)]
        for row in rows:
            if len(row) != 4:
                wrong.append(f"{header.name}: not four cells: {row[0]}")
            elif not row[3] and not row[1].startswith("the same"):
                wrong.append(f"{header.name}: no reason: {row[0]}")
    return wrong


def main():
    headers = sorted((ROOT / "include/anyctx").glob("*.h"))
    wrong = check(headers, (ROOT / "docs/differences.md").read_text())
    for line in wrong:
        print(f"docs/differences.md: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
