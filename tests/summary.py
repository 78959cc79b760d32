#!/usr/bin/python3
"""The summary that closes `make check`: one line a suite, then one for all. Fails when a suite failed or left no result."""
import argparse
import json
import os
import sys

import results


def main():
    args = argparse.ArgumentParser()
    args.add_argument("folder")
    args.add_argument("suites", nargs="+")
    args.add_argument("--failed", default="", help="suites whose command failed")
    opt = args.parse_args()
    broken = set(opt.failed.split())
    passed, failed, not_run, late, seconds = 0, [], [], [], 0.0
    print("\n==== summary")
    for suite in opt.suites:
        path = os.path.join(opt.folder, suite + ".json")
        if not os.path.exists(path):
            print(f"{suite}: no result")
            failed.append(f"{suite}: it did not build or did not run")
            continue
        with open(path, encoding="utf-8") as f:
            counts = json.load(f)
        print(results.line(suite, counts))
        passed += counts["passed"]
        failed += [f"{suite}: {name}" for name in counts["failed"]]
        not_run += [f"{suite}: {name}" for name in counts["not_run"]]
        late += [f"{suite}: {name}" for name in counts.get("second_try", [])]
        seconds += counts["seconds"]
        if suite in broken and not counts["failed"]:
            failed.append(f"{suite}: its command failed")
    for name in failed:
        print(f"FAILED   {name}")
    for name in not_run:
        print(f"NOT RUN  {name}")
    for name in late:
        print(f"SECOND TRY  {name} passed only when it was tried again: it or the program has a race")
    text = f"{passed} passed, {len(failed)} failed"
    if not_run:
        text += f", {len(not_run)} NOT RUN"
    print(f"{text} in {seconds:.0f} s")
    sys.exit(1 if failed else 0)


main()
