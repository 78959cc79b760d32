#!/usr/bin/python3
"""Runs the unit tests (cmocka programs), several at a time, and prints what failed with its output."""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import results  # noqa: E402

AT_A_TIME = 6  # more than there are cores: the longest ones wait for a clock
SECONDS = 300 * float(os.environ.get("NF_SLOWER", "1"))  # a test that hangs is a failed test


def run(program):
    try:
        done = subprocess.run([os.path.abspath(program)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
        return done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as e:
        return "no end after %d s" % SECONDS, (e.stdout or b"").decode("utf-8", "replace")


def judge(program, code, text):
    """(number passed, [failed]). A program that dies in the middle has failed whatever it had said before."""
    name = "/".join(program.split("/")[-2:])
    passed = len(re.findall(r"^\[       OK \]", text, re.M))
    failed = sorted(set(re.findall(r"^\[  FAILED  \] (?!\d+ test)(?:[\w/]+: )?(\w\S*)", text, re.M)))
    if code != 0 and not failed:
        failed = [f"ended with {code}"]
    if code == 0 and passed == 0:
        failed = ["it ran no test"]
    return passed, [f"{name}: {f}" for f in failed]


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--results", required=True)
    args.add_argument("programs", nargs="*")
    opt = args.parse_args()
    start = time.monotonic()
    passed, failed = 0, []
    programs = opt.programs[::-1]  # those that wait are in upload/ and throttle/, the last ones
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        for program, (code, text) in zip(programs, pool.map(run, programs)):
            ok, bad = judge(program, code, text)
            passed += ok
            failed += bad
            if bad:
                print(f"== {program} ({code})\n{text}")
    counts = dict(passed=passed, failed=failed, not_run=[], seconds=round(time.monotonic() - start, 1))
    results.save(os.path.join(opt.results, "unit.json"), passed, failed, (), time.monotonic() - start)
    for name in failed:
        print("FAILED", name)
    print(results.line(f"unit ({len(opt.programs)} programs)", counts))
    sys.exit(1 if failed else 0)


main()
