#!/usr/bin/env python3
"""mutants.py - puts deliberate bugs into copies of the tree, one at a time, and
demands that the test named with each of them fails.

A mutant is a patch in tests/mutants/, NN-name.patch, below these lines:

  What: the bug, in a sentence
  Row: N and in our words what went wrong elsewhere (docs/mutants.md), or -
  Test: suite.case,... as the kernel takes it; one of them at least must fail
  On: kernel SMP=2 [CONFIG=: a variant of the build; MEM= ARGS= ACCEL= EXTRA= ...: tools/qemu.sh]
      or: hosted cpus=2 [SAN=address,undefined] [ARGS=]
  Note: anything else (optional)

Lines that begin with white space go on with the one before. For each mutant: a
copy of the tree with what has been built there, the patch (which has to apply,
`patch -F2`), make, and the tests named. It is KILLED if a case named fails, or if the
run ends in a panic, a hang or a reset while one of them runs; else it SURVIVED,
also if the machine dies before. The tree as it is has to pass the same tests on the
same machine, which is tried as well. The status is 0 only if all were killed.

  mutants.py [PATTERN]      all, or those whose name matches
  mutants.py --check        only: every patch applies and says what it should
  mutants.py --doc          writes the table into docs/mutants.md, by the last results; what
                            was not tried here keeps the line it has there
  --slots N                 so many at a time (2)
"""
import argparse
import fnmatch
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

import presets

ROOT = Path(__file__).resolve().parent.parent
PATCHES = ROOT / "tests" / "mutants"
WORK = ROOT / "build" / "mutants"
BASE = WORK / "base"  # the tree as it is, built
RESULTS = WORK / "results.json"
SOUND = WORK / "sound.json"  # of one tree: the selections that it passes
DOC = ROOT / "docs" / "mutants.md"
DOC_BEGIN, DOC_END = "<!-- by tools/mutants.py --doc -->", "<!-- end -->"
KEYS = ("What", "Row", "Test", "On", "Note")

_spec = importlib.util.spec_from_file_location("run_tests", ROOT / "tools" / "run-tests.py")
run_tests = importlib.util.module_from_spec(_spec)
sys.modules["run_tests"] = run_tests
_spec.loader.exec_module(run_tests)


class Problem(Exception):
    """The mutant cannot be tried: nothing is known about it."""


@dataclass
class Mutant:
    name: str
    path: Path
    what: str = ""
    row: str = ""
    test: str = ""
    on: str = ""
    note: str = ""
    settings: dict = field(default_factory=dict)

    @property
    def hosted(self):
        return self.on.split()[0] == "hosted"

    @property
    def number(self):
        return self.row.split()[0]

    @property
    def targets(self):
        if self.hosted:
            return ["hosted", f"SAN={self.san}", f"CONFIG={self.config}"]
        return [f"{self.out}/replay.img" if "REPLAY" in self.settings else "iso", f"CONFIG={self.config}"]

    @property
    def config(self):
        return self.settings.get("CONFIG", "")

    @property
    def out(self):
        return f"build/{self.config}" if self.config else "build"

    @property
    def san(self):
        return self.settings.get("SAN", "")


def read_mutant(path):
    header, last = {}, None
    text, found, _ = path.read_text().partition("\n--- ")
    if not found:
        raise Problem(f"{path.name}: no patch below the header")
    for line in text.splitlines():
        key, colon, rest = line.partition(":")
        if line[:1].isspace() and last:
            header[last] += " " + line.strip()
        elif colon and key in KEYS:
            last = key
            header[key] = rest.strip()
        elif line.strip():
            raise Problem(f"{path.name}: not a line of a header: {line}")
    missing = [k for k in KEYS[:-1] if not header.get(k)]
    if missing:
        raise Problem(f"{path.name}: no {', '.join(missing)}")
    m = Mutant(path.stem, path, header["What"], header["Row"], header["Test"], header["On"], header.get("Note", ""))
    kind, *words = shlex.split(m.on)
    m.settings = dict(w.split("=", 1) for w in words)
    if kind not in ("kernel", "hosted") or not re.match(r"(\d+ \S|-$)", m.row):
        raise Problem(f"{path.name}: On: {m.on}, Row: {m.row}")
    return m


# ---- trees ----

def run(words, cwd, what, env=None):
    done = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode:
        raise Problem(f"{what}: " + " / ".join(done.stdout.strip().splitlines()[-6:]))


def update_base():
    """The sources into BASE; what has not changed keeps its time, so little is built. Returns
    a hash of all but the mutants and the documents."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in wanted:
        source, target = ROOT / name, BASE / name
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for target in [p for p in BASE.rglob("*") if p.is_file()]:
        name = target.relative_to(BASE).as_posix()
        if not name.startswith("build/") and name not in wanted:
            target.unlink()
    sources = sorted(n for n in wanted if not n.startswith(("tests/mutants/", "docs/")) and not n.endswith(".md"))
    return hashlib.sha256(b"".join(n.encode() + b"\0" + (BASE / n).read_bytes() for n in sources)).hexdigest()


def build(tree, mutant):
    words = ["make", "--no-print-directory", "-j2"]
    words += mutant.targets
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "T", "M")}
    run(words, tree, "it does not build", env)


def apply(tree, mutant, *options):
    run(["patch", "-p1", "-F2", "-N", "-s", "--no-backup-if-mismatch", "-i", mutant.path, *options], tree,
        "the patch does not apply")


# ---- one run ----

@dataclass
class Run:
    status: int
    text: str
    seconds: float


def command(mutant):
    args = " ".join(f"test={mutant.test} {mutant.settings.get('ARGS', '')}".split())
    if mutant.hosted:
        san = "".join("-" + {"address": "asan", "undefined": "ubsan", "thread": "tsan"}.get(s, s)
                      for s in mutant.san.split(",") if s)
        return [f"{mutant.out}/hosted{san}/anyctx", f"cpus={mutant.settings['cpus']}", *shlex.split(args)], {}
    machine = {k: v for k, v in mutant.settings.items() if k not in ("ARGS", "CONFIG")}
    return ["tools/qemu.sh"], machine | presets.images(mutant.config) | {"ARGS": args}


def run_in(tree, mutant, limit):
    """Runs the tests named; its own limit, and Ctrl-C, end all that it started."""
    words, settings = command(mutant)
    log = tree / "build" / "logs" / "mutant.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {k: v for k, v in os.environ.items()
           if k not in ("REPLAY", "SMP", "MEM", "ARGS", "FIRMWARE", "NUMA", "MACHINE", "CPU", "T", "M", "ISO", "EXTRA")}
    env |= settings | {"TIMEOUT": str(int(limit)), "LOG": "build/logs/qemu.log"}
    begin = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen(words, cwd=tree, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(limit + (0 if mutant.hosted else 20))
        except subprocess.TimeoutExpired:
            status = run_tests.HANG
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    text = log.read_text(errors="replace").replace("\r", "")
    return Run(status, text, time.monotonic() - begin)


def named(test, case):
    return any(case == word or (word.endswith("*") and case.startswith(word[:-1])) for word in test.split(","))


def running_case(text):
    """The case that had begun and not ended at the end of the log; None: none."""
    suite, case = "", None
    for line in text.splitlines():
        if m := run_tests.SUBTEST.match(line):
            suite, case = m[1], None
        elif run_tests.RESULT.match(line):
            case = None
        elif (m := re.match(r"  # (\w+): ", line)) and case is None and suite:
            case = f"{suite}.{m[1]}"
    return case


def first_note(ktap, case):
    notes = [n for n in ktap.details.get(case, []) if "FAILED" in n]
    return re.sub(r"^# FAILED on CPU \d+: ", "", notes[0]) if notes else ""


def judge(mutant, outcome):
    """(killed, how)"""
    ktap = run_tests.Ktap(outcome.text.splitlines())
    failed = [c for c in ktap.failed if named(mutant.test, c)]
    if failed:
        return True, f"{failed[0]}: {first_note(ktap, failed[0])}"
    case = running_case(outcome.text)
    end = run_tests.STATUS_NAMES.get(outcome.status, f"ended by {outcome.status}")
    if case and outcome.status == run_tests.FAIL:
        end = "died"
    if case and named(mutant.test, case) and outcome.status not in (run_tests.PASS, run_tests.NO_QEMU):
        why = re.search(r"^PANIC on .*?: (.*)$|^(==\d+==ERROR: .*|WARNING: ThreadSanitizer.*|.*runtime error:.*)$",
                        outcome.text, re.M)
        return True, f"{case}: {end.split(':')[0]}" + (f", {why[1] or why[2]}" if why else "")
    if outcome.status != run_tests.PASS:
        return False, f"no case named failed, but: {end}" + (f" in {case}" if case else "")
    return False, "all passed"


# ---- all of them ----

class Session:
    def __init__(self, slots, tree):
        self.slots = Queue()
        for i in range(slots):
            self.slots.put(WORK / f"slot{i}")
        self.lock = threading.Lock()
        self.tree = tree
        known = json.loads(SOUND.read_text()) if SOUND.exists() else {}
        self.sound = known.get(tree, {})  # machine and tests -> the seconds that the tree as it is took

    def base_seconds(self, tree, mutant):
        """The unpatched tree has to pass: otherwise a failure would show nothing."""
        key = f"{mutant.on} {mutant.test}"
        with self.lock:
            if key in self.sound:
                return self.sound[key]
        outcome = run_in(tree, mutant, 300)
        ktap = run_tests.Ktap(outcome.text.splitlines())
        problems = ktap.errors + ktap.failed
        if outcome.status != run_tests.PASS or problems or not ktap.passed:
            (WORK / "logs" / f"{mutant.name}.log").write_text(outcome.text)
            raise Problem(f"the tree as it is does not pass: status {outcome.status} {problems[:3]}")
        with self.lock:
            self.sound[key] = outcome.seconds
            SOUND.write_text(json.dumps({self.tree: self.sound}, indent=1) + "\n")
        return outcome.seconds

    def fresh(self, tree):
        shutil.rmtree(tree, ignore_errors=True)
        run(["cp", "-a", BASE, tree], WORK, "no copy")

    def attempt(self, mutant, tree):
        self.fresh(tree)
        took = self.base_seconds(tree, mutant)
        apply(tree, mutant)
        build(tree, mutant)
        outcome = run_in(tree, mutant, 3 * took + 25)
        (WORK / "logs" / f"{mutant.name}.log").write_text(outcome.text)
        return judge(mutant, outcome)

    def try_one(self, mutant):
        tree = self.slots.get()
        begin = time.monotonic()
        try:
            killed, how = self.attempt(mutant, tree)
            verdict = "killed" if killed else "SURVIVED"
        except Problem as e:
            verdict, how = "UNTRIED", str(e)
        finally:
            self.slots.put(tree)
        seconds = time.monotonic() - begin
        print(f"{mutant.name:34} | {mutant.number:>2} | {mutant.test:30} | {verdict:8} | {how[:150]} | {seconds:.0f} s",
              flush=True)
        result = {"name": mutant.name, "verdict": verdict, "how": how, "seconds": round(seconds)}
        with self.lock:
            save(result)
        return result


def prepare(mutants):
    BASE.mkdir(parents=True, exist_ok=True)
    (WORK / "logs").mkdir(exist_ok=True)
    tree = update_base()
    for one in {tuple(m.targets): m for m in mutants}.values():
        build(BASE, one)
    return tree


def save(result):
    known = {r["name"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    known[result["name"]] = result
    RESULTS.write_text(json.dumps(sorted(known.values(), key=lambda r: r["name"]), indent=1) + "\n")


def run_all(mutants, slots):
    begin = time.monotonic()
    session = Session(slots, prepare(mutants))
    print(f"{'mutant':34} | row | test | verdict | how | time", flush=True)
    with ThreadPoolExecutor(slots) as pool:
        results = list(pool.map(session.try_one, mutants))
    count = {v: sum(r["verdict"] == v for r in results) for v in ("killed", "SURVIVED", "UNTRIED")}
    for r in results:
        if r["verdict"] != "killed":
            print(f"{r['verdict']}: {r['name']}: {r['how']} (build/mutants/logs/{r['name']}.log)")
    print(f"{len(results)} mutants in {time.monotonic() - begin:.0f} s"
          + (f"; {count['UNTRIED']} did not apply, build or have a sound tree" if count["UNTRIED"] else ""))
    print(f"{count['killed']} killed, {count['SURVIVED'] + count['UNTRIED']} survived")
    return 0 if count["killed"] == len(results) else 1


# ---- without running any ----

def check(mutants):
    suites = {m for f in (ROOT / "tests").rglob("*.c") for m in re.findall(r"^\s*TEST\((\w+),", f.read_text(), re.M)}
    rows = set(re.findall(r"^\| (\d+) \|", DOC.read_text(), re.M)) if DOC.exists() else set()
    bad = 0
    for m in mutants:
        try:
            apply(ROOT, m, "--dry-run")
            if unknown := [w for w in m.test.split(",") if not fnmatch.filter(suites, w.split(".")[0])]:
                raise Problem(f"no such suite: {unknown}")
            if m.number != "-" and m.number not in rows:
                raise Problem(f"docs/mutants.md has no row {m.number}")
        except Problem as e:
            print(f"mutants: {m.name}: {e}")
            bad += 1
    print(f"mutants: {len(mutants) - bad} of {len(mutants)} patches apply")
    return 1 if bad else 0


def doc_table(mutants):
    results = {r["name"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    kept = {line.split(" | ")[0][2:]: line for line in DOC.read_text().splitlines() if re.match(r"\| \d+-", line)}
    lines = ["| mutant | the bug | row | test that fails | where | last result |", "|---|---|---|---|---|---|"]
    for m in mutants:
        if m.name not in results and m.name in kept:
            lines.append(kept[m.name])
            continue
        r = results.get(m.name, {"verdict": "not tried", "how": ""})
        how = r["how"].replace("|", "/").replace("*", "\\*")
        cells = [m.name, m.what + (f" ({m.note})" if m.note else ""), m.number, f"`{m.test}`", m.on,
                 f"{r['verdict']}" + (f": {how[:110]}" if how else "")]
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    killed = sum("| killed" in line for line in lines)
    lines.append(f"\n{killed} of {len(mutants)} killed.")
    return "\n".join(lines)


def write_doc(mutants):
    before, _, rest = DOC.read_text().partition(DOC_BEGIN)
    after = rest.partition(DOC_END)[2]
    DOC.write_text(f"{before}{DOC_BEGIN}\n{doc_table(mutants)}\n{DOC_END}{after}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--doc", action="store_true")
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    try:
        mutants = [read_mutant(p) for p in sorted(PATCHES.glob("*.patch"))]
        mutants = [m for m in mutants if any(fnmatch.fnmatch(m.name, p) for p in (options.pattern or "*").split(","))]
        if not mutants:
            raise Problem(f"no mutant matches {options.pattern}")
        if options.check:
            return check(mutants)
        return write_doc(mutants) if options.doc else run_all(mutants, options.slots)
    except Problem as e:
        print(f"mutants: {e}")
        return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted")
        os._exit(130)
