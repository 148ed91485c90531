#!/usr/bin/env python3
"""model.py - checks the models (mm/*.pml) with spin, exhaustively within their bounds.

	tools/model.py [--only PATTERN] [--jobs N] [--markdown]

Each model is checked clean, in each of its configurations; "cycles" looks also for
runs that go round for ever. Then with each of its deliberate bugs (-D BUG_...), which
the check must find. Then, that the functions a model names are in the sources.
The last line is "N passed, N failed", and the status is 0 only if none failed. Work
goes to build/model/.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "model")
MODELS = ("words", "slab", "defer", "magazine")
MEGABYTES = 5600  # of all checks at once
SECONDS = 900
DEPTH = 200000

# Model, configuration, bounds in words.
CLEAN = [
    ("words", 1, "a split line, 2 words of 2 pages: a page, both words; 2 CPUs, 1 nested"),
    ("words", 2, "a free line, 2 words: a page, the line; 2 CPUs, 1 nested"),
    ("words", 3, "2 lines: both as one, a page, a line; 2 CPUs, 1 nested"),
    ("words", 4, "a line, 2 words: 5 calls for a word, both, the line; 1 CPU, 3 levels"),
    ("words", 5, "hints: looks for a page; there 3 levels take, split, recheck; 2 CPUs"),
    ("words", 6, "hints: looks for a line; there 2 levels take page, word, line; 2 CPUs"),
    ("words", 7, "a split line, 4 words: a page, 2 words, nested 2 words; 2 CPUs, 1 nested"),
    ("words", 8, "a split line, 2 words: both, 1 try, there light ones; 2 CPUs, 1 nested on each"),
    ("words", 9, "a split line, 2 words: a page or both, both, both, 2 tries; 3 CPUs"),
    ("slab", 1, "2 slabs of 3 on a stack: 3 refills and all frees; 2 CPUs, 1 nested"),
    ("slab", 2, "a new slab, freed into by a nested call; there refill, look, free; 2 CPUs"),
    ("slab", 3, "a trim, nested refill; there a look from outside; 2 CPUs"),
    ("slab", 4, "2 trims, one nested in a refill that frees; 2 CPUs"),
    ("slab", 5, "a look nested in a refill that frees; there refill and free; 2 CPUs"),
    ("slab", 6, "a refill that frees, one nested in it; there a look from outside; 2 CPUs"),
    ("defer", 1, "stack of 2: 3 NMIs defer, 1 not; thread, IPIs; there kick and barrier"),
    ("defer", 2, "stack of 2: 2 NMIs defer; a second item, queued twice from there"),
    ("magazine", 1, "3 slots, 4 objects: 3 calls of any sort at each of 3 levels"),
]
# These run by themselves, their states compressed.
LARGE = {("words", 8)}

# The same, looking for runs that never end.
CYCLES = [("words", 2), ("slab", 3), ("slab", 4), ("defer", 2), ("magazine", 2)]

# Model, configuration, bug, what it is; found as a run without an end if it says so.
BUGS = [
    ("words", 1, "NO_SEQ", "tags of holds without a sequence"),
    ("words", 1, "COMMIT_EARLY", "the commit before the last word is held"),
    ("words", 1, "COMMIT_STORE", "the commit is a store, whoever has undone the attempt"),
    ("words", 1, "UNDO_WORD_ONLY", "a hold is undone without failing its attempt"),
    ("words", 1, "TAKEN_SET_FREE", "a committed hold that another finds is undone, not cleaned"),
    ("words", 1, "TAKE_STORE", "pages of a word are taken by a store"),
    ("words", 1, "HELD_IS_TAKEN", "a look counts what is only held as taken"),
    ("words", 2, "PASS_HELD", "nobody undoes a hold, whoever needs it: a run without an end"),
    ("words", 7, "NO_CLEAN", "a nested attempt does not finish the committed one below it"),
    ("words", 7, "WORDS_BEFORE_CLEAN", "a nested attempt names its words before it has finished the one below"),
    ("words", 2, "WHOLE_NO_SEQ", "tags of whole lines without a sequence"),
    ("words", 5, "ONE_VERSION", "the judging look trusts hints that changed meanwhile (as the code was)"),
    ("words", 6, "NO_RECHECK", "a hint is cleared without a second look"),
    ("words", 5, "NOT_BUSY", "the judging look does not ask who is changing hints"),
    ("words", 5, "ONE_LOOK", "NULL after one last look, which a change of hints can mislead"),
    ("words", 5, "SPLIT_NOT_COUNTED", "who splits a line is not counted as changing hints"),
    ("words", 6, "GIVE_NOT_COUNTED", "who gives back is not counted as changing hints"),
    ("slab", 2, "PUBLISH_STORE", "slab_publish stores the state instead of swapping it"),
    ("slab", 4, "NO_TAG", "stacks without a tag"),
    ("slab", 6, "NO_SEQ", "state words without a sequence"),
    ("slab", 1, "UNLIST_STORE", "a slab is unlisted by a test and a store"),
    ("slab", 1, "LIST_BY_COUNT", "a free lists the slab if its count was 0, whatever ON-LIST says"),
    ("slab", 5, "CLOSE_EARLY", "a free closes its hand slot before the slab is on its stack"),
    ("slab", 3, "HAND_LATE", "the hand slot is filled after the slab has left its stack"),
    ("slab", 3, "ONE_LOOK", "one look at stacks and hands, though slabs have moved meanwhile"),
    ("slab", 4, "TRIM_ENDLESS", "two trims move slabs to and fro, as long as there are any"),
    ("defer", 1, "BARRIER_COUNTS", "the barrier counts what was served (as the code was)"),
    ("defer", 1, "NOT_CLOSED", "frees are put off while the barrier waits, so a flood may keep it"),
    ("defer", 1, "NO_KICK", "a service that gives up does not ask for another"),
    ("defer", 1, "EMPTY_BY_COUNT", "a service that has made as many as there were says that none is left"),
    ("defer", 1, "SERVE_WITH_IRQS", "the thread serves with interrupts on"),
    ("defer", 1, "NO_FIXUP", "an interrupted sequence is not sent back"),
    ("defer", 2, "PENDING_AFTER", "PENDING is cleared after the function"),
    ("defer", 2, "NEXT_LATE", "the next item is read after the function"),
    ("defer", 2, "ACK_LATE", "the interrupt is acknowledged after the list is taken"),
    ("defer", 2, "NO_IPI", "an NMI that makes the list non-empty sends no IPI"),
    ("defer", 2, "ADD_TWICE", "an item that is pending is put on the list again"),
    ("defer", 2, "ADD_STORE", "the list's head is stored, whoever has added meanwhile"),
    ("defer", 2, "NO_RUNNER", "who runs an item is not counted"),
    ("defer", 2, "END_STORE", "the runner is counted off by a load and a store"),
    ("magazine", 1, "NO_FIXUP", "an interrupted sequence is not sent back"),
    ("magazine", 1, "TOP_FIRST", "a push moves the top before it fills the slot"),
    ("magazine", 1, "CLOSE_ANYHOW", "a move does not look where the top is"),
    ("magazine", 1, "OPEN_ANYHOW", "a move does not look whether it is closed"),
]
ENDLESS = {("words", "PASS_HELD")}


def source(model):
    return os.path.join(ROOT, "mm", model + ".pml")


class Check:
    def __init__(self, model, cfg, text, bug=None, cycles=False, large=False):
        self.model, self.cfg, self.text = model, cfg, text
        self.bug, self.cycles, self.large = bug, cycles, large
        self.name = f"{model}.{cfg}" + (f"-{bug}" if bug else "") + ("-cycles" if cycles and not bug else "")
        self.directory = os.path.join(BUILD, self.name)
        self.states = self.depth = self.megabytes = 0
        self.seconds = 0.0
        self.result = ""
        self.passed = False

    def run(self, megabytes):
        os.makedirs(self.directory, exist_ok=True)
        start = time.monotonic()
        try:
            self.check(megabytes)
        except subprocess.CalledProcessError as error:
            self.result = "cannot be built: " + " ".join((error.stdout or "").split())[-200:]
        except subprocess.TimeoutExpired:
            self.result = f"no end within {SECONDS} s"
        self.seconds = time.monotonic() - start
        return self

    def tool(self, *words, checked=True):
        return subprocess.run(words, cwd=self.directory, check=checked, timeout=SECONDS, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def check(self, megabytes):
        bug = [f"-DBUG_{self.bug}"] if self.bug else []
        self.tool("spin", f"-DCFG={self.cfg}", *bug, "-a", source(self.model))
        # Where little is searched most of the time would be the compiler's.
        how = ["-O0" if self.bug or self.model != "words" else "-O1", "-DNP" if self.cycles else "-DSAFETY"]
        how += ["-DCOLLAPSE"] if self.large else []
        self.tool("gcc", *how, "-w", f"-DMEMLIM={megabytes}", "-o", "pan", "pan.c")
        log = self.tool("./pan", f"-m{DEPTH}", "-w25", "-n", *(["-l"] if self.cycles else []), checked=False)
        with open(os.path.join(self.directory, "log"), "w", encoding="utf-8") as out:
            out.write(log)
        self.judge(log)

    def judge(self, log):
        def number(pattern):
            found = re.search(pattern, log)
            return int(float(found.group(1))) if found else 0

        self.states = number(r"([\d.e+]+) states, stored")
        self.depth = number(r"depth reached (\d+)")
        self.megabytes = number(r"([\d.]+)\s+total actual memory")
        found = re.search(r"errors: (\d+)", log)
        whole = found and "Search not completed" not in log and "max search depth too small" not in log
        error = re.search(r"pan:1: (.*?) \(at depth", log)
        if not found:
            self.result = "no result: " + log.strip()[-200:]
        elif self.bug:
            self.passed = found.group(1) != "0" and error is not None
            self.result = "found" if self.passed else "NOT FOUND"
        elif found.group(1) != "0":
            self.result = "ERROR: " + (error.group(1) if error else "?")
        elif not whole:
            self.result = "not all was searched"
        else:
            self.passed = True
            self.result = "no error"

def row(cells, markdown, widths=(9, 13, 84, 10, 6, 5, 5, 9)):
    if markdown:
        return "| " + " | ".join(str(c) for c in cells) + " |"
    return " | ".join(str(c).rjust(w) if isinstance(c, int) else str(c).ljust(w) for c, w in zip(cells, widths))


def heading(cells, markdown):
    print(row(cells, markdown))
    if markdown:
        print("|" + "---|" * len(cells))


def run_all(checks, jobs, markdown):
    """The large ones at last, and one at a time."""
    small, large = [c for c in checks if not c.large], [c for c in checks if c.large]
    for some, n in ((small, jobs), (large, 1)):
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            for c in pool.map(lambda check, n=n: check.run(MEGABYTES // n), some):
                print(row((c.model, c.bug or str(c.cfg) + (" cycles" if c.cycles else ""), c.text, c.states, c.depth,
                           round(c.seconds), c.megabytes, c.result), markdown), flush=True)


def not_in_sources(models):
    """A model's head says `Models FILE: name, name; FILE: ...`: each is defined there."""
    bad = []
    for model in models:
        with open(source(model), encoding="utf-8") as f:
            head = f.read().split("*/")[0]
        files = re.findall(r"([\w/]+\.[ch]): ([\w, *\n]+)[;.]", head.split("Models ")[-1])
        for name, functions in files:
            with open(os.path.join(ROOT, name), encoding="utf-8") as f:
                text = f.read()
            bad += [f"mm/{model}.pml: {name} has no {function}" for function in re.findall(r"\w+", functions)
                    if not re.search(rf"^\w[^;=\n]*\b{function}\(", text, re.MULTILINE)]
        if not files:
            bad.append(f"mm/{model}.pml: names no functions")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="*", help="which, by name: 'slab.*', '*-NO_SEQ', ...")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="at once")
    parser.add_argument("--markdown", action="store_true", help="the tables as in docs/")
    args = parser.parse_args()
    checks = [Check(m, c, t, large=(m, c) in LARGE) for m, c, t in CLEAN]
    checks += [Check(m, c, "no run without an end", cycles=True) for m, c in CYCLES]
    checks += [Check(m, c, t, bug=b, cycles=(m, b) in ENDLESS) for m, c, b, t in BUGS]
    checks = [c for c in checks if fnmatch.fnmatch(c.name, args.only)]
    if not checks:
        sys.exit(f"model: nothing is called {args.only}")
    clean, bugs = [c for c in checks if not c.bug], [c for c in checks if c.bug]
    start = time.monotonic()
    for some, what in ((clean, ("configuration", "bounds")), (bugs, ("bug", "what it is"))):
        if some:
            heading(("model", *what, "states", "depth", "s", "MB", "verdict"), args.markdown)
            run_all(some, args.jobs, args.markdown)
            print()
    bad = not_in_sources(sorted({c.model for c in checks}))
    failed = [c for c in checks if not c.passed]
    for check in failed:
        print(f"model: {check.name}: {check.result}: see build/model/{check.name}/log; its steps: cd there, ./pan -r")
    for line in bad:
        print(f"model: {line}")
    print(f"{sum(c.states for c in clean):,} states of {len(clean)} clean models; "
          f"{sum(c.passed for c in bugs)} of {len(bugs)} bugs found; {time.monotonic() - start:.0f} s")
    print(f"{len(checks) - len(failed)} passed, {len(failed) + len(bad)} failed")
    sys.exit(1 if failed or bad else 0)


if __name__ == "__main__":
    main()
