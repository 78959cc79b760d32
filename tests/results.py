"""Counts of one test suite, kept as build/results/SUITE.json for the summary that closes `make check`."""
import json
import os


def save(path, passed, failed, not_run=(), seconds=0.0, second_try=()):
    """failed, not_run and second_try (passed only when tried again: tests/suite.py) are lists of names; a thing not run is reported loudly,
    never counted as passed."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"passed": passed, "failed": list(failed), "not_run": list(not_run), "second_try": list(second_try),
                   "seconds": round(seconds, 1)}, f)


def line(name, counts):
    text = f"{name}: {counts['passed']} passed, {len(counts['failed'])} failed"
    if counts["not_run"]:
        text += f", {len(counts['not_run'])} NOT RUN"
    if counts.get("second_try"):
        text += f", {len(counts['second_try'])} at the SECOND TRY"
    return f"{text} ({counts['seconds']} s)"
