#!/usr/bin/env python3
"""costs.py - what each preset costs: instructions an operation, and bytes (docs/costs.md).

Boots the replay image of every preset of tools/presets.py that is a build or has arguments,
under a clock that counts instructions, so one run is enough and the same image gives the same
figures again. Bytes are the image's own. Of a build that is too large for the replay image the
instructions are those of one without its tests.

  costs.py            boots them all; figures to build/bench/costs.json
  costs.py --doc      writes the tables of docs/costs.md, by the last results
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
CASES = "bench=pair.objects,pair.pages,pair.constant,row.nolock_thread,memory.overhead,memory.metadata"
MACHINE = {"SMP": "1", "MEM": "512M"}

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


def measure(preset):
    """Its figures, or None."""
    tests = presets.has_replay(preset.config)
    replay = f"{presets.directory(preset.config, tests)}/replay.img"
    make = ["make", "--no-print-directory", f"CONFIG={preset.config}"]
    subprocess.run([*make, "iso"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*make, f"TESTS={'yes' if tests else 'no'}", replay], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    args = f"{CASES} {preset.args}".strip()
    figures, text = bench.boot(f"costs-{preset.name}", args, MACHINE | presets.images(preset.config, tests))
    if figures is None:
        return None
    free = re.search(r"^anyctx: boot, \d+ CPUs, (\d+) MiB$", text, re.M)
    return {"figures": figures, "bytes": sizes(presets.directory(preset.config)), "MiB": int(free[1]) if free else 0}


def known():
    return json.loads(OUT.read_text()) if OUT.exists() else {}


def shown(value):
    return "-" if value is None else f"{value:.0f}"


def figure(result, case, row, column):
    return result["figures"].get(case, {}).get(row, {}).get(column)


def taken(result, column, case):
    """Bytes of memory for an object of that size, all in all."""
    percent = figure(result, case, "taken over asked, %", column)
    return "-" if percent is None else f"{int(column) * (1 + percent / 100):.1f}"


def rows(results, heads, values):
    lines = ["| preset | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(values(result)) + " |" for name, result in results.items()]
    return lines


def document(results):
    """The two tables, in the order of the presets."""
    results = {p.name: results[p.name] for p in presets.present() if p.name in results}
    lines = ["", "Instructions of an allocation and its free at once:", ""]
    lines += rows(results, [heading for heading, *_ in INSTRUCTIONS],
                  lambda r: [shown(figure(r, *where)) for _, *where in INSTRUCTIONS])
    lines += ["", "Bytes. Of the image: the whole kernel with its tests, of that the allocator's code; of each CPU's "
              "variables; of memory for an object of each", "size, all in all. MiB: what is left of 512 MiB when the kernel is up.", ""]
    heads = ["code", "data", "allocator", "a CPU"] + [f"object of {column}" for column, _ in TAKEN] + ["MiB left"]
    lines += rows(results, heads, lambda r: [str(r["bytes"][h]) for h in heads[:4]] + [taken(r, *t) for t in TAKEN]
                  + [str(r["MiB"])])
    return "\n".join(lines + [""])


def write_doc(results):
    text = DOC.read_text()
    before, _, rest = text.partition(BEGIN)
    DOC.write_text(before + BEGIN + "\n" + document(results) + "\n" + END + rest.partition(END)[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="PATTERN")
    parser.add_argument("--doc", action="store_true")
    options = parser.parse_args()
    results = known()
    if options.doc:
        write_doc(results)
        return 0
    failed = 0
    OUT.parent.mkdir(parents=True, exist_ok=True)
    for preset in presets.present():
        if not fnmatch.fnmatch(preset.name, options.only) or (preset.name != "default" and not preset.config and not preset.args):
            continue
        print(f"---- {preset.name}", flush=True)
        measured = measure(preset)
        failed += measured is None
        if measured:
            results[preset.name] = measured
            OUT.write_text(json.dumps(results, indent=1) + "\n")
    print(document(results))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
