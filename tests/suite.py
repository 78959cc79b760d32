#!/usr/bin/python3
"""Runs one pytest suite, several tests at once, and what failed a second time, alone. A test that passes only then is told as SECOND TRY in
the summary: it, or the program, has a race that somebody must mend; but one race in a thousand tests does not hide what the others say.
More than FEW failures are no race, and stay what they are.

  tests/suite.py --results F.json [--jobs N] [pytest's arguments]
"""
import argparse
import json
import os
import subprocess
import sys

import results

FEW = 4


def pytest(jobs, counts_file, *args):
    command = [sys.executable, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", "tests", "-p", "no:cacheprovider", "--results", counts_file]
    if jobs > 1:
        command += ["-n", str(jobs), "--dist", "loadgroup"]
    if os.path.exists(counts_file):
        os.remove(counts_file)
    code = subprocess.run([*command, *args], check=False).returncode
    if not os.path.exists(counts_file):
        sys.exit(code or 1)
    with open(counts_file, encoding="utf-8") as f:
        return json.load(f), code


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--results", required=True)
    args.add_argument("--jobs", type=int, default=1)
    opt, rest = args.parse_known_args()
    counts, code = pytest(opt.jobs, opt.results, *rest)
    again = [name for name in counts["failed"] if "::" in name]
    if again and len(again) == len(counts["failed"]) <= FEW:
        print(f"\n{len(again)} failed; each once more, alone", flush=True)
        options = [a for a in rest if not os.path.exists(a)]
        second, code = pytest(1, opt.results + ".second", *options, *[os.path.join("tests", name) for name in again])
        os.remove(opt.results + ".second")
        late = [name for name in again if name not in second["failed"]]
        if second["passed"] != len(late):
            late = []
        results.save(opt.results, counts["passed"] + len(late), [n for n in again if n not in late], counts["not_run"],
                     counts["seconds"] + second["seconds"], late)
        code = code or (0 if len(late) == len(again) else 1)
    sys.exit(code)


main()
