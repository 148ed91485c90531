#!/usr/bin/env python3
"""coverage.py - which lines of mm/ run: in the kernel and as a process, together.

Boots the instrumented kernel (make COVERAGE=yes BUILD=build/coverage iso hosted) and
runs the instrumented process, sums what gcov says of each line, prints a table by file
and every line that did not run, and writes build/coverage/html/index.html.

The kernel's counters come through QEMU's debugcon (arch/x86_64/coverage.c), the
process's from the compiler's library. They are changed by locked instructions, so none
is lost whatever nests; were they not, two who count at once could lose one, which
changes how often a line ran, but never makes it none.

A line that cannot run, or that no test reaches, has its reason in docs/coverage.md, in
a table row "| file | function | `text of the line` | reason |". The status is 0 if at least
--goal per cent of the lines ran and each other one has a reason.

  coverage.py [--goal 95] [--build build/coverage] [--report-only]
"""
import argparse
import html
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAGIC = 0x766F6367
FAIL = "fail_page_ppm=100000 failslab_ppm=20000"

# Left out: what interrupts each instruction, and counts them, as these are others; and what
# does so in a process by two system calls each.
SLOW = "-printk*,-inject.*,-lines.interrupted,-words.interrupted"
# The boots: name, settings of tools/qemu.sh. What is not a test may fail, as the panic does.
KERNEL = [
    ("suite-smp4", {"SMP": "4", "ARGS": "test=*,-entry*,-inject.*"}),
    ("suite-numa", {"SMP": "4", "NUMA": "0:128M 1-2: 3:128M", "ARGS": "test=*,-entry*,-printk*,-inject.*"}),
    ("suite-64M", {"SMP": "2", "MEM": "64M", "ARGS": "test=*,-entry*,-printk*,-inject.*"}),
    ("job", {"SMP": "4", "ARGS": "seconds=10"}),
    ("job-fail", {"SMP": "2", "ARGS": f"seconds=5 {FAIL} failslab_in=nmi,irq fail_page_orders=0,1,2,9"}),
    ("bad-free", {"SMP": "1", "ARGS": "crash=badfree panic_on_bad_free=1"}),
    ("no-memory", {"SMP": "1", "MEM": "16M", "ARGS": "test=fail.*"}),
]
HOSTED = [
    ("suite-cpus1", f"cpus=1 test=*,{SLOW}", ""),
    ("suite-nodes", f"cpus=6 mem=128M nodes=4 memless=2 test=*,{SLOW}", ""),
    ("suite-holes", f"cpus=3 mem=96M holes=20M-24M,0x3001000-0x3003000 nodes=2 test=*,{SLOW}", ""),
    ("job", "cpus=4 seconds=5", ""),
    ("job-fail", f"cpus=4 seconds=5 {FAIL} fail_at_hand=0", ""),
    ("bad-frees", "cpus=1 crash=badfree", ""),
    ("no-cache", "cpus=1 crash=nocache", ""),
    ("many-cpus", "cpus=64 mem=64M test=lib.*", ""),
    ("much-memory", "cpus=2 mem=16G holes=20M-24M test=lib.*", ""),
    ("no-memory", "cpus=1 mem=3M", ""),
    ("no-early-memory", "cpus=64 mem=3M", ""),
    ("little-left", "cpus=64 mem=16M", ""),
    ("tail", "cpus=1 mem=64M holes=0-16777k test=lib.*", ""),
    ("bad-knobs", "failslab_in=nobody", ""),
    ("bad-orders", "fail_page_orders=0,12", ""),
    ("shell", "cpus=2 mem=64M seconds=1 shell=1", "meminfo\nslabinfo\nbuddyinfo\nexit\n"),
]


def say(text):
    print(text, flush=True)


# ---- the kernel's counters as gcov's files ----

class Words:
    """Reads what arch/x86_64/coverage.c has written."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        self.at += size
        if self.at > len(self.data):
            raise ValueError("the kernel's counters end too soon")
        return self.data[self.at - size:self.at]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]


def gcc_major(version):
    """From gcov's version word, as "B22*": letter for tens, digit for ones."""
    text = version.to_bytes(4, "big").decode()
    return (ord(text[0]) - ord("A")) * 10 + int(text[1])


def gcda_of(words):
    """One object file's counters: path, and contents of its .gcda."""
    if words.u32() != MAGIC:
        raise ValueError("the kernel's counters are garbled")
    version = words.u32()
    stamps = [words.u32() for _ in range(words.u32())]
    path = words.take(words.u32()).decode()
    bytes_a_length = 1 if gcc_major(version) >= 12 else 4  # lengths were in words before
    out = struct.pack("<II", 0x67636461, version) + b"".join(struct.pack("<I", s) for s in stamps)
    for _ in range(words.u32()):
        ids, n = words.take(12), words.u32()
        values = words.take(8 * n)
        out += struct.pack("<II", 0x01000000, 12 // bytes_a_length) + ids
        out += struct.pack("<II", 0x01A10000, len(values) // bytes_a_length) + values
    return path, out + struct.pack("<I", 0)


def unpack(data):
    words, files = Words(data), {}
    while words.at < len(data):
        path, contents = gcda_of(words)
        files[path] = contents
    return files


# ---- lines ----

def gcov(files, counts):
    """Add what gcov says of these .gcda files to counts[file][line]: [how often, function]."""
    done = subprocess.run([os.environ.get("GCOV", "gcov"), "--json-format", "--stdout", *map(str, files)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
    for text in done.stdout.splitlines():
        for file in json.loads(text)["files"]:
            name = file["file"]
            if not name.startswith("mm/"):
                continue
            lines = counts.setdefault(name, {})
            for line in file["lines"]:
                number = line["line_number"]
                lines[number] = [lines.get(number, [0])[0] + line["count"], line.get("function_name", "")]


def run_kernel(build, name, settings, counts):
    dump = build / "runs" / f"kernel-{name}.bin"
    dump.unlink(missing_ok=True)
    env = os.environ | settings | {"ISO": str(build / "anyctx.iso"), "EXTRA": f"-debugcon file:{dump}",
                                   "LOG": str((build / "runs" / f"kernel-{name}.log").relative_to(ROOT)),
                                   "TIMEOUT": "900"}
    status = subprocess.run([ROOT / "tools" / "qemu.sh"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
    files = unpack(dump.read_bytes()) if dump.exists() else {}
    for path, contents in files.items():
        Path(path).write_bytes(contents)
    if files:
        gcov(files, counts)
    for path in files:
        Path(path).unlink()
    say(f"  kernel {name:12} status {status}, counters of {len(files)} files")
    return status, len(files)


def run_hosted(build, name, args, typed):
    with open(build / "runs" / f"hosted-{name}.log", "wb") as log:
        done = subprocess.run([build / "hosted" / "anyctx", *args.split()], cwd=ROOT, input=typed.encode(), stdout=log,
                              stderr=log, timeout=1800, check=False)
    say(f"  hosted {name:12} status {done.returncode}")
    return done.returncode


def measure(build):
    counts = {}
    shutil.rmtree(build / "runs", ignore_errors=True)
    (build / "runs").mkdir()
    for stale in (build / "hosted").rglob("*.gcda"):
        stale.unlink()
    for name, settings in KERNEL:
        run_kernel(build, name, settings, counts)
    for name, args, typed in HOSTED:
        run_hosted(build, name, args, typed)
    gcov(sorted((build / "hosted" / "mm").glob("*.gcda")), counts)
    (build / "lines.json").write_text(json.dumps(counts))
    return counts


# ---- reports ----

def source(name):
    return (ROOT / name).read_text().splitlines()


def reasons():
    """(file, function, text of the line) -> reason."""
    doc = ROOT / "docs" / "coverage.md"
    rows = re.findall(r"^\| (mm/\S+) \| (\w+) \| `(.*)` \| (.*) \|$", doc.read_text(), re.M) if doc.exists() else []
    return {(file, function, text.replace(r"\|", "|")): why for file, function, text, why in rows}


def share(lines):
    """How many lines, and how many of them ran."""
    return len(lines), sum(count > 0 for count, _ in lines.values())


def table(counts):
    say(f"{'file':22} {'lines':>6} {'run':>6} {'%':>7}")
    total = ran = 0
    for name in sorted(counts):
        lines, hit = share(counts[name])
        total, ran = total + lines, ran + hit
        say(f"{name:22} {lines:6} {hit:6} {100 * hit / lines:7.2f}")
    say(f"{'all':22} {total:6} {ran:6} {100 * ran / total:7.2f}")
    return 100 * ran / total


def uncovered(counts):
    """File, line, what identifies it, for each that did not run."""
    for name in sorted(counts):
        text = source(name)
        for number in sorted(counts[name]):
            count, function = counts[name][number]
            if not count:
                yield number, (name, function, text[number - 1].strip())


STYLE = "body{font:14px sans-serif}pre{margin:0}td{padding:0 1em}.n{background:#fcc}.y{background:#dfd}.r{text-align:right}"


def page(title, body):
    return f"<!DOCTYPE html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}"


def write_html(counts, why, out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    index = ""
    for name in sorted(counts):
        lines, hit = share(counts[name])
        link = name.replace("/", "_") + ".html"
        index += (f"<tr><td><a href={link}>{name}</a><td class=r>{lines}<td class=r>{hit}"
                  f"<td class=r>{100 * hit / lines:.2f} %")
        rows = ""
        for number, text in enumerate(source(name), 1):
            n, function = counts[name].get(number, (None, ""))
            reason = why.get((name, function, text.strip()), "") if n == 0 else ""
            shade = "" if n is None else f" class={'y' if n else 'n'}"
            rows += (f"<tr{shade}><td class=r>{number}<td class=r>{'' if n is None else n}"
                     f"<td><pre>{html.escape(text).expandtabs(8)}</pre><td>{html.escape(reason)}")
        (out / link).write_text(page(name, f"<table>{rows}</table>"))
    (out / "index.html").write_text(page("Lines of mm/ that ran", "<table><tr><th>file<th>lines<th>run<th>" + index
                                         + "</table>"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goal", type=float, default=95)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "coverage")
    parser.add_argument("--report-only", action="store_true", help="of the last measurement")
    options = parser.parse_args()
    build, why = options.build.resolve(), reasons()
    counts = json.loads((build / "lines.json").read_text()) if options.report_only else measure(build)
    counts = {name: {int(n): c for n, c in lines.items()} for name, lines in counts.items()}
    ran = table(counts)
    bare = 0
    for number, line in uncovered(counts):
        name, function, text = line
        bare += line not in why
        say(f"not run: {name}:{number} in {function}: {text}    [{why.get(line, 'NO REASON')}]")
    write_html(counts, why, build / "html")
    say(f"{ran:.2f} % of the lines of mm/ ran; {bare} of the others have no reason in docs/coverage.md")
    say(f"report: {build / 'html' / 'index.html'}")
    return 0 if ran >= options.goal and not bare else 1


if __name__ == "__main__":
    sys.exit(main())
