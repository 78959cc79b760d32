#!/usr/bin/python3
"""`make lint`: the tree's rules (layers.py), layout by clang-format, cppcheck, and the syntax of scripts. Before the tree is judged, each
checker has to complain of its bad sample in tests/lint/samples: one that was never seen to fail does not count."""
import argparse
import collections
import glob
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import results  # noqa: E402
import layers  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLES = os.path.join(ROOT, "tests", "lint", "samples")
CPPCHECK = ["cppcheck", "-q", "-j2", "--std=c11", "--enable=warning,portability", "--error-exitcode=1", "--inline-suppr", "-I.",
            "--suppress=missingIncludeSystem", "--suppress=preprocessorErrorDirective", "--suppress=invalidPrintfArgType_uint",
            "--suppress=invalidPrintfArgType_sint", "--suppress=unknownMacro", "--suppress=duplicateAssignExpression", "--suppress=arrayIndexThenCheck",
            "--template={file}:{line}: {message} [{id}]"]


def sources(root):
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(d for d in folders if d not in ("build", ".git", "samples"))
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names if n.endswith((".c", ".h"))]
    return sorted(found)


def run(command, root):
    """[] or the lines of what the command complains of."""
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return [] if done.returncode == 0 else (done.stdout.decode("utf-8", "replace").splitlines() or [f"{command[0]} failed"])


def layout(root, files):
    config = os.path.join(ROOT, ".clang-format")
    lines = run(["clang-format", f"--style=file:{config}", "--dry-run", "-Werror", *files], root)
    places = collections.Counter(line.split(":")[0] for line in lines if ": error: " in line)
    return [f"{path}: {n} places are not as clang-format would have them: make format" for path, n in places.items()]


def cppcheck(root, files):
    program = [f for f in files if f.endswith(".c")]
    return run([*CPPCHECK, *program], root) if program else []


def scripts(root, _):
    bad = []
    for path in sorted(glob.glob(os.path.join(root, "tests", "**", "*.py"), recursive=True)):
        if "samples" in os.path.relpath(path, root):
            continue
        try:
            with open(path, encoding="utf-8") as f:
                compile(f.read(), path, "exec")
        except SyntaxError as e:
            bad.append(f"{os.path.relpath(path, root)}:{e.lineno}: {e.msg}")
    for path in sorted(glob.glob(os.path.join(root, "tests", "**", "*.sh"), recursive=True)) + [os.path.join(root, ".ci", "run")]:
        if os.path.exists(path):
            bad += run(["bash", "-n", path], root)
    return bad


CHECKERS = {rule.__name__.removeprefix("check_"): rule for rule in layers.RULES}
CHECKERS |= {"layout": layout, "cppcheck": cppcheck, "scripts": scripts}
WARN_ONLY = {rule.__name__.removeprefix("check_") for rule in layers.WARNINGS}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--results", required=True)
    args.add_argument("--only", help="one checker")
    opt = args.parse_args()
    start = time.monotonic()
    passed, failed = 0, []
    files = sources(ROOT)
    for name, checker in CHECKERS.items():
        if opt.only not in (None, name):
            continue
        sample = os.path.join(SAMPLES, name)
        if not os.path.isdir(sample) or not checker(sample, sources(sample)):
            failed.append(f"{name}: it does not complain of its bad sample, tests/lint/samples/{name}")
            continue
        passed += 1
        complaints = checker(ROOT, files)
        for line in complaints:
            print(("warning: " if name in WARN_ONLY else "") + line)
        if complaints and name not in WARN_ONLY:
            failed.append(f"{name}: {len(complaints)} complaints")
        else:
            passed += 1
    seconds = time.monotonic() - start
    results.save(os.path.join(opt.results, "lint.json"), passed, failed, (), seconds)
    for name in failed:
        print("FAILED", name)
    print(results.line(f"lint ({len(files)} files)", dict(passed=passed, failed=failed, not_run=[], seconds=round(seconds, 1))))
    sys.exit(1 if failed else 0)


main()
