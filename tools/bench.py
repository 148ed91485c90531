#!/usr/bin/env python3
"""bench.py - boots the benchmarks in QEMU and keeps what they print.

The kernel prints a table for people and a line "@ case|row|column|value" for each
figure. Each boot counts instructions exactly (-icount shift=0), so one run is
enough and the same image gives the same figures again.

  bench.py run [--only PATTERN] [--out FILE]
      the boots whose name matches; figures to build/bench/FILE (default
      latest.json), tables to the .txt beside it, plots to .svg files
  bench.py compare A.json B.json
      what moved from A to B, by more than MOVED of it, the largest first; shares of
      functions come last

A run fails if a boot does, or if it printed no figures.
"""
import argparse
import fnmatch
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
LOGS = ROOT / "build" / "logs"
FIGURE = re.compile(r"^@ ([^|]+)\|(?:([^|]+)\|)?([^|]+)\|(-?[0-9.]+)$")
MOVED = 0.01


def boots():
    """name, kernel arguments, machine"""
    todo = [("main", "bench=pair.*,bulk.*,row.*,single.*,replace.*,commit.*,memory.*,boot.*", {"SMP": "1", "MEM": "2G"}),
            ("remote", "bench=remote.*", {"SMP": "2", "MEM": "2G"}),
            ("trace", "bench=trace.*,profile.*", {"SMP": "2", "MEM": "1G"})]
    for smp in (1, 2, 4, 16, 64):
        todo.append((f"cpus-{smp}", "bench=growth.*,boot.*", {"SMP": str(smp), "MEM": "1G"}))
    for mem in ("64M", "256M", "4G", "16G"):
        todo.append((f"mem-{mem}", "bench=growth.*,boot.*", {"SMP": "1", "MEM": mem}))
    return todo


def boot(name, args, machine):
    """One boot: its figures {case: {row: {column: value}}} and its console, or None."""
    log = LOGS / f"bench-{name}.log"
    env = dict(os.environ, REPLAY="yes", ARGS=args, LOG=str(log), TIMEOUT="1200", **machine)
    status = subprocess.run([str(ROOT / "tools" / "qemu.sh")], env=env, cwd=ROOT, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, check=False)
    text = log.read_text(errors="replace").replace("\r", "") if log.exists() else ""
    figures = {}
    for line in text.splitlines():
        m = FIGURE.match(line)
        if m:
            case, row, column, value = m.groups()
            figures.setdefault(case, {}).setdefault(row or "", {})[column] = float(value)
    if status.returncode or len(figures) < 2:
        print(f"bench.py: boot {name} failed (status {status.returncode})", file=sys.stderr)
        sys.stderr.write("\n".join(text.splitlines()[-20:] + [status.stderr]))
        return None, text
    return figures, text


def tables(text):
    """The part of the console that is for people."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("Instructions an operation")), 0)
    return "\n".join(line for line in lines[start:] if not line.startswith(("@ ", "# anyctx:")))


def elf():
    """Of the image that is booted: make names it where it is a variant's."""
    return ROOT / Path(os.environ.get("REPLAY_IMG") or "build/replay.img").with_name("anyctx.elf")


def image():
    """Sizes in KiB of what is loaded, and of the image's text."""
    sizes = {}
    for line in subprocess.run(["size", "-A", str(elf())], capture_output=True, text=True,
                               check=False).stdout.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] in (".text", ".rodata", ".ksyms", ".data", ".percpu", ".bss"):
            sizes[words[0]] = int(words[1]) / 1024
    return {"image.size": {"KiB": sizes}} if sizes else {}


# ---- growth: the same row of many boots

def growth(result):
    """{(prefix, row, state): [(boot's number, value)]} for the boots named prefix-number."""
    lines = {}
    for name, b in result["boots"].items():
        prefix, _, number = name.partition("-")
        if not number:
            continue
        for row, states in b["figures"].get("growth.states", {}).items():
            for state, value in states.items():
                lines.setdefault((prefix, row), {}).setdefault(state, []).append((number, value))
        for row, columns in b["figures"].get("boot.parts", {}).items():
            for column, value in columns.items():
                lines.setdefault((prefix, "boot: " + row), {}).setdefault(column, []).append((number, value))
    return lines


def growth_tables(result):
    out = []
    for (prefix, row), states in sorted(growth(result).items()):
        numbers = [n for n, _ in next(iter(states.values()))]
        out.append(f"\n{row}, by {'CPUs' if prefix == 'cpus' else 'memory'}")
        out.append(f"  {'':10}" + "".join(f"{n:>10}" for n in numbers))
        for state, points in states.items():
            out.append(f"  {state:10}" + "".join(f"{v:10.1f}" for _, v in points))
    return "\n".join(out)


# ---- plots: lines over named columns, a logarithmic scale upwards

COLOURS = ("#1b6ca8", "#c0392b", "#27763d", "#8e44ad", "#d68910", "#16a085", "#7f8c8d", "#2c3e50")


def svg(title, unit, lines):
    """lines: {name: [(column, value)]}, all with the same columns."""
    width, height, left, right, top, bottom = 860, 420, 70, 300, 40, 50
    columns = []
    for points in lines.values():
        columns += [c for c, _ in points if c not in columns]
    values = [max(v, 0.1) for points in lines.values() for _, v in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)
    high = max(high, low + 1)

    def x(column):
        return left + (width - left - right) * columns.index(column) / max(len(columns) - 1, 1)

    def y(value):
        return top + (height - top - bottom) * (high - math.log10(max(value, 0.1))) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="22" font-size="15">{escape(title)}</text>',
           f'<text x="14" y="{top + 60}" transform="rotate(-90 14 {top + 60})" text-anchor="end">{escape(unit)}</text>']
    for power in range(low, high + 1):
        at = y(10 ** power)
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0 ** power:g}</text>')
    for column in columns:
        out.append(f'<text x="{x(column):.1f}" y="{height - bottom + 18}" text-anchor="middle">{escape(column)}</text>')
    for i, (name, points) in enumerate(lines.items()):
        colour, dash = COLOURS[i % len(COLOURS)], "5 3" if i >= len(COLOURS) else ""
        path = " ".join(f"{x(c):.1f},{y(v):.1f}" for c, v in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
                   f'stroke-dasharray="{dash}"/>')
        out += [f'<circle cx="{x(c):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for c, v in points]
        at = top + 10 + 18 * i
        out.append(f'<line x1="{width - right + 14}" x2="{width - right + 36}" y1="{at}" y2="{at}" stroke="{colour}" '
                   f'stroke-width="2" stroke-dasharray="{dash}"/>'
                   f'<text x="{width - right + 42}" y="{at + 4}">{escape(name)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


PLOTS = (("pair.objects", "One object allocated and freed", "instructions"),
         ("pair.pages", "One block of pages allocated and freed", "instructions"),
         ("row.nolock_thread", "256 in a row, then freed, thread", "instructions each"),
         ("row.nolock_nmi", "256 in a row, then freed, NMI", "instructions each"),
         ("single.thread", "Single operations, 2,048 held, thread", "instructions"),
         ("single.pages", "Single blocks of pages, 2,048 held", "instructions"),
         ("row.pages_nolock", "256 blocks of pages in a row, then freed", "instructions each"),
         ("replace.random", "Random replacement over 10,000", "instructions"),
         ("replace.pages", "Random replacement of pages over 10,000", "instructions"),
         ("replace.few", "Random replacement of large blocks over 200", "instructions"),
         ("remote.batches", "Allocated on one CPU, freed on another", "instructions each"),
         ("remote.pages", "Pages allocated on one CPU, freed on another", "instructions each"))


def plots(result, stem):
    made = []
    for case, title, unit in PLOTS:
        for b in result["boots"].values():
            rows = b["figures"].get(case)
            if rows:
                lines = {row: list(columns.items()) for row, columns in rows.items() if "%" not in row and row != "held"}
                made.append((case, svg(title, unit, lines)))
    for prefix, what in (("cpus", "CPUs"), ("mem", "memory")):
        lines = {}
        for (p, row), states in growth(result).items():
            if p == prefix and not row.startswith("boot"):
                lines.update({f"{row[:34]}, {state}": points for state, points in states.items()
                              if state in ("empty", "99 %")})
        if lines:
            made.append((f"growth-{prefix}", svg(f"The same operations by {what}", "instructions", lines)))
    for name, text in made:
        stem.with_name(f"{stem.name}-{name}.svg").write_text(text)
    return len(made)


def revision():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() or "unknown"


def run(options):
    todo = [b for b in boots() if fnmatch.fnmatch(b[0], options.only)]
    result = {"revision": revision(), "boots": {}}
    shown = []
    for name, args, machine in todo:
        begin = time.monotonic()
        print(f"---- {name}: {' '.join(f'{k}={v}' for k, v in machine.items())} {args}", flush=True)
        figures, text = boot(name, args, machine)
        if figures is None:
            return 1
        if name == "main":
            figures.update(image())
        result["boots"][name] = {"machine": figures.pop("machine")[""], "figures": figures}
        shown.append(tables(text))
        print(shown[-1])
        print(f"     ({time.monotonic() - begin:.0f} s)", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    out = OUT / options.out
    out.write_text(json.dumps(result, indent=1) + "\n")
    tables_of_growth = growth_tables(result)
    print(tables_of_growth)
    out.with_suffix(".txt").write_text("\n".join(shown) + "\n" + tables_of_growth + "\n")
    n = plots(result, out.with_suffix(""))
    print(f"figures: {out.relative_to(ROOT)}, tables: {out.with_suffix('.txt').relative_to(ROOT)}, {n} plots beside")
    return 0


def flat(path):
    data = json.loads(Path(path).read_text())
    return {(boot, case, row, column): value
            for boot, b in data["boots"].items() for case, rows in b["figures"].items()
            for row, columns in rows.items() for column, value in columns.items()}


def compare(options):
    a, b = flat(options.a), flat(options.b)
    moved = []
    for key in a.keys() & b.keys():
        if abs(b[key] - a[key]) > MOVED * max(abs(a[key]), 1):
            moved.append(((b[key] + 1) / (a[key] + 1), key))
    moved.sort(key=lambda m: (m[1][1].startswith("profile"), -max(m[0], 1 / m[0]), m[1]))
    for ratio, key in moved:
        boot_name, case, row, column = key
        print(f"{'worse ' if ratio > 1 else 'better'} {ratio:6.2f}  {a[key]:12.2f} -> {b[key]:12.2f}  "
              f"{boot_name}: {case}, {row}, {column}")
    print(f"{len(moved)} of {len(a.keys() & b.keys())} figures moved by more than {MOVED:.0%}; "
          f"{len(b.keys() - a.keys())} new, {len(a.keys() - b.keys())} gone")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    sub = commands.add_parser("run")
    sub.add_argument("--only", default="*", metavar="PATTERN")
    sub.add_argument("--out", default="latest.json", metavar="FILE")
    sub.set_defaults(func=run)
    sub = commands.add_parser("compare")
    sub.add_argument("a")
    sub.add_argument("b")
    sub.set_defaults(func=compare)
    options = parser.parse_args()
    return options.func(options)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
