#!/usr/bin/env python3
"""soak.py - the main job for hours: again and again, with CPUs, memory, machine,
seeds and injected failures by chance.

Each run lasts a minute at the most and ends with all pages counted and all structures
walked, so conservation is looked at each minute. Runs take turns on three machines:

  kernel   in QEMU with a thread a CPU: fast, and no two runs are equal
  hosted   as a process of this system: the same
  replay   in QEMU under a clock that counts instructions: slower, but the line that is
           printed for a failure repeats it exactly

What a run is to be depends on the seed, its number and --run-seconds alone. A failure prints the
line that runs the same again, and the soak goes on. The last lines are the totals and
"N passed, N failed"; the status is 0 only if none failed.

  soak.py --hours 0.5 [--seed N] [--run-seconds 55] [--machines kernel,hosted,replay]
          [--first N] [--runs N]

--first N --runs 1 with the seed is run N alone. Logs of failures stay in build/soak/.
"""
import argparse
import random
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "soak"
HOSTED = "build/hosted/anyctx"
MACHINES = ("kernel", "hosted", "kernel", "replay")  # in turn
REPLAY_SHARE = 25  # a second under the counting clock takes about so many of ours
CONTEXTS = ("thread", "irq", "nmi", "debug")


@dataclass
class Run:
    number: int
    machine: str
    smp: int
    mem: int  # MiB
    args: str
    limit: int  # seconds until it counts as hung

    def environment(self):
        env = {"SMP": str(self.smp), "MEM": f"{self.mem}M", "ARGS": self.args, "TIMEOUT": str(self.limit)}
        return env | ({"REPLAY": "yes"} if self.machine == "replay" else {})

    def command(self):
        if self.machine == "hosted":
            return f"{HOSTED} cpus={self.smp} mem={self.mem}M {self.args}"
        words = [f"{k}={shlex.quote(v)}" for k, v in self.environment().items()]
        return " ".join(words + ["tools/qemu.sh"])


def knobs(rng):
    """Failures by chance: none in a third of the runs."""
    if rng.random() < 1 / 3:
        return ""
    words = [f"fail_seed={rng.randrange(1, 1 << 31)}", f"fail_at_hand={rng.randrange(2)}"]
    if rng.random() < 0.6:
        words.append(f"failslab_ppm={rng.choice((10, 1000, 20000, 200000))}")
        if rng.random() < 0.3:
            words.append("failslab_in=" + ",".join(rng.sample(CONTEXTS, rng.randrange(1, 4))))
        if rng.random() < 0.2:
            words.append("failslab_cache=" + rng.choice(("kmalloc-64", "kmalloc-96", "kmalloc-4k", "workload-200")))
    if rng.random() < 0.8 or len(words) == 2:
        words.append(rng.choice((f"fail_page_ppm={rng.choice((1000, 50000, 300000))}",
                                 f"fail_page_interval={rng.randrange(2, 500)}")))
        if rng.random() < 0.3:
            words.append("fail_page_orders=" + ",".join(map(str, sorted(rng.sample(range(11), rng.randrange(1, 5))))))
        if rng.random() < 0.2:
            words.append("fail_page_in=" + ",".join(rng.sample(CONTEXTS, rng.randrange(1, 4))))
    return " ".join(words)


def make_run(number, seed, machines, run_seconds):
    rng = random.Random(f"{seed}/{number}")
    machine = [m for m in MACHINES if m in machines][number % sum(m in machines for m in MACHINES)]
    smp = rng.choice((1, 2, 2, 3, 4, 4, 8, 16))
    mem = rng.choice((64, 96, 128, 256, 512, 1024))
    seconds = max(1, run_seconds // REPLAY_SHARE) if machine == "replay" else run_seconds
    if machine == "replay":
        smp = min(smp, 4)
    words = [f"seconds={seconds}", f"seed={rng.randrange(1, 1 << 31)}"]
    if machine == "hosted" and rng.random() < 0.5:
        nodes = rng.randrange(1, 1 + min(smp, 4))
        words.append(f"nodes={nodes}")
        if nodes > 1 and rng.random() < 0.5:
            words.append(f"memless={rng.randrange(nodes)}")
        if rng.random() < 0.5:
            words.append("holes=20M-24M,0x3001000-0x3003000")
    words.append(knobs(rng))
    return Run(number, machine, smp, mem, " ".join(filter(None, words)), 4 * run_seconds + 180 + 10 * smp)


def start(run):
    """Its status, and what it said."""
    try:
        if run.machine == "hosted":
            done = subprocess.run([ROOT / HOSTED, f"cpus={run.smp}", f"mem={run.mem}M", *run.args.split()], cwd=ROOT,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=run.limit, check=False)
            return done.returncode, done.stdout.decode(errors="replace")
        log = LOGS / "current.log"
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LOG": str(log.relative_to(ROOT))} | run.environment()
        done = subprocess.run([ROOT / "tools" / "qemu.sh"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        text = log.read_text(errors="replace") if log.exists() else ""
        return done.returncode, text.replace("\r", "") + done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as e:
        return 124, (e.stdout or b"").decode(errors="replace")


def longest(text):
    """Nolock calls that were measured, and what part of its bound the longest took."""
    found = re.findall(r"^longest of (\d+) nolock calls .*: (\d+) instructions .* bound (\d+)$", text, re.M)
    return sum(int(f[0]) for f in found), max((int(f[1]) / int(f[2]) for f in found), default=0)


def problems(run, status, text):
    found = [] if status == 0 else [f"status {status}"]
    if run.machine == "replay" and not longest(text)[0]:
        found.append("no call was measured")
    if "terminating on signal" in text:
        found.append("QEMU was stopped from outside, which says nothing about the kernel")
    for pattern, wanted in ((r"^failures while memory was free: (\d+)", "0"),
                            (r"counters unlike the walk: (\d+)", "0"), (r"^errors in blocks: (\d+)", "0"),
                            (r"reports of bad use: (\d+)", "0"), (r"^main job: (passed|FAILED)$", "passed")):
        got = re.findall(pattern, text, re.M)
        if got != [wanted]:
            found.append(f"'{pattern}' gives {got}, wanted {wanted}")
    pages = re.findall(r"^pages at boot (\d+), pages now (\d+)", text, re.M)
    if len(pages) != 1 or pages[0][0] != pages[0][1]:
        found.append(f"pages at boot and now: {pages}")
    return found


def allocations(text):
    """By context, from the table."""
    sums = dict.fromkeys(CONTEXTS, 0)
    for name, n in re.findall(r"^(thread|irq|nmi|debug) +(\d+) ", text, re.M):
        sums[name] += int(n)
    return sums


def inside(text):
    """Allocations in NMIs that interrupted the allocator; NULLs of them while memory was free."""
    found = re.findall(r"^NMIs that interrupted the allocator: (\d+) .* NULL, (\d+) of them while", text, re.M)
    return [sum(int(f[i]) for f in found) for i in (0, 1)]


def injected(text):
    return sum(int(n) for n in re.findall(r"^failures injected, \w+: (\d+) of", text, re.M))


def report(run, found, text):
    kept = LOGS / f"run-{run.number}.log"
    kept.write_text(text)
    print(f"  FAILED: {'; '.join(found)}\n  again: {run.command()}")
    if run.machine != "replay":
        print("  (the same load, not the same order of events: that depends on the host)")
    for line in text.splitlines()[-25:]:
        print("  | " + "".join(c if c.isprintable() else "?" for c in line))
    print(f"  all of it: {kept.relative_to(ROOT)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--run-seconds", type=int, default=55)
    parser.add_argument("--machines", default="kernel,hosted,replay")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1 << 30)
    options = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.hours * 3600
    within, measured, part = [0, 0], 0, 0
    total, refused, passed, failed = dict.fromkeys(CONTEXTS, 0), 0, 0, 0
    seconds = max(1, min(options.run_seconds, int(options.hours * 3600 / 4)))
    print(f"soak: {options.hours:g} h, seed {options.seed}, runs of {seconds} s", flush=True)
    number = options.first
    while number < options.first + options.runs and (number == options.first or time.monotonic() < end):
        run = make_run(number, options.seed, options.machines.split(","), seconds)
        begin = time.monotonic()
        print(f"[{number:4}] {run.command()}", flush=True)
        status, text = start(run)
        found, counts = problems(run, status, text), allocations(text)
        print(f"       {time.monotonic() - begin:.0f} s, NMI allocations {counts['nmi']} ({inside(text)[0]} in the allocator), "
              f"injected {injected(text)}, "
              + ("failed" if found else "passed"), flush=True)
        if found:
            report(run, found, text)
        total = {c: total[c] + counts[c] for c in CONTEXTS}
        within = [a + b for a, b in zip(within, inside(text))]
        refused += injected(text)
        measured, part = measured + longest(text)[0], max(part, longest(text)[1])
        passed, failed, number = passed + (not found), failed + bool(found), number + 1
    print("allocations: " + ", ".join(f"{c} {n}" for c, n in total.items()) + f"; failures injected: {refused}")
    print(f"allocations in NMIs that interrupted the allocator: {within[0]}, NULL while memory was free: {within[1]}")
    print(f"nolock calls measured in replays: {measured}, the longest {part:.2%} of its bound")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
