#!/usr/bin/python3
"""`make bench-throttle-real`: the real nightferry moves mail from a Dovecot through exosim, by the routes mime and imap, in real time, and what
it gets through is compared with what the simulation (throttle_real.c) says for the same limits, the same sizes and the same order, and with the
range of other seeds: a few milliseconds decide when a limit is found to have changed. Windows and volumes are a tenth of the published ones, at
both ends: exosim by its switches, nightferry by NIGHTFERRY_LIMIT_SCALE (build with failpoints). All scenarios run at once, a mailbox each, since
limits hold for a mailbox. About six minutes. Exit 1: further apart than --within. Exit 3: apart, but the machine was too busy to tell."""
import argparse
import collections
import json
import os
import random
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", x) for x in ("", "system")]
import ferry  # noqa: E402
from servers import local  # noqa: E402
from servers.dovecot import Dovecot  # noqa: E402
from servers.exosim import Exosim  # noqa: E402
from servers.nightferry import Nightferry  # noqa: E402

BUILD = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"))
PROBE = "probe@contoso.example"
PAUSE = 0.1      # between two looks at exosim
STATUS_S = 20   # between two questions to nightferry
BEGIN_S = 60     # for the first message
IDLE = 0.2      # of the time the machine must have had nothing to do,
STALL_S = 3     # and no look at exosim may have been so late, for a difference to be ours
FIELDS = ("requests", "refused", "bytes", "bytes_refused", "done")


def message(number, size):
    """Exactly so many octets, but never less than a head."""
    r = random.Random(number)
    head = (f"From: Sender <sender@example.org>\r\nTo: receiver@example.net\r\nSubject: Number {number}\r\nDate: Mon, 3 Mar 2014 10:00:00 +0100\r\n"
            f"Message-ID: <{number}@real.example.org>\r\n\r\n").encode()
    line = (f"{r.getrandbits(280):070x}"[:70] + "\r\n").encode()
    body = line * ((size - len(head)) // len(line) + 1)
    return head + body[:max(0, size - len(head) - 2)] + b"\r\n"


def counted(route, counts):
    """FIELDS of a mailbox, of what exosim counted; what IMAP refused is in none of its octets."""
    if route == "imap":
        refused = counts["throttled"] + counts["while_fenced"]
        return dict(zip(FIELDS, (counts["appended"] + refused, refused, counts["appended_bytes"], 0, counts["appended"])))
    return dict(zip(FIELDS, (counts["graph_" + f] for f in ("requests", "throttled", "bytes", "bytes_refused", "imported"))))


class Mailbox:
    """A scenario and what became of it. Times are from its first message on."""

    def __init__(self, index, scenario):
        self.scenario, self.user, self.address = scenario, f"user{index}", f"user{index}@contoso.example"
        self.begun, self.looks, self.changes = None, [], list(scenario["changes"])
        self.binds = collections.Counter()

    def look(self, exosim, now, counts):
        counts = counted(self.scenario["route"], counts)
        if self.begun is None:
            if not counts["done"]:
                self.before = counts
                return
            self.begun = now
        age = now - self.begun
        self.looks.append((age, counts))
        while self.changes and self.changes[0]["at"] <= age:
            change = self.changes.pop(0)
            exosim.mailbox(self.address, **{name: limit for name, limit in change.items() if name != "at"})

    def is_over(self):
        return bool(self.looks) and self.looks[-1][0] >= self.scenario["seconds"]

    def at(self, second):
        """The counters at that second, between two looks."""
        for (t0, a), (t1, b) in zip(self.looks, self.looks[1:]):
            if t1 >= second:
                part = (second - t0) / (t1 - t0)
                return {f: a[f] + (b[f] - a[f]) * part for f in FIELDS}
        raise RuntimeError(f"{self.user}: nothing was seen at second {second}")

    def result(self):
        """What was taken after the warm-up, in the dimension that binds, and the refused share of all requests."""
        warm, end = self.at(self.scenario["warm"]), self.at(self.scenario["seconds"])
        amount, refused = {"bytes": ("bytes", "bytes_refused"), "requests": ("requests", "refused")}[self.scenario["binding"]]
        taken = end[amount] - warm[amount] - (end[refused] - warm[refused])
        return taken, (end["refused"] - self.before["refused"]) / (end["requests"] - self.before["requests"])

    def minutes(self):
        """Taken, minute by minute, in the dimension that binds: where a difference comes from."""
        names = {"bytes": ("bytes", "bytes_refused", 1e6), "requests": ("requests", "refused", 1)}
        amount, refused, unit = names[self.scenario["binding"]]
        marks = [self.at(s) if s else self.looks[0][1] for s in range(0, self.scenario["seconds"] + 1, 60)]
        return [round((b[amount] - a[amount] - b[refused] + a[refused]) / unit, 1) for a, b in zip(marks, marks[1:])]


def idle_s():
    """Of all processors, since the machine began."""
    return int(local.read("/proc/stat").split()[4]) / os.sysconf("SC_CLK_TCK")


def status(nf, routes):
    """The rows of all mailboxes; a batch is named for its route."""
    return [user for route in routes for user in nf.run("batch", "status", route, "--json").json()["users"]]


def run(nf, exosim, boxes):
    """Until each mailbox has had its seconds. What part of the time the machine had nothing to do, and the longest time between two looks."""
    process = nf.start("run")
    routes = sorted({b.scenario["route"] for b in boxes})
    try:
        for route in routes:
            nf.run("batch", "start", route)
        start, idle, shown = time.monotonic(), idle_s(), 0
        last, stall = start, 0
        while not all(b.is_over() for b in boxes):
            state, now = exosim.ask("/state")["mailboxes"], time.monotonic()
            for box in boxes:
                box.look(exosim, now, state[box.address])
            if process.poll() is not None:
                raise SystemExit("throttle_real: nightferry ended before its time\n" + repr(nf.finish(process)))
            if now - start > BEGIN_S and not all(b.begun for b in boxes):
                raise SystemExit("throttle_real: no mail moves\n" + "".join(nf.run("batch", "status", route, code=None).out for route in routes))
            if now - start >= shown + STATUS_S:
                shown += STATUS_S
                for user in status(nf, routes):
                    live = user.get("live") or {}
                    next(b for b in boxes if b.user == user["source_user"]).binds[f"{live.get('binds')} at {live.get('limit_in_flight')}"] += 1
                print(f"{shown:4} s: {sum(counted(b.scenario['route'], state[b.address])['done'] for b in boxes)} messages", flush=True)
            time.sleep(PAUSE)
            stall, last = max(stall, time.monotonic() - last), time.monotonic()
        idle = (idle_s() - idle) / (time.monotonic() - start) / os.cpu_count()
        users = status(nf, routes)
    finally:
        if process.poll() is None:
            process.terminate()
            nf.finish(process)
    for user in users:
        if user["counts"]["refused"]:
            raise SystemExit(f"throttle_real: messages of {user['source_user']} were refused: {user['counts']}")
    return idle, stall


def report(boxes, within, idle, stall):
    """The exit status."""
    good, busy = True, idle < IDLE or stall > STALL_S
    print(f"\nTaken after the first {boxes[0].scenario['warm']} s, in % of what an oracle gets taken in the simulation, and refused, in % of all requests.\n"
          f"The simulation with the same messages, and the range of {boxes[0].scenario['seeds']} simulations with others; apart is what is outside it.\n\n"
          f"{'scenario':36} {'binding':9} {'real':>6} {'sim':>6} {'range':>13} {'apart':>7}   {'refused: real':>13} {'sim':>6}")
    for box in boxes:
        s = box.scenario
        taken, refused = box.result()
        ours, oracle = s["ours"], s["oracle"][s["binding"]]
        share, (least, most) = taken / oracle, s["range"]
        apart = share / least - 1 if share < least else share / most - 1 if share > most else 0
        good = good and abs(apart) <= within
        print(f"{s['name']:36} {s['binding']:9} {100 * share:6.1f} {100 * ours[s['binding']] / oracle:6.1f} {100 * least:6.1f}-{100 * most:<6.1f} {100 * apart:+6.1f} %"
              f"   {100 * refused:13.2f} {100 * ours['refused'] / ours['sent']:6.2f}  {'ok' if abs(apart) <= within else 'apart: too busy?' if busy else 'APART'}")
        if abs(apart) > within: # a machine that is too busy, or a fault of ours?
            print(f"    {'MB' if s['binding'] == 'bytes' else 'requests'} taken in each minute: {', '.join(map(str, box.minutes()))}; by status, held back by: "
                  + ", ".join(f"{n} times {what} at once" for what, n in box.binds.most_common()))
    print(f"\nAim: the simulation is confirmed within {100 * within:g} %: {'yes' if good else 'NO VERDICT' if busy else 'NO'}. "
          f"The machine was idle for {100 * idle:.0f} % of the time, the longest time between two looks was {stall:.1f} s"
          + (f". A difference is held against us only from {100 * IDLE:g} % and up to {STALL_S:g} s: run it again when the machine is quiet."
             if busy and not good else "."))
    return 0 if good else 3 if busy else 1


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--only", nargs="+", default=[""], help="scenarios whose names begin so")
    args.add_argument("--within", type=float, default=0.05, help="how far outside the simulations reality may be")
    opt = args.parse_args()
    model = json.loads(subprocess.run([os.path.join(BUILD, "bench", "throttle"), "--real", "--seed", str(opt.seed)], stdout=subprocess.PIPE,
                                      check=True).stdout)
    boxes = [Mailbox(i, s) for i, s in enumerate(model["scenarios"]) if s["name"].startswith(tuple(opt.only))]
    work = local.make_folder("nf-real-")
    nf = Nightferry(os.path.join(BUILD, "fp", "nightferry"), {"NIGHTFERRY_LIMIT_SCALE": str(model["scale"])})
    try:
        authority = local.Authority(work)
        limits = [{"address": b.address, **b.scenario["limits"]} for b in boxes]
        with Dovecot([b.user for b in boxes], authority=authority, special_use=False) as source, \
                Dovecot([PROBE] + [b.address for b in boxes], authority=authority, special_use=False) as behind, \
                Exosim(behind, authority=authority, config={"switches": model["switches"], "mailboxes": [{"address": PROBE}] + limits}) as exosim:
            ferry.add_endpoint(nf, source, boxes[0].user)
            for route in sorted({b.scenario["route"] for b in boxes}):
                its = [b for b in boxes if b.scenario["route"] == route]
                for box in its:
                    maildir = source.maildir(box.user)
                    for number, size in enumerate(box.scenario["sizes"]):
                        maildir.add(message(number, size // 4 * 3 if route == "mime" else size), date=1_000_000_000 + number) # mime: in base64
                ferry.add_exchange(nf, exosim, PROBE, route, extra=("--routes", route, "--graph-url", exosim.graph_url))
                ferry.add_batch(nf, [(b.user, source.users[b.user], b.address) for b in its], route, target=route,
                                extra=("--pilot", "--max-concurrent", len(its)))
            print(f"{len(boxes)} mailboxes, {sum(len(b.scenario['sizes']) for b in boxes)} messages; "
                  f"{max(b.scenario['seconds'] for b in boxes)} s in real time", flush=True)
            exosim.fault("graph_slow", command="*", count=0, ms=model["latency_ms"])
            idle, stall = run(nf, exosim, boxes)
        status = report(boxes, opt.within, idle, stall)
    finally:
        nf.close()
        local.remove_folder(work)
    sys.exit(status)


main()
