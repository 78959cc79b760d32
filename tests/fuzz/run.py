#!/usr/bin/python3
"""`replay`: each fuzzer goes once over its corpus (part of make check). `fuzz`: each runs for some seconds under libFuzzer; what it finds
is left in WORK/NAME/ and printed, to be minimised and added to the corpus with the mend."""
import argparse
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import results  # noqa: E402

CORPUS = os.path.join(os.path.dirname(__file__), "corpus")
REPLAY_SECONDS = 120 * float(os.environ.get("NF_SLOWER", "1"))


def corpus(name):
    """Files of tests/fuzz/corpus/NAME and, for fuzzers that share one, of the folder that its link names."""
    folder = os.path.join(CORPUS, name)
    if not os.path.isdir(folder):
        return []
    return sorted(os.path.join(folder, f) for f in os.listdir(folder))


def replay(programs):
    passed, failed = 0, []
    for program in programs:
        name = os.path.basename(program)
        files = corpus(name)
        if not files:
            failed.append(f"{name}: no corpus in tests/fuzz/corpus/{name}")
            continue
        try:
            done = subprocess.run([program, *files], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=REPLAY_SECONDS, check=False)
            code, text = done.returncode, done.stdout.decode("utf-8", "replace")
        except subprocess.TimeoutExpired as e:
            code, text = f"no end after {REPLAY_SECONDS:.0f} s", (e.stdout or b"").decode("utf-8", "replace")
        if code == 0:
            passed += len(files)
        else:
            failed.append(f"{name}: ended with {code}")
            print(f"== {program}\n{text[-4000:]}")
    return passed, failed


def fuzz(programs, seconds, work):
    failed = []
    for program in programs:
        name = os.path.basename(program)
        found = os.path.join(work, name)
        grown = os.path.join(work, name + ".corpus")
        os.makedirs(found, exist_ok=True)
        os.makedirs(grown, exist_ok=True)
        print(f"== {name}, {seconds} s", flush=True)
        # No input of 64 KiB is worth 16 MiB at once: what a peer announces must not size memory before it has come.
        command = [program, f"-max_total_time={seconds}", "-timeout=60", "-rss_limit_mb=1024", "-malloc_limit_mb=16",
                   "-max_len=65536", "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={found}/", grown]
        if os.path.isdir(os.path.join(CORPUS, name)):
            command.append(os.path.join(CORPUS, name))
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(f"{name}: see {found}")
    return len(programs) - len(failed), failed


def main():
    args = argparse.ArgumentParser()
    args.add_argument("mode", choices=["replay", "fuzz"])
    args.add_argument("--results")
    args.add_argument("--seconds", type=int, default=60)
    args.add_argument("--work")
    args.add_argument("programs", nargs="*")
    opt = args.parse_intermixed_args()
    start = time.monotonic()
    if opt.mode == "replay":
        passed, failed = replay(opt.programs)
        results.save(os.path.join(opt.results, "fuzz-replay.json"), passed, failed, (), time.monotonic() - start)
    else:
        passed, failed = fuzz(opt.programs, opt.seconds, opt.work)
    for name in failed:
        print("FAILED", name)
    counts = dict(passed=passed, failed=failed, not_run=[], seconds=round(time.monotonic() - start, 1))
    print(results.line(f"{opt.mode} ({len(opt.programs)} fuzzers)", counts))
    sys.exit(1 if failed else 0)


main()
