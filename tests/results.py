"""Counts of one test suite, kept as build/results/SUITE.json for the summary that closes `make check`."""
import json
import os


def save(path, passed, failed, not_run=(), seconds=0.0):
    """failed and not_run are lists of names; a thing not run is reported loudly, never counted as passed."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"passed": passed, "failed": list(failed), "not_run": list(not_run), "seconds": round(seconds, 1)}, f)


def line(name, counts):
    text = f"{name}: {counts['passed']} passed, {len(counts['failed'])} failed"
    if counts["not_run"]:
        text += f", {len(counts['not_run'])} NOT RUN"
    return f"{text} ({counts['seconds']} s)"
