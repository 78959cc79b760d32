"""The program is killed at every step of the crash protocol, one after the other. After each the next run ends with every message once, none
altered, none missing: also where the kill fell between the server's commit and its answer, with twins and messages without a Message-ID."""
import os
import re

import ferry
import pytest
from servers import corpus, local
from servers.rawimap import RawImap

FP = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"), "fp", "nightferry")
TABLE = open(os.path.join(local.ROOT, "engine", "base", "failpoint.h"), encoding="utf-8").read()
NAMES = re.findall(r'X\([A-Z_]+, "([a-z-]+)"\)', TABLE)


def fill(box):
    twin = corpus.made(900, message_id=False)
    for i in range(12):
        box.add(corpus.made(i, message_id=i % 3 != 0), flags=("\\Flagged", "\\Seen") if i % 4 == 0 else (), date=1_000_000_000 + i)
        box.add(twin, date=1_100_000_000)
        box.add(corpus.made(100 + i), ("Nested", "Ünïcode"), ("\\Flagged",) if i % 2 else ())
    # the same header values, another body
    head = b"From: a@example.org\r\nSubject: same\r\nDate: Mon, 3 Mar 2014 10:00:00 +0000\r\n\r\n"
    for i in range(4):
        box.add(head + b"body %d\r\n" % i, date=1_200_000_000)
    box.add(corpus.made(1, size=700_000), ("Large",))


COUNT = 12 * 3 + 4 + 1


def start(nf, point=None, count=1, code=(0,), verb="start"):
    env = {"NIGHTFERRY_FAILPOINT": f"{point}:{count}", "NIGHTFERRY_FAILPOINT_PARENT": "1"} if point else {}
    return nf.run("batch", verb, "pilot", "--wait", code=code, env=env)


def lose_state(nf):
    folder = os.path.dirname(nf.state)
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))


def prepare(nf, source, exosim, routes="imap"):
    ferry.add_endpoint(nf, source, "alice")
    ferry.add_exchange(nf, exosim, "alice@contoso.example",
                       extra=("--settle-after", "500ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nf, [("alice", "pw-alice", "alice@contoso.example")])


# these come once in the run that is made here
ONCE = (("user-before-finish", 2), ("finish-after-commit", 2))


@pytest.mark.parametrize("point, count", [(p, c) for p in NAMES for c in (1, 2) if (p, c) not in ONCE])
def test_killed_at(point, count, nightferry, dovecot, exosim_for, compare_mailboxes):
    kill_at(point, count, "imap", nightferry, dovecot, exosim_for, compare_mailboxes)


# The others by Graph, and all with both routes, are a part of `make crash` (tests/crash/test_route_kills.py).
@pytest.mark.parametrize("point", ["put-mid-literal", "put-after-last-byte", "put-after-answer", "placed-before-commit", "finish-before-flags"])
def test_killed_at_by_graph(point, nightferry, dovecot, exosim_for, compare_mailboxes):
    kill_at(point, 1, "mime", nightferry, dovecot, exosim_for, compare_mailboxes)


def kill_at(point, count, routes, nightferry, dovecot, exosim_for, compare_mailboxes, more=None):
    nightferry.binary = FP
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    fill(source.maildir("alice"))
    total_count = COUNT + (more(source.maildir("alice")) if more else 0)
    prepare(nightferry, source, exosim, routes)
    killed = (-9, 137)
    if point.startswith("settle-"):      # something must be in doubt first
        start(nightferry, "put-after-last-byte", 2, killed)
        code = killed if count == 1 else killed + (0,)
        result = start(nightferry, point, count, code)
    elif point.startswith("adopt-"):     # something must be there first
        start(nightferry)
        lose_state(nightferry)
        prepare(nightferry, source, exosim, routes)
        result = start(nightferry, point, count, killed if count == 1 else killed + (0,))
    elif point.startswith("finish-"):    # flags that change at the source after the move
        start(nightferry)
        c = RawImap(source.tls_port, tls=True, ca=source.ca)
        c.login("alice", "pw-alice")
        c.command("SELECT INBOX")
        c.command("UID STORE 1:6 +FLAGS.SILENT (\\Flagged)")
        c.command("UID STORE 7:9 -FLAGS.SILENT (\\Seen \\Flagged)")
        c.close()
        result = start(nightferry, point, count, killed, verb="sync")
        start(nightferry, verb="sync")
    else:
        result = start(nightferry, point, count, killed if count == 1 else killed + (0,))
    assert count > 1 or result.code in killed
    start(nightferry)
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"), dates=routes == "imap")   # Graph keeps no received date
    counts = ferry.user_counts(nightferry)["alice"]
    assert counts["copied"] + counts["adopted"] == total_count and counts["in_doubt"] == 0, counts
    verdict, total = ferry.verify(nightferry)
    assert verdict == "Perfect" and total["same"] == total_count, total
