"""A night with a hundred deaths: the program or exosim is killed at random moments of a larger run, again and again. In the end every message is
there once, none altered, none missing. NF_KILLS and NF_SEED change how often and which."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import ferry  # noqa: E402
import pytest  # noqa: E402
from servers import corpus  # noqa: E402

KILLS = int(os.environ.get("NF_KILLS", "100"))      # by IMAP; a third of it by Graph, and by both in changing order
SEED = int(os.environ.get("NF_SEED", "1"))
USERS = ("alice", "bob", "carol")


def fill(box, r, count, start):
    """Ordinary ones, twins, and messages without a Message-ID, over three folders."""
    for i in range(start, start + count):
        folder = ((), ("Projects", "Ölfeld"), ("Twins",))[i % 3]
        message = corpus.made(i % 7, message_id=False) if folder == ("Twins",) else corpus.made(i, message_id=r.random() < 0.7)
        flags = (("\\Seen",), (), ("\\Flagged",))[i % 3 if r.random() < 0.8 else 2]
        box.add(message, folder, flags, 1_000_000_000 + i)
    box.add(corpus.made(start, size=r.randint(300_000, 2_000_000)), ("Large",))


ORDERS = ("mime,imap", "imap,mime", "imap", "mime")
FAULTS = ({"kind": "graph_drop_after"}, {"kind": "drop_after_commit"}, {"kind": "graph_late", "ms": 200}, {"kind": "commit_late", "ms": 200})


def change(nightferry, exosim, r):
    """Another order of routes, and answers that will be lost."""
    exosim.ask("/fault", {}, method="DELETE")
    nightferry.run("target", "set", "contoso", "--routes", r.choice(ORDERS), "--probe-size", 0)
    for _ in range(r.randint(0, 3)):
        exosim.ask("/fault", {**r.choice(FAULTS), "nth": r.randint(1, 40)})


@pytest.mark.parametrize("routes", ["imap", "mime", "mime,imap"])
def test_random_kills(nightferry, dovecot, exosim_for, compare_mailboxes, routes):
    r = random.Random(SEED)
    wanted = KILLS if routes == "imap" else max(1, KILLS // 3)
    source = dovecot(list(USERS))
    behind = dovecot([f"{u}@contoso.example" for u in USERS], special_use=False)
    exosim = exosim_for(behind)
    count = 400
    for user in USERS:
        fill(source.maildir(user), r, count, 0)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example", extra=("--settle-after", "500ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [(u, f"pw-{u}", f"{u}@contoso.example") for u in USERS], extra=("--pilot", "--max-concurrent", "3"))
    kills = {"program": 0, "exosim": 0}
    verb, added = "start", count
    while sum(kills.values()) < wanted:
        if "," in routes and r.random() < 0.5:
            change(nightferry, exosim, r)
        process = nightferry.start("batch", verb, "pilot", "--wait")
        time.sleep(r.uniform(0.15, 1.6))
        if process.poll() is not None:           # it was done: more mail, and another pass
            nightferry.finish(process)
            for user in USERS:
                fill(source.maildir(user), r, 60, added)
            added += 60
            verb = "sync"
            continue
        if r.random() < 0.25:
            exosim.kill()
            kills["exosim"] += 1
            time.sleep(r.uniform(0, 0.3))
            exosim.start()
            nightferry.finish(process, 300)
        else:
            process.kill()                       # the parent; its worker dies with it
            kills["program"] += 1
            nightferry.finish(process)
        state = nightferry.run("batch", "status", "pilot", "--json").json()["state"]
        verb = "sync" if state == "Synced" else "start"
    exosim.ask("/fault", {}, method="DELETE")
    for _ in range(4):
        state = nightferry.run("batch", "status", "pilot", "--json").json()["state"]
        result = nightferry.run("batch", "sync" if state == "Synced" else "start", "pilot", "--wait", code=None, timeout=300)
        if result.code == 0:
            break
    print(f"kills: {kills}; messages: {[c['copied'] for c in ferry.user_counts(nightferry).values()]}")
    for user in USERS:
        compare_mailboxes((source, user), (behind, f"{user}@contoso.example"), dates=routes == "imap")
    verdict, total = ferry.verify(nightferry)
    assert verdict == "Perfect", total
