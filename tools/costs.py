#!/usr/bin/env python3
"""costs.py - what each preset costs: instructions an operation, and bytes (docs/costs.md).

Boots the replay image of every preset of tools/presets.py that is a build or has arguments,
under a clock that counts instructions, so one run is enough and the same image gives the same
figures again. The sizes of code and data are those of the image with its tests. Of a build that is
too large for the replay image all that is counted in a boot (instructions, memory for an object,
memory that is left) is that of an image without them. Accounting is no build: of its preset the
same operations are measured paid for by a group, in its rows of PAID.

  costs.py            boots them all; figures to build/bench/costs.json
  costs.py --doc      writes the tables of docs/costs.md, by the last results; the row of a
                      preset without one stays
  costs.py --only P   the presets whose name matches; the others' last results stay
"""
import argparse
import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import bench
import presets

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench" / "costs.json"
DOC = ROOT / "docs" / "costs.md"
BEGIN, END = "<!-- by tools/costs.py --doc -->", "<!-- end -->"
CASES = "bench=pair.objects,pair.pages,pair.constant,memory.overhead"
MACHINE = {"SMP": "1", "MEM": "512M"}
# Preset: the rows that it has in place of one, and the case that measures each (bench/paid.c).
PAID = {"memcg": {"memcg": "paid.below", "memcg, at its limit": "paid.limit"}}

# What stands in the tables: heading, case, row, column.
INSTRUCTIONS = (
    ("kmalloc, kfree 64", "pair.objects", "kmalloc + kfree, thread", "64"),
    ("the same, constant", "pair.constant", "kmalloc + kfree", "64"),
    ("nolock 64", "pair.objects", "kmalloc_nolock + kfree_nolock, thread", "64"),
    ("in an NMI", "pair.objects", "kmalloc_nolock + kfree_nolock, NMI", "64"),
    ("nolock 1024", "pair.objects", "kmalloc_nolock + kfree_nolock, thread", "1024"),
    ("cache 64", "pair.objects", "kmem_cache_alloc + _free", "64"),
    ("page", "pair.pages", "alloc_pages + free_pages, thread", "o0"),
    ("8 pages", "pair.pages", "alloc_pages + free_pages, thread", "o3"),
    ("2 MiB", "pair.pages", "alloc_pages + free_pages, thread", "o9"),
)
TAKEN = (("8", "memory.overhead"), ("64", "memory.overhead"), ("192", "memory.overhead"), ("1024", "memory.overhead"))


def output(words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def sizes(build):
    """Bytes: code and data of the kernel, the allocator's code, a CPU's variables."""
    code, data, bss = (int(w) for w in output(["size", f"{build}/anyctx.elf"]).splitlines()[1].split()[:3])
    objects = sorted(str(p) for p in (ROOT / build / "mm").rglob("*.o"))
    allocator = sum(int(line.split()[0]) for line in output(["size", *objects]).splitlines()[1:])
    symbols = {words[2]: int(words[0], 16) for words in map(str.split, output(["nm", f"{build}/anyctx.elf"]).splitlines())
               if len(words) == 3 and words[2].endswith("_percpu")}
    return {"code": code, "data": data + bss, "allocator": allocator,
            "a CPU": symbols["__stop_percpu"] - symbols["__start_percpu"]}


def measured(preset):
    """Is it one that costs something? The default is what the others are compared with."""
    return preset.name == "default" or preset.name in PAID or bool(preset.config or preset.args)


def names(preset):
    """Its rows."""
    return list(PAID.get(preset.name, [preset.name]))


def measure(preset):
    """{row: its figures}, or None."""
    cases = PAID.get(preset.name, {preset.name: ""})
    tests = presets.has_replay(preset.config)
    replay = f"{presets.directory(preset.config, tests)}/replay.img"
    make = ["make", "--no-print-directory", f"CONFIG={preset.config}"]
    subprocess.run([*make, "iso"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*make, f"TESTS={'yes' if tests else 'no'}", replay], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    args = f"bench={','.join(c for c in cases.values() if c)} {preset.args}" if preset.name in PAID else f"{CASES} {preset.args}"
    figures, text = bench.boot(f"costs-{preset.name}", args.strip(), MACHINE | presets.images(preset.config, tests))
    if figures is None:
        return None
    free = re.search(r"^anyctx: boot, \d+ CPUs, (\d+) MiB$", text, re.M)
    results = {row: {"figures": figures, "case": case} for row, case in cases.items()}
    if lost := [where for r in results.values() for where in INSTRUCTIONS if figure(r, *where[1:]) is None]:
        print(f"costs.py: {preset.name}: the benchmarks have no such figure: {lost}", file=sys.stderr)
        return None
    common = {"bytes": sizes(presets.directory(preset.config)), "MiB": int(free[1]) if free else 0}
    return {row: common | result for row, result in results.items()}


def known():
    return json.loads(OUT.read_text()) if OUT.exists() else {}


def shown(value):
    return "-" if value is None else f"{value:.0f}"


def figure(result, case, row, column):
    return result["figures"].get(result.get("case") or case, {}).get(row, {}).get(column)


def taken(result, column, case):
    """Bytes of memory for an object of that size, all in all."""
    percent = figure(result, case, "taken over asked, %", column)
    return "-" if percent is None else f"{int(column) * (1 + percent / 100):.1f}"


def table(order, results, heads, values, old):
    """A row by its result, or else as it was in the old table with the same headings."""
    head = "| preset | " + " | ".join(heads) + " |"
    section = old.partition(head + "\n")[2].partition("\n\n")[0]
    kept = {line.split(" | ")[0].removeprefix("| "): line for line in section.splitlines()}
    lines = [f"| {name} | " + " | ".join(values(results[name])) + " |" if name in results else kept[name]
             for name in order if name in results or name in kept]
    return [head, "|---" * (len(heads) + 1) + "|"] + lines


def document(results, old):
    """The two tables, in the order of the presets."""
    order = [row for p in presets.present() if measured(p) for row in names(p)]
    lines = ["", "Instructions of an allocation and its free at once:", ""]
    lines += table(order, results, [heading for heading, *_ in INSTRUCTIONS],
                   lambda r: [shown(figure(r, *where)) for _, *where in INSTRUCTIONS], old)
    lines += ["", "Bytes. Of the image: the whole kernel with its tests, of that the allocator's code; of each CPU's "
              "variables; of memory for an object of each", "size, all in all. MiB: what is left of 512 MiB when the kernel is up.", ""]
    heads = ["code", "data", "allocator", "a CPU"] + [f"object of {column}" for column, _ in TAKEN] + ["MiB left"]
    lines += table(order, results, heads, lambda r: [str(r["bytes"][h]) for h in heads[:4]] + [taken(r, *t) for t in TAKEN]
                   + [str(r["MiB"])], old)
    return "\n".join(lines + [""])


def rewritten(text, results):
    """The document with its tables by these results."""
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    return before + BEGIN + "\n" + document(results, old) + "\n" + END + after


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="PATTERN")
    parser.add_argument("--doc", action="store_true")
    options = parser.parse_args()
    results = known()
    if options.doc:
        DOC.write_text(rewritten(DOC.read_text(), results))
        return 0
    failed = 0
    OUT.parent.mkdir(parents=True, exist_ok=True)
    for preset in presets.present():
        if not fnmatch.fnmatch(preset.name, options.only) or not measured(preset):
            continue
        print(f"---- {preset.name}", flush=True)
        figures = measure(preset)
        failed += figures is None
        if figures:
            results |= figures
            OUT.write_text(json.dumps(results, indent=1) + "\n")
    print(document(results, ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
