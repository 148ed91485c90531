#!/usr/bin/env python3
"""model.py - checks the models (mm/*.pml) with spin, exhaustively within their bounds.

	tools/model.py [--only PATTERN] [--jobs N] [--markdown]

Each model is checked clean, in each of its configurations, and then with each of its
deliberate bugs (-D BUG_...), which the check must find. "cycles": also that no run goes
round for ever. Prints a table; the last line is "N passed, N failed", and the status is
0 only if none failed. Work goes to build/model/.
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
MEGABYTES = 4000  # of one check
SECONDS = 600
DEPTH = 200000

# Model, configuration, bounds in words.
CLEAN = [
    ("words", 1, "1 split line of 2 words of 2 pages; takes of a page or both words; 2 CPUs, one nested call"),
    ("words", 2, "1 line of 2 words; takes of a page or the line; 2 CPUs, one nested call"),
    ("words", 3, "2 lines; a take of both, of a page or a line; 2 CPUs, one nested call"),
    ("words", 4, "1 line of 2 words; 5 takes of a word, both or the line; 1 CPU, 3 levels"),
    ("words", 5, "hints: a look for a page; on the other CPU 3 levels that take, split and recheck"),
    ("words", 6, "hints: a look for a line; on the other CPU 2 levels that take page, word, line"),
    ("words", 7, "1 line of 4 words; takes of a page or two words; 2 CPUs, one nested call of two words"),
    ("slab", 1, "2 slabs of 3 on a stack; 3 refills and all frees; 2 CPUs, one nested call"),
    ("slab", 2, "a new slab, freed into by a nested call; the other CPU refills, looks, frees"),
    ("slab", 3, "a trim, a nested refill; the other CPU looks from outside"),
    ("slab", 4, "2 trims, one nested in a refill that frees; 2 CPUs"),
    ("slab", 5, "a look nested in a refill that frees; the other CPU refills and frees"),
    ("slab", 6, "a refill that frees, and one nested in it; the other CPU looks from outside"),
    ("defer", 1, "3 NMIs that defer, 1 that does not; thread, IPIs, kick and barrier from the other CPU"),
    ("defer", 2, "2 NMIs that defer; a second work item, queued twice from the other CPU"),
    ("magazine", 1, "3 slots, 4 objects; 3 levels of 3 calls of any sort"),
]

# The same, looking for runs that never end.
CYCLES = [("words", 2), ("slab", 3), ("slab", 4), ("defer", 2), ("magazine", 2)]

# Model, configuration, bug, what it is.
BUGS = [
    ("words", 1, "NO_SEQ", "tags of holds without a sequence"),
    ("words", 1, "COMMIT_EARLY", "the commit before the last word is held"),
    ("words", 1, "COMMIT_STORE", "the commit is a store, whoever has undone the attempt"),
    ("words", 1, "UNDO_WORD_ONLY", "a hold is undone without failing its attempt"),
    ("words", 7, "NO_CLEAN", "a nested attempt does not finish the committed one below it"),
    ("words", 7, "WORDS_BEFORE_CLEAN", "a nested attempt names its words before it has finished the one below"),
    ("words", 2, "WHOLE_NO_SEQ", "tags of whole lines without a sequence"),
    ("words", 5, "ONE_VERSION", "the judging look trusts hints that changed meanwhile (as the code was)"),
    ("words", 6, "NO_RECHECK", "a hint is cleared without a second look"),
    ("words", 5, "NOT_BUSY", "the judging look does not ask who is changing hints"),
    ("words", 5, "ONE_LOOK", "NULL after one last look, which a change of hints can mislead"),
    ("slab", 2, "PUBLISH_STORE", "slab_publish stores the state instead of swapping it"),
    ("slab", 4, "NO_TAG", "stacks without a tag"),
    ("slab", 6, "NO_SEQ", "state words without a sequence"),
    ("slab", 1, "UNLIST_STORE", "a slab is unlisted by a test and a store"),
    ("slab", 1, "LIST_BY_COUNT", "a free lists the slab if its count was 0, whatever ON-LIST says"),
    ("slab", 5, "CLOSE_EARLY", "a free closes its hand slot before the slab is on its stack"),
    ("slab", 3, "HAND_LATE", "the hand slot is filled after the slab has left its stack"),
    ("slab", 3, "ONE_LOOK", "one look at stacks and hands, though slabs have moved meanwhile"),
    ("defer", 1, "BARRIER_COUNTS", "the barrier counts what was served (as the code was)"),
    ("defer", 1, "NO_KICK", "a service that gives up does not ask for another"),
    ("defer", 1, "SERVE_WITH_IRQS", "the thread serves with interrupts on"),
    ("defer", 1, "NO_FIXUP", "an interrupted sequence is not sent back"),
    ("defer", 2, "PENDING_AFTER", "PENDING is cleared after the function"),
    ("defer", 2, "NEXT_LATE", "the next item is read after the function"),
    ("defer", 2, "ACK_LATE", "the interrupt is acknowledged after the list is taken"),
    ("defer", 2, "NO_IPI", "an NMI that makes the list non-empty sends no IPI"),
    ("magazine", 1, "NO_FIXUP", "an interrupted sequence is not sent back"),
]


class Check:
    def __init__(self, model, cfg, bug=None, cycles=False, text=""):
        self.model, self.cfg, self.bug, self.cycles, self.text = model, cfg, bug, cycles, text
        self.name = f"{model}.{cfg}" + (f"-{bug}" if bug else "") + ("-cycles" if cycles else "")
        self.states = self.transitions = self.depth = 0
        self.seconds = 0.0
        self.result = ""
        self.passed = False

    def run(self):
        directory = os.path.join(BUILD, self.name)
        os.makedirs(directory, exist_ok=True)
        start = time.monotonic()
        try:
            self.check(directory)
        except subprocess.CalledProcessError as error:
            self.result = "cannot be built: " + " ".join((error.stdout or "").split())[-200:]
        except subprocess.TimeoutExpired:
            self.result = f"no end within {SECONDS} s"
        self.seconds = time.monotonic() - start
        return self

    def check(self, directory):
        def tool(*words, checked=True):
            return subprocess.run(words, cwd=directory, check=checked, timeout=SECONDS, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

        defines = [f"-DCFG={self.cfg}"] + ([f"-DBUG_{self.bug}"] if self.bug else [])
        tool("spin", *defines, "-a", os.path.join(ROOT, "mm", self.model + ".pml"))
        tool("gcc", "-O1", "-w", "-DNP" if self.cycles else "-DSAFETY", f"-DMEMLIM={MEGABYTES}", "-o", "pan", "pan.c")
        log = tool("./pan", f"-m{DEPTH}", "-w25", "-n", *(["-l"] if self.cycles else []), checked=False)
        with open(os.path.join(directory, "log"), "w", encoding="utf-8") as out:
            out.write(log)
        self.judge(log)

    def judge(self, log):
        def number(pattern):
            found = re.search(pattern, log)
            return int(float(found.group(1))) if found else 0

        self.states = number(r"([\d.e+]+) states, stored")
        self.transitions = number(r"([\d.e+]+) transitions")
        self.depth = number(r"depth reached (\d+)")
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

    def row(self, markdown):
        cells = (self.name, f"{self.states}", f"{self.transitions}", f"{self.depth}", f"{self.seconds:.0f}",
                 self.result, self.text)
        if markdown:
            return "| " + " | ".join(cells) + " |"
        return "{:<27}{:>10}{:>11}{:>6}{:>5}  {:<11} {}".format(*cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="*", help="which, by name: 'slab.*', '*-BUG', ...")
    parser.add_argument("--jobs", type=int, default=1, help="at once; each takes up to 4 GB")
    parser.add_argument("--markdown", action="store_true", help="the table for docs/verification.md")
    args = parser.parse_args()
    checks = [Check(m, c, text=t) for m, c, t in CLEAN]
    checks += [Check(m, c, cycles=True, text="no run without an end") for m, c in CYCLES]
    checks += [Check(m, c, bug=b, text=t) for m, c, b, t in BUGS]
    checks = [c for c in checks if fnmatch.fnmatch(c.name, args.only)]
    if not checks:
        sys.exit(f"model: nothing is called {args.only}")
    if args.markdown:
        print("| model | states | transitions | depth | s | result | bounds |\n|---|---|---|---|---|---|---|")
    else:
        print("{:<27}{:>10}{:>11}{:>6}{:>5}  {:<11} {}".format("model", "states", "transit.", "depth", "s", "result",
                                                               "bounds, or the bug"))
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for check in pool.map(Check.run, checks):
            print(check.row(args.markdown), flush=True)
    failed = [c for c in checks if not c.passed]
    for check in failed:
        print(f"model: {check.name}: {check.result}: see build/model/{check.name}/log; its steps: cd there, ./pan -r")
    clean = [c for c in checks if not c.bug]
    print(f"{sum(c.states for c in clean)} states of {len(clean)} clean models; "
          f"{sum(c.passed for c in checks if c.bug)} of {len(checks) - len(clean)} bugs found")
    print(f"{len(checks) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
