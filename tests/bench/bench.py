#!/usr/bin/python3
"""`make bench`: nightferry, the floor (floor.c: a bare pipelined fetch-and-append) and mbsync move the same mailboxes from one Dovecot to
another over TLS, on this machine. Then nightferry by the route mime and that route's floor (floor_graph.c: the same fetch, each message posted
by bare libcurl) move them into exosim's Graph, without limits at either end. The runs are interleaved, each into a fresh mailbox; the table
shows medians and the spread (lowest to highest). CPU and memory are those of the mover alone, its children included; what arrived is counted
after each run."""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", x) for x in ("", "system")]
import ferry  # noqa: E402
from servers import corpus, local  # noqa: E402
from servers.dovecot import Dovecot  # noqa: E402
from servers.exosim import Exosim  # noqa: E402
from servers.graph import GRAPH, Graph  # noqa: E402
from servers.nightferry import Nightferry, PeakMemory  # noqa: E402
from servers.rawimap import RawImap  # noqa: E402

FOLDERS = [(), ("Projects",), ("Projects", "2019"), ("Lists",)]
BUILD = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"))


def small(n):
    """n messages of 1 to 4 KB."""
    return (corpus.made(i) for i in range(n))


def mix(n):
    """n messages, 75 KB on average: most are small, a few carry attachments of megabytes."""
    r = random.Random(75)
    for i in range(n):
        kind = r.random()
        low, high = (2, 10) if kind < .6 else (20, 80) if kind < .85 else (100, 400) if kind < .97 else (500, 1500)
        yield corpus.made(i, r.randint(low, high) * 1000, seed=2)


def fill(maildir, messages, read=True):
    count = size = 0
    for i, message in enumerate(messages):
        maildir.add(message, FOLDERS[i % len(FOLDERS)], ["\\Seen"] if read and i % 3 else [], 1_000_000_000 + i * 1000)
        count += 1
        size += len(message)
    return count, size


def run_nightferry(source, user, target, box, work):
    program = Nightferry()
    passwords = program.secret_file(source.users[user]), program.secret_file(target.users[box])
    command = [program.binary, "copy", "--source-host", "localhost", "--source-port", str(source.tls_port), "--source-ca-file", source.ca,
               "--source-user", user, "--source-password-file", passwords[0], "--target-host", "localhost", "--target-port",
               str(target.tls_port), "--target-ca-file", target.ca, "--address", box, "--target-password-file", passwords[1]]
    return command, program.env, program.close


def run_floor(source, user, target, box, work):
    return [os.path.join(BUILD, "bench", "floor"), str(source.tls_port), user, source.users[user], str(target.tls_port), box,
            target.users[box], source.ca, *("/".join(f) or "INBOX" for f in FOLDERS)], dict(os.environ), lambda: None


MBSYNC = """
IMAPAccount source
Host localhost
Port {source.tls_port}
User {user}
Pass {source_pass}
SSLType IMAPS
SystemCertificates no
CertificateFile {source.ca}

IMAPStore source
Account source

IMAPAccount target
Host localhost
Port {target.tls_port}
User {box}
Pass {target_pass}
SSLType IMAPS
SystemCertificates no
CertificateFile {target.ca}

IMAPStore target
Account target

Channel all
Far :source:
Near :target:
Patterns *
Create Near
Sync Pull
CopyArrivalDate yes
SyncState {work}/sync/
"""


def run_mbsync(source, user, target, box, work):
    folder = os.path.join(work, "mbsync-" + box)
    os.makedirs(folder + "/sync")
    with open(folder + "/rc", "w", encoding="utf-8") as f:
        f.write(MBSYNC.format(source=source, target=target, user=user, box=box, source_pass=source.users[user],
                              target_pass=target.users[box], work=folder))
    return ["mbsync", "-q", "-c", folder + "/rc", "all"], dict(os.environ), lambda: shutil.rmtree(folder)


MOVERS = {"nightferry": run_nightferry, "floor": run_floor, "mbsync": run_mbsync}


def measure(command, env, log):
    """(wall seconds, CPU seconds, peak KB). The peak is that of the largest single process."""
    start = time.monotonic()
    with open(log, "wb") as f:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=f, stderr=f)
        peak = PeakMemory(process)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    peak.done = True
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"bench: {command[0]} ended with {process.returncode}\n" + local.read(log)[-3000:])
    return wall, usage.ru_utime + usage.ru_stime, peak.kb


def count_at(server, box):
    client = RawImap(server.tls_port, tls=True, ca=server.ca)
    client.login(box, server.users[box])
    total = sum(client.examine(raw).get("EXISTS", 0) for raw, _, a in client.folders() if "\\Noselect" not in a)
    client.close()
    return total


PROBE = "probe@contoso.example"
NO_LIMITS = {"graph_requests": 0, "graph_bytes": 0, "graph_requests_window": 0, "graph_bytes_window": 0}


def run_nightferry_graph(source, user, target, box, work):
    """The build with failpoints: the other cannot leave the published limits out."""
    program = Nightferry(os.path.join(BUILD, "fp", "nightferry"), {"NIGHTFERRY_LIMIT_SCALE": "0"})
    ferry.add_exchange(program, target, PROBE, extra=("--routes", "mime", "--graph-url", target.graph_url))
    command = [program.binary, "copy", "--source-host", "localhost", "--source-port", str(source.tls_port), "--source-ca-file", source.ca,
               "--source-user", user, "--source-password-file", program.secret_file(source.users[user]), "--target", "contoso", "--address", box]
    return command, program.env, program.close


def run_floor_graph(source, user, target, box, work):
    graph, ids = Graph(target, box), {(): "inbox"}
    for folder in FOLDERS[1:]:
        ids[folder] = graph.folder(folder[-1], ids.get(folder[:-1]) if len(folder) > 1 else None)
    graph.close()
    pairs = [x for folder in FOLDERS for x in ("/".join(folder) or "INBOX", ids[folder])]
    return [os.path.join(BUILD, "bench", "floor_graph"), str(source.tls_port), user, source.users[user], target.graph_url, box, source.ca,
            *pairs], {**os.environ, "FLOOR_TOKEN": target.token(GRAPH)}, lambda: None


GRAPH_MOVERS = {"nightferry": run_nightferry_graph, "floor": run_floor_graph}


def bench_graph(name, messages, rounds, movers, authority, work):
    """Unread, so that nightferry has nothing to send but the messages."""
    boxes = [f"{m}{i}@contoso.example" for m in movers for i in range(rounds + 1)]
    with Dovecot(["source"], authority=authority, special_use=False) as source, \
            Dovecot([PROBE] + boxes, authority=authority, special_use=False) as behind, \
            Exosim(behind, authority=authority, config={"switches": NO_LIMITS}) as exosim:
        count, size = fill(source.maildir("source"), messages, read=False)
        count_at(source, "source")
        return rounds_of(name, count, size, rounds, {m: GRAPH_MOVERS[m] for m in movers}, source, exosim, behind, "@contoso.example", work)


def bench(name, messages, rounds, movers, authority, work):
    boxes = [f"{m}{i}" for m in movers for i in range(rounds + 1)]
    with Dovecot(["source"], authority=authority, special_use=False) as source, \
            Dovecot(boxes, authority=authority, special_use=False) as target:
        count, size = fill(source.maildir("source"), messages)
        count_at(source, "source") # Dovecot makes its indexes now
        return rounds_of(name, count, size, rounds, {m: MOVERS[m] for m in movers}, source, target, target, "", work)


def rounds_of(name, count, size, rounds, movers, source, target, behind, suffix, work):
    """behind: the Dovecot that holds what arrives."""
    runs = {m: [] for m in movers}
    print(f"\n{name}: {count} messages, {size / 1e6:.1f} MB, {size / count / 1000:.1f} KB on average, {rounds} rounds", flush=True)
    for i in range(-1, rounds): # the first round warms up and does not count
        order = list(movers)
        random.Random(i).shuffle(order)
        for mover in order:
            box = f"{mover}{i + 1}{suffix}"
            command, env, clean = movers[mover](source, "source", target, box, work)
            result = measure(command, env, os.path.join(work, "log"))
            clean()
            arrived = count_at(behind, box)
            if arrived != count:
                raise SystemExit(f"bench: {mover} moved {arrived} of {count} messages")
            if i >= 0:
                runs[mover].append(result)
            shutil.rmtree(behind.home(box), ignore_errors=True)
    return table(runs, count, size)


def table(runs, count, size):
    rows = {}
    print(f"{'':11} {'wall s':>21} {'messages/s':>21} {'MB/s':>17} {'CPU s/GB':>19} {'peak MB':>8}")
    for mover, results in runs.items():
        def spread(f, results=results):
            values = sorted(f(*r) for r in results)
            return statistics.median(values), values[0], values[-1]
        row = {"wall_s": spread(lambda w, c, m: w), "messages_per_s": spread(lambda w, c, m: count / w),
               "mb_per_s": spread(lambda w, c, m: size / 1e6 / w), "cpu_s_per_gb": spread(lambda w, c, m: c / (size / 1e9)),
               "peak_mb": max(m for _, _, m in results) / 1024}
        rows[mover] = row

        def show(key, width, digits, row=row):
            middle, low, high = row[key]
            return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})".rjust(width)
        print(f"{mover:11} {show('wall_s', 21, 2)} {show('messages_per_s', 21, 0)} {show('mb_per_s', 17, 1)} "
              f"{show('cpu_s_per_gb', 19, 1)} {row['peak_mb']:8.1f}")
    if "nightferry" in rows:
        for other in rows:
            if other != "nightferry":
                ratio = rows["nightferry"]["wall_s"][0] / rows[other]["wall_s"][0]
                cpu = rows["nightferry"]["cpu_s_per_gb"][0] / rows[other]["cpu_s_per_gb"][0]
                print(f"nightferry takes {ratio:.2f} times the wall time and {cpu:.2f} times the CPU of {other}")
    return {"messages": count, "bytes": size, "rows": rows}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--small", type=int, default=10_000, help="messages of the small corpus; 0 leaves it out")
    args.add_argument("--mix", type=int, default=3_000, help="messages of the mixed corpus; 0 leaves it out")
    args.add_argument("--only", help="one mover")
    args.add_argument("--route", choices=("imap", "mime"), help="into one kind of destination only")
    opt = args.parse_args()
    movers = [m for m in MOVERS if opt.only in (None, m)]
    if shutil.which("mbsync") is None and "mbsync" in movers:
        print("mbsync is not installed (make deps brings it with: tests/deps.sh bench): left out")
        movers.remove("mbsync")
    work = local.make_folder("nf-bench-")
    try:
        authority = local.Authority(work)
        results = {}
        graph = [m for m in movers if m in GRAPH_MOVERS]
        if opt.small and opt.route != "mime":
            results["small"] = bench("small messages", small(opt.small), opt.rounds, movers, authority, work)
        if opt.mix and opt.route != "mime":
            results["mix"] = bench("mixed sizes", mix(opt.mix), opt.rounds, movers, authority, work)
        if opt.small and opt.route != "imap" and graph:
            results["mime small"] = bench_graph("route mime, small messages", small(opt.small // 2), opt.rounds, graph, authority, work)
        if opt.mix and opt.route != "imap" and graph:
            results["mime mix"] = bench_graph("route mime, mixed sizes", mix(opt.mix // 2), opt.rounds, graph, authority, work)
        os.makedirs(os.path.join(BUILD, "bench"), exist_ok=True)
        with open(os.path.join(BUILD, "bench", "results.json"), "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)
    finally:
        local.remove_folder(work)


main()
