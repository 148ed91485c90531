#!/usr/bin/env python3
"""fuzz.py - runs each target of fuzz/ by libFuzzer and AFL++ (make fuzz).

Prints a table, and for each crash the file and the command that repeats it. What is
found goes to BUILD/findings, new inputs to BUILD/inputs/TARGET. libFuzzer goes on with
those; AFL++, which tries each several times before it begins, starts from the corpus in the
repository. That is read, not written, unless --minimise says so. Status 1 if anything crashed
or an engine has not run.
"""
import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
TARGETS = ("cmdline", "multiboot2", "acpi_tables", "acpi", "alloc")
ENGINES = ("libfuzzer", "afl")
SHARES = {"alloc": 4}  # of the time; the others: 1
MAX_LEN = {"cmdline": 2200, "multiboot2": 1200, "acpi_tables": 1200, "acpi": 1200, "alloc": 256}
INPUT_SECONDS = 20  # one that takes longer counts as a hang
MOST_KEPT = 36      # inputs a target in the repository
MOST_BYTES = 400


class Run:
    """What one engine did with one target."""

    def __init__(self, target, engine):
        self.target, self.engine = target, engine
        self.executions = self.seconds = 0
        self.coverage = "-"
        self.crashes = []
        self.problem = ""


def inputs_of(build, target):
    """A directory with the corpus and what earlier runs have found."""
    inputs = build / "inputs" / target
    inputs.mkdir(parents=True, exist_ok=True)
    for seed in (CORPUS / target).glob("*"):
        shutil.copy(seed, inputs / seed.name)
    if not any(inputs.iterdir()):
        (inputs / "empty").write_bytes(b"\0")
    return inputs


def corpus_alone(build, target):
    start = build / "findings" / target / "start"
    shutil.rmtree(start, ignore_errors=True)
    start.mkdir(parents=True)
    (start / "empty").write_bytes(b"\0")
    for seed in (CORPUS / target).glob("*"):
        shutil.copy(seed, start / seed.name)
    return start


def keep(directory, prefix, data):
    (directory / f"{prefix}-{hashlib.sha1(data).hexdigest()[:12]}").write_bytes(data)


def run_libfuzzer(build, target, seconds):
    run = Run(target, "libfuzzer")
    found = build / "findings" / target / "libfuzzer"
    shutil.rmtree(found, ignore_errors=True)
    found.mkdir(parents=True)
    process = subprocess.run(
        [build / "libfuzzer" / target, f"-max_total_time={seconds}", f"-max_len={MAX_LEN[target]}",
         f"-timeout={INPUT_SECONDS}", f"-artifact_prefix={found}/", "-print_final_stats=1", "-detect_leaks=0",
         inputs_of(build, target)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=seconds + 300)
    text = process.stdout.decode(errors="replace")
    (found.parent / "libfuzzer.log").write_text(text)
    run.seconds = seconds
    units = re.findall(r"number_of_executed_units: (\d+)", text)
    run.executions = int(units[-1]) if units else 0
    coverage = re.findall(r" cov: (\d+) ft: (\d+) corp: (\d+)", text)
    if coverage:
        run.coverage = "{} edges, {} features, {} inputs".format(*coverage[-1])
    run.crashes = [p for p in sorted(found.iterdir()) if not p.name.startswith("slow-unit")]
    if process.returncode and not run.crashes:
        run.problem = f"ended with {process.returncode}, see {found.parent}/libfuzzer.log"
    return run


def run_afl(build, target, seconds):
    run = Run(target, "afl")
    inputs = inputs_of(build, target)
    out = build / "findings" / target / "afl"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    env = dict(os.environ, AFL_SKIP_CPUFREQ="1", AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1", AFL_NO_UI="1",
               AFL_NO_AFFINITY="1", AFL_NO_COLOR="1", AFL_FAST_CAL="1")
    process = subprocess.run(
        ["afl-fuzz", "-V", str(seconds), "-G", str(MAX_LEN[target]), "-m", "none", "-t", str(INPUT_SECONDS * 1000),
         "-i", corpus_alone(build, target), "-o", out, "--", build / "afl" / target],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=seconds + 300)
    (out.parent / "afl.log").write_bytes(process.stdout)
    stats_file = out / "default" / "fuzzer_stats"
    stats = {}
    if stats_file.exists():
        stats = dict(re.split(r"\s*: ", line, maxsplit=1) for line in stats_file.read_text().splitlines() if ": " in line)
    run.executions = int(stats.get("execs_done", 0))
    run.seconds = int(stats.get("run_time", 0)) or seconds
    if stats:
        run.coverage = f"{stats['edges_found']} of {stats['total_edges']} edges, {stats['corpus_count']} inputs"
    run.crashes = sorted(p for kind in ("crashes", "hangs") for p in (out / "default" / kind).glob("id:*"))
    if (process.returncode or not run.executions) and not run.crashes:
        run.problem = f"ended with {process.returncode}, see {out.parent}/afl.log"
    for new in (out / "default" / "queue").glob("id:*"):
        if ",orig:" not in new.name:
            keep(inputs, "afl", new.read_bytes())
    return run


RUNNERS = {"libfuzzer": run_libfuzzer, "afl": run_afl}


def print_row(run):
    rate = run.executions / run.seconds if run.seconds else 0
    print(f"{run.target:12} | {run.engine:9} | {run.executions:11} | {rate:9.0f} | {run.coverage:42} | "
          f"{len(run.crashes)}", flush=True)


def report(build, runs):
    bad = 0
    for run in runs:
        if run.problem:
            bad += 1
            print(f"{run.target} by {run.engine}: {run.problem}")
        for crash in run.crashes:
            bad += 1
            print(f"crash: {build / run.engine / run.target} {crash}")
            print(f"       without an engine: make {build / 'gcc' / run.target} && "
                  f"{build / 'gcc' / run.target} {crash}")
    total = sum(run.executions for run in runs)
    print(f"{total} executions, {sum(len(run.crashes) for run in runs)} crashes")
    return bad


def fuzz(build, targets, engines, seconds):
    shares = sum(SHARES.get(t, 1) for t in targets) * len(engines)
    runs = []
    print(f"{'target':12} | {'engine':9} | {'executions':>11} | {'a second':>9} | {'coverage':42} | crashes", flush=True)
    for target in targets:
        for engine in engines:
            share = max(2, seconds * SHARES.get(target, 1) // shares)
            runs.append(RUNNERS[engine](build, target, share))
            print_row(runs[-1])
    return report(build, runs)


def reached(build, target, inputs):
    """What each input reaches, as AFL++ sees it: a set of (edge, how often)."""
    with tempfile.TemporaryDirectory() as maps:
        subprocess.run(["afl-showmap", "-q", "-m", "none", "-t", str(INPUT_SECONDS * 1000), "-i", inputs, "-o", maps,
                        "--", build / "afl" / target],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return {p.name: set(p.read_text().split()) for p in pathlib.Path(maps).iterdir()}


def choose(sets, size):
    """Names, each next one that which adds most; edges first, then how often."""
    edges = {name: {word.split(":")[0] for word in words} for name, words in sets.items()}
    chosen, seen = [], (set(), set())
    while len(chosen) < MOST_KEPT:
        def gain(name):
            return (len(edges[name] - seen[0]), len(sets[name] - seen[1]), -size[name])
        best = max((n for n in sets if n not in chosen), key=gain, default=None)
        if best is None or gain(best)[1] == 0:
            break
        chosen.append(best)
        seen[0].update(edges[best])
        seen[1].update(sets[best])
    return chosen


def minimise(build, targets):
    """The few small inputs that reach most, into the repository, beside those made by hand."""
    for target in targets:
        kept = CORPUS / target
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as small:
            for path in inputs_of(build, target).iterdir():
                if path.stat().st_size <= MOST_BYTES:
                    shutil.copy(path, pathlib.Path(small) / path.name)
            size = {p.name: p.stat().st_size for p in pathlib.Path(small).iterdir()}
            chosen = choose(reached(build, target, small), size)
            for old in kept.glob("run-*"):
                old.unlink()
            for name in chosen:
                if not (kept / name).exists():
                    keep(kept, "run", (pathlib.Path(small) / name).read_bytes())
        print(f"{target}: {len(list(kept.iterdir()))} inputs kept")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="for all of it")
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--minimise", action="store_true", help="make the corpus of what was found, and leave")
    options = parser.parse_args()
    targets, engines = options.target or TARGETS, options.engine or ENGINES
    if options.minimise:
        return minimise(options.build, targets)
    return 1 if fuzz(options.build, targets, engines, options.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
