#!/usr/bin/env python3
"""bench.py - boots the benchmarks in QEMU and keeps what they print.

The kernel prints a table for people and a line "@ case|row|column|value" for each
figure. Each boot counts instructions exactly (-icount shift=0), so one run is
enough and the same image gives the same figures again.

  bench.py run [--only PATTERN] [--out FILE] [--quick]
      the boots whose name matches; figures to build/bench/FILE (default
      latest.json), tables to the .txt beside it, plots to .svg files
  bench.py compare A.json B.json
      what moved from A to B, by more than MOVED of it, the largest first

A run fails if a boot does, or if it printed no figures.
"""
import argparse
import fnmatch
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
LOGS = ROOT / "build" / "logs"
FIGURE = re.compile(r"^@ ([^|]+)\|(?:([^|]+)\|)?([^|]+)\|(-?[0-9.]+)$")
MOVED = 0.01
ICOUNT = "-icount shift=0,sleep=off"


def boots(quick):
    """name, kernel arguments, machine"""
    todo = [("main", "bench=pair.*,row.*,single.*", {"SMP": "1", "MEM": "2G"})]
    return todo


def boot(name, args, machine):
    """One boot: its figures {case: {row: {column: value}}} and its console, or None."""
    log = LOGS / f"bench-{name}.log"
    env = dict(os.environ, ACCEL="tcg", EXTRA=ICOUNT, ARGS=args, LOG=str(log), TIMEOUT="1200", **machine)
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


def revision():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() or "unknown"


def run(options):
    todo = [b for b in boots(options.quick) if fnmatch.fnmatch(b[0], options.only)]
    result = {"revision": revision(), "boots": {}}
    shown = []
    for name, args, machine in todo:
        begin = time.monotonic()
        print(f"---- {name}: {' '.join(f'{k}={v}' for k, v in machine.items())} {args}", flush=True)
        figures, text = boot(name, args, machine)
        if figures is None:
            return 1
        result["boots"][name] = {"machine": figures.pop("machine")[""], "figures": figures}
        shown.append(tables(text))
        print(shown[-1])
        print(f"     ({time.monotonic() - begin:.0f} s)", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    out = OUT / options.out
    out.write_text(json.dumps(result, indent=1) + "\n")
    out.with_suffix(".txt").write_text("\n".join(shown) + "\n")
    print(f"figures: {out.relative_to(ROOT)}, tables: {out.with_suffix('.txt').relative_to(ROOT)}")
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
            moved.append(((b[key] + 0.01) / (a[key] + 0.01), key))
    moved.sort(key=lambda m: (-max(m[0], 1 / m[0]), m[1]))
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
    sub.add_argument("--quick", action="store_true")
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
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
