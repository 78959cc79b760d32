"""Several routes into a mailbox: each message goes by the first that carries it, and in the end every message is there once, whatever was lost,
killed or changed in between, with identical messages and messages without a Message-ID in one folder."""
import os

import ferry
import pytest
import watch
from servers import corpus, local
from servers.maildir import from_utf7
from servers.rawimap import RawImap

ALICE = "alice@contoso.example"
FP = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"), "fp", "nightferry")
TWIN = corpus.made(900)
BARE = corpus.made(901, message_id=False)


def world(nf, dovecot, exosim_for, fill, routes="imap,mime", settle="300ms", switches=None, batch=("--pilot",), fp=False, language="en"):
    if fp:
        nf.binary = FP
    source, behind = dovecot(["alice"]), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind, config={"switches": switches} if switches else None, options=("--language", language))
    fill(source.maildir("alice"))
    ferry.add_endpoint(nf, source, "alice")
    ferry.add_exchange(nf, exosim, ALICE, extra=("--settle-after", settle, "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nf, [("alice", "pw-alice", ALICE)], extra=batch)
    return source, behind, exosim


def mixed(box, count=10):
    for i in range(count):
        box.add(corpus.made(i, message_id=i % 3 != 0), flags=("\\Seen", "\\Flagged") if i % 4 == 0 else ("\\Seen",), date=1_000_000_000 + i)
        box.add(corpus.made(100 + i), ("Nested", "Ünïcode"), ("\\Flagged",) if i % 2 else ())
    for _ in range(3):
        box.add(TWIN, flags=("\\Seen",))
        box.add(BARE, flags=("\\Seen",))
    return 2 * count + 6


def start(nf, point=None, code=(0,), verb="start"):
    env = {"NIGHTFERRY_FAILPOINT": point, "NIGHTFERRY_FAILPOINT_PARENT": "1"} if point else {}
    return nf.run("batch", verb, "pilot", "--wait", code=code, env=env)


def set_routes(nf, exosim, routes):
    """The target is tested anew, and must not run into faults that are set."""
    exosim.ask("/fault", {}, method="DELETE")
    nf.run("target", "set", "contoso", "--routes", routes, "--probe-size", 0)


def carried(nf):
    return {r["route"]: r["copied"] for r in nf.run("batch", "report", "pilot", "--json").json()["routes"]}


def ends_well(nf, count, compare_mailboxes, source, behind, code=(0,)):
    """All is there once; nothing is in doubt; another pass sends nothing; verification agrees."""
    row = watch.users(nf)["alice"]
    assert row["state"] == "Synced" and row["error"] == "", row
    counts = row["counts"]
    assert counts["copied"] + counts["adopted"] == count and counts["in_doubt"] == 0 == counts["refused"], counts
    compare_mailboxes((source, "alice"), (behind, ALICE), dates=False)
    before = carried(nf)
    start(nf, verb="sync", code=code)
    assert carried(nf) == before
    compare_mailboxes((source, "alice"), (behind, ALICE), dates=False)
    verdict, total = ferry.verify(nf)
    assert verdict == "Perfect" and total["same"] == count, (verdict, total)


@pytest.mark.san
@pytest.mark.parametrize("routes", ["mime", "mime,imap", "imap,mime"])
def test_each_alone_and_together(nightferry, dovecot, exosim_for, compare_mailboxes, routes):
    source, behind, exosim = world(nightferry, dovecot, exosim_for, mixed, routes)
    start(nightferry)
    ends_well(nightferry, 26, compare_mailboxes, source, behind)
    assert carried(nightferry) == {routes.split(",")[0]: 26}


@pytest.mark.san
def test_too_big_for_one_goes_by_the_next(nightferry, dovecot, exosim_for, compare_mailboxes):
    def fill(box):
        for i in range(6):
            box.add(corpus.made(i, size=4_500_000 if i % 3 == 0 else None))
    source, behind, exosim = world(nightferry, dovecot, exosim_for, fill, "mime,imap")
    start(nightferry)
    ends_well(nightferry, 6, compare_mailboxes, source, behind)
    assert carried(nightferry) == {"imap": 2, "mime": 4}
    text = nightferry.run("batch", "report", "pilot").out
    assert "by imap 2" in text and "by mime 4" in text, text


GERMAN = {"Sent": "Gesendete Elemente", "Drafts": "Entwürfe", "Trash": "Gelöschte Elemente", "Junk": "Junk-E-Mail", "Archive": "Archiv"}


@pytest.mark.parametrize("first, then", [("imap", "mime"), ("imap,mime", "imap"), ("mime,imap", "imap")])
def test_a_mailbox_in_german(nightferry, dovecot, exosim_for, first, then):
    """Each route finds the mailbox's own folders, under the same names, and makes no English twin beside them."""
    def fill(box, number=0):
        for i, name in enumerate(GERMAN):
            box.add(corpus.made(number + i), (name,))
        box.add(corpus.made(number + 50, size=4_500_000), ("Sent",))  # more than mime takes
    source, behind, _ = world(nightferry, dovecot, exosim_for, fill, first, language="de")
    start(nightferry)
    nightferry.run("target", "set", "contoso", "--routes", then, "--probe-size", 0)
    fill(source.maildir("alice"), 100)
    start(nightferry, verb="sync", code=(2,) if then == "mime" else (0,))
    c = RawImap(behind.tls_port, tls=True, ca=behind.ca)
    c.login(ALICE, behind.users[ALICE])
    counts = {from_utf7(raw.decode()): c.examine(raw)["EXISTS"] for raw, _, _ in c.folders()}
    c.close()
    sent = 3 if then == "mime" else 4
    assert [counts[name] for name in GERMAN.values()] == [sent, 2, 2, 2, 2], str(counts)
    assert not set(counts) & {"Sent", "Sent Items", "Drafts", "Trash", "Deleted Items", "Junk", "Junk Email", "Archive"}, str(counts)


def test_refused_by_both_tells_both_reasons(nightferry, dovecot, exosim_for):
    source, behind, exosim = world(nightferry, dovecot, exosim_for, lambda box: [box.add(corpus.made(i)) for i in range(3)], "mime,imap")
    exosim.ask("/fault", {"kind": "graph_error", "nth": 2, "text": "400 ErrorInvalidRequest no such thing", "count": 1})
    exosim.ask("/fault", {"kind": "refuse_message", "nth": 1, "text": "NO Message contains invalid header"})
    start(nightferry, code=(2,))
    aside = nightferry.run("batch", "report", "pilot", "--json").json()
    refused = [i for u in aside["users"] for i in u["items"] if i["state"] == "refused"]
    assert len(refused) == 1, aside
    assert "route mime" in refused[0]["reason"] and "route imap" in refused[0]["reason"], refused
    assert "no such thing" in refused[0]["reason"] and "invalid header" in refused[0]["reason"], refused


def test_three_twins_a_kill_another_order_and_a_lost_answer(nightferry, dovecot, exosim_for, compare_mailboxes):
    """A fault that the session before this one had: one copy too many."""
    def fill(box):
        for _ in range(3):
            box.add(TWIN)
    source, behind, exosim = world(nightferry, dovecot, exosim_for, fill, "mime,imap", fp=True)
    start(nightferry, "put-after-answer:2", (-9, 137))
    set_routes(nightferry, exosim, "imap,mime")
    exosim.ask("/fault", {"kind": "drop_after_commit", "nth": 1})
    start(nightferry)
    ends_well(nightferry, 3, compare_mailboxes, source, behind)


LOST = {"imap": {"kind": "drop_after_commit", "nth": 2, "count": 2}, "mime": {"kind": "graph_drop_after", "nth": 2, "count": 2}}


@pytest.mark.parametrize("first, then", [("mime,imap", "imap,mime"), ("imap,mime", "mime,imap"), ("mime,imap", "imap"), ("imap", "mime"),
                                         ("mime", "imap"), ("imap", "mime,imap")])
@pytest.mark.parametrize("point", ["put-after-answer:3", "placed-after-commit:1", "intend-after-commit:1"])
def test_killed_then_other_routes(nightferry, dovecot, exosim_for, compare_mailboxes, first, then, point):
    """Twins and bare ones in one folder; a kill, other routes, and lost answers on both."""
    def fill(box):
        for _ in range(4):
            box.add(TWIN, flags=("\\Seen",))
            box.add(BARE, flags=("\\Seen",))
        box.add(corpus.made(1), flags=("\\Seen",))
    source, behind, exosim = world(nightferry, dovecot, exosim_for, fill, first, fp=True)
    exosim.ask("/fault", LOST[first.split(",")[0]])
    start(nightferry, point, (-9, 137))
    set_routes(nightferry, exosim, then)
    exosim.ask("/fault", LOST[then.split(",")[0]])
    start(nightferry)
    ends_well(nightferry, 9, compare_mailboxes, source, behind)


def flags_at(server, user):
    c = RawImap(server.tls_port, tls=True, ca=server.ca)
    c.login(user, server.users[user])
    c.examine(b"INBOX")
    seen = sorted(sorted(m["flags"] - {"\\Recent"}) for m in c.fetch())
    c.close()
    return seen


@pytest.mark.parametrize("routes, kind", [("imap", "drop_before_commit"), ("imap", "drop_after_commit"), ("mime", "graph_drop"),
                                          ("mime", "graph_drop_after"), ("mime", "killed")])
def test_keywords_survive_a_doubt(nightferry, dovecot, exosim_for, compare_mailboxes, routes, kind):
    """Whether what was in doubt had arrived or is sent again."""
    def fill(box):
        for i in range(8):
            box.add(corpus.made(i), flags=("\\Seen",) if i % 2 else (), keywords=("Kunde", f"Nr{i}"))
    source, behind, exosim = world(nightferry, dovecot, exosim_for, fill, routes, fp=True)
    if kind == "killed": # between the message and what is written after it
        start(nightferry, "finish-before-flags:3", (-9, 137))
    else:
        exosim.ask("/fault", {"kind": kind, "nth": 3, "count": 2})
    start(nightferry)
    ends_well(nightferry, 8, compare_mailboxes, source, behind)
    assert flags_at(behind, ALICE) == flags_at(source, "alice")


@pytest.mark.san
def test_a_dead_route_is_left_in_mid_run(nightferry, dovecot, exosim_for, compare_mailboxes):
    source, behind, exosim = world(nightferry, dovecot, exosim_for, mixed, "mime,imap")
    exosim.ask("/fault", {"kind": "graph_drop_after", "nth": 4, "count": 1})       # one is in doubt through it
    exosim.ask("/fault", {"kind": "graph_error", "command": "*", "nth": 30, "count": 0, "text": "403 ErrorAccessDenied Access is denied."})
    start(nightferry)
    compare_mailboxes((source, "alice"), (behind, ALICE), dates=False, flags=False)
    by = carried(nightferry)
    assert sum(by.values()) == 26 and by.get("imap", 0) > 0 and by.get("mime", 0) > 0, by
    notes = str(nightferry.run("batch", "report", "pilot", "--json").json())
    assert "the route mime could not be used to the end of a run" in notes, notes


def test_mail_of_an_orphaned_folder_is_settled(nightferry, dovecot, exosim_for):
    """Items in doubt whose source folder was renamed meanwhile do not stay in doubt."""
    def fill(box):
        for i in range(3):
            box.add(corpus.made(i), ("Old",))
    source, behind, exosim = world(nightferry, dovecot, exosim_for, fill, "imap", fp=True)
    start(nightferry, "put-after-answer:1", (-9, 137))
    c = RawImap(source.tls_port, tls=True, ca=source.ca)
    c.login("alice", "pw-alice")
    c.command("RENAME Old New")
    c.close()
    start(nightferry)
    counts = watch.users(nightferry)["alice"]["counts"]
    assert counts["in_doubt"] == 0, counts
    d = RawImap(behind.tls_port, tls=True, ca=behind.ca)
    d.login(ALICE, behind.users[ALICE])
    d.examine(b"New")
    assert len(d.fetch()) == 3
    d.close()
