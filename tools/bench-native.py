#!/usr/bin/env python3
"""bench-native.py - anyctx as a process beside the allocators of the distribution.

The loops are bench/native/loops.c, the same object for all. Each allocator runs in a
process of its own (anyctx: build/native/anyctx; the others: build/native/peer, with
their library preloaded), one after the other, and that several times over: A B C A B C,
group by group, so that what is compared is seconds apart. How far two processors are
from each other may change with the host's mood, so "cross" is repeated more often.
A process prints the median of its slices for each case. Of the rounds' medians this
keeps the median, the least, and the spread (largest over smallest); ratios are taken
within a round, and their median is shown.

  bench-native.py [--rounds N] [--only GROUP,...] [--out FILE]
      groups: one, two, cross, pages, memory-even, memory-log
      figures to build/bench/FILE (default native.json; `bench.py compare` reads it)

Status 1 if a process failed. What misses its limit (issue 5) is listed, and no failure.
"""
import argparse
import glob
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
NATIVE = ROOT / "build" / "native"
LIBRARIES = {"mimalloc": "libmimalloc.so.[23]*", "jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}
PEERS = ("glibc", "mimalloc", "jemalloc", "tcmalloc")
GROUPS = ("one", "two", "cross", "pages", "memory-even", "memory-log")
MEMORY = "1G"
CROSS_TIMES = 4


def library(name):
    for directory in (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib"):
        found = sorted(glob.glob(f"{directory}/{LIBRARIES[name]}"))
        if found:
            return found[0]
    sys.exit(f"bench-native.py: no {LIBRARIES[name]}: run tools/setup.sh native")


def programs(groups):
    """name: (command without the group, environment, groups)"""
    peer, times = str(NATIVE / "peer"), [g for g in groups if g != "pages"]
    todo = {"anyctx": ([str(NATIVE / "anyctx"), "cpus=2", f"mem={MEMORY}", "groups="], {}, groups)}
    for name in PEERS:
        preload = {} if name == "glibc" else {"LD_PRELOAD": library(name)}
        todo[name] = ([peer, ""], dict(preload, PEER=name), groups)
    todo["nothing"] = ([peer, ""], {"PEER": "nothing"}, times)
    if "pages" in groups:
        todo["mmap"] = ([peer, ""], {"PEER": "mmap"}, ["pages"])
    return todo


def run(name, command, environment, group):
    """[(case, column, median, least)] of one process."""
    command = command[:-1] + [command[-1] + group]
    done = subprocess.run(command, env=dict(os.environ, **environment), capture_output=True, text=True, timeout=600,
                          check=False)
    figures = []
    for line in done.stdout.splitlines():
        if line.startswith("@ "):
            case, column, median, least, _ = line[2:].split("|")
            figures.append((case, column, float(median), float(least)))
        elif line.startswith("# malloc of ") and name in LIBRARIES and name not in line:
            sys.exit(f"bench-native.py: {name} was not loaded, but {line[12:]}")
    if done.returncode or not figures:
        sys.exit(f"bench-native.py: {' '.join(command)} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr}")
    return figures


def measure(todo, groups, rounds):
    """{case: {column: {name: ([median of each round], least)}}}"""
    all_figures = {}
    for i in range(rounds):
        print(f"round {i + 1} of {rounds}:", end="", flush=True)
        for group in groups:
            print(f" {group}", end="", flush=True)
            for _ in range(CROSS_TIMES if group == "cross" else 1):
                one_turn(todo, group, all_figures)
        print(flush=True)
    return all_figures


def one_turn(todo, group, all_figures):
    for name, (command, environment, groups) in todo.items():
        for case, column, median, least in run(name, command, environment, group) if group in groups else ():
            medians, before = all_figures.setdefault(case, {}).setdefault(column, {}).get(name, ([], least))
            all_figures[case][column][name] = (medians + [median], min(least, before))


def ratio(figures, name):
    if name not in figures:
        return math.nan
    """anyctx over that one, round by round: the median."""
    return statistics.median(a / b for a, b in zip(figures["anyctx"][0], figures[name][0]))


def best_peer(figures):
    """The peer that anyctx does worst against, and the ratio to it."""
    worst = max((p for p in PEERS + ("mmap",) if p in figures), key=lambda p: ratio(figures, p))
    return worst, ratio(figures, worst)


def number(v):
    return f"{v:.2f}" if v < 100 else f"{v:.0f}"


def show(all_figures):
    names = [n for n in ("anyctx",) + PEERS + ("mmap", "nothing")]
    lines = []
    for case, columns in all_figures.items():
        here = [n for n in names if any(n in f for f in columns.values())]
        unit = "" if "%" in case else " (ns an operation: median of rounds, least)"
        lines.append(f"\n{case}{unit}")
        lines.append(f"  {'':9}" + "".join(f"{n:>17}" for n in here) + f"{'spread':>8}{'to best peer':>20}{'to glibc':>9}")
        for column, figures in columns.items():
            text = f"  {column:9}"
            for n in here:
                medians, least = figures.get(n, ([], 0))
                text += f"{number(statistics.median(medians)) + ' ' + number(least):>17}" if medians else f"{'-':>17}"
            mine = figures["anyctx"][0]
            best, times = best_peer(figures)
            text += f"{max(mine) / min(mine):8.2f}{f'{times:.2f} {best}':>20}{ratio(figures, 'glibc'):9.2f}"
            lines.append(text)
    return "\n".join(lines)


def limit(case, column):
    """What issue 5 allows: times the best peer, times glibc."""
    if case.startswith("pair") and int(column) <= 1024:
        return 1.0, None
    if case.startswith(("random replace", "freed by another", "read and freed", "peak memory")):
        return 1.1, 1.0
    return None


def judge(all_figures):
    lines, met = [], 0
    for case, columns in all_figures.items():
        for column, figures in columns.items():
            allowed = limit(case, column)
            if not allowed:
                continue
            best, times = best_peer(figures)
            to_glibc = ratio(figures, "glibc")
            if times <= allowed[0] and (allowed[1] is None or to_glibc < allowed[1]):
                met += 1
            else:
                lines.append(f"  {case}, {column}: {times:.2f} times {best} (limit {allowed[0]}), {to_glibc:.2f} times glibc")
    return f"\nlimits of issue 5: {met} met, {len(lines)} missed\n" + "\n".join(lines)


def machine():
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown")
    packages = subprocess.run(["dpkg-query", "-W", "libc6", "libmimalloc[23]*", "libjemalloc2", "libtcmalloc-minimal4*"],
                              capture_output=True, text=True, check=False).stdout.split()
    return {"cpu": cpu, "kernel": platform.release(), "packages": " ".join(packages),
            "load": " ".join(f"{x:.1f}" for x in os.getloadavg())}


def as_json(all_figures):
    """Of the form that bench.py compares: median of rounds by case, allocator, column."""
    figures, detail = {}, {}
    for case, columns in all_figures.items():
        for column, by_name in columns.items():
            for name, (medians, least) in by_name.items():
                figures.setdefault(case, {}).setdefault(name, {})[column] = statistics.median(medians)
                detail.setdefault(case, {}).setdefault(name, {})[column] = {"rounds": medians, "least": least}
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True,
                              check=False).stdout.strip() or "unknown"
    return {"revision": revision, "boots": {"native": {"machine": machine(), "figures": figures}}, "detail": detail}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default=",".join(GROUPS), metavar="GROUP,...")
    parser.add_argument("--out", default="native.json", metavar="FILE")
    options = parser.parse_args()
    groups = options.only.split(",")
    if not set(groups) <= set(GROUPS):
        sys.exit(f"bench-native.py: groups are {', '.join(GROUPS)}")
    all_figures = measure(programs(groups), groups, options.rounds)
    text = show(all_figures) + "\n" + judge(all_figures)
    print(text)
    OUT.mkdir(parents=True, exist_ok=True)
    out = OUT / options.out
    out.write_text(json.dumps(as_json(all_figures), indent=1) + "\n")
    out.with_suffix(".txt").write_text(text + "\n")
    print(f"\nfigures: {out.relative_to(ROOT)}, table: {out.with_suffix('.txt').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
