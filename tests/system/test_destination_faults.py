"""A destination that throttles, counts errors, revokes tokens, is full, loses a folder, or takes IMAP away, and users whose passwords are wrong:
each has its outcome, is said in one line with what to do, and goes on when it is mended."""
import json
import time

import ferry
import pytest
import watch
from servers import corpus
from servers.rawimap import RawImap

ALICE = "alice@contoso.example"
EVER = 0


def world(nf, dovecot, exosim_for, names=("alice",), count=60, config=None, routes=None, **kw):
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind, config=config or {})
    for user in names:
        for i in range(count):
            source.maildir(user).add(corpus.made(i, message_id=i % 4 != 0), (("A",), ("B",))[i * 2 // count], ("\\Seen",), 1_000_000_000 + i)
    target = ("--routes", routes, "--graph-url", exosim.graph_url) if routes else ()
    watch.prepare(nf, source, exosim, names, target=target, **kw)
    return source, behind, exosim


def start(nf, code=0, timeout=120):
    return nf.run("batch", "start", "pilot", "--wait", code=code, timeout=timeout)


@pytest.mark.parametrize("text", ["NO Request is throttled. Suggested Backoff Time: 700 milliseconds", "BAD Request is throttled. Suggested Backoff Time: 700 milliseconds",
                                  None])
def test_throttle_texts_fence_and_fail_nothing(nightferry, dovecot, exosim_for, text):
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    for n in (5, 20, 33):
        exosim.ask("/fault", {"kind": "throttle", "ms": 700, "nth": n, **({"text": text} if text else {})})
    exosim.ask("/fault", {"kind": "throttle", "ms": 700, "nth": 4, "command": "SELECT", **({"text": text} if text else {})})
    begun = time.monotonic()
    start(nightferry)
    assert time.monotonic() - begun > 1.4, "the fences were waited out"
    counts = watch.users(nightferry)["alice"]["counts"]
    assert counts["copied"] == 60 and counts["refused"] == 0, counts
    state = exosim.ask("/state")["mailboxes"][ALICE]
    assert state["while_fenced"] <= 4, state     # what was on its way already
    watch.perfect(nightferry)


def test_throttled_before_the_first_word(nightferry, dovecot, exosim_for):
    """Within a backoff time whoever signs in is told so at the first command, whatever it is, and sent away: nobody comes again before its end."""
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    exosim.ask("/fault", {"kind": "throttle", "ms": 5000, "command": "ID"})
    start(nightferry)
    counts = watch.users(nightferry)["alice"]["counts"]
    assert counts["copied"] == 60 and counts["refused"] == 0, counts
    state = exosim.ask("/state")["mailboxes"][ALICE]
    assert state["throttled"] == 1 and state["while_fenced"] <= 1, state
    watch.perfect(nightferry)


def test_throttled_all_the_time_is_deferred_not_failed(nightferry, dovecot, exosim_for):
    """A long fence: `stop` still acts at once, and no item is refused."""
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    exosim.ask("/fault", {"kind": "throttle", "ms": 299961, "nth": 10})
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: watch.appended(exosim) >= 9)
    time.sleep(1)
    row = watch.users(nightferry)["alice"]
    assert row["state"] == "Syncing" and row["counts"]["refused"] == 0, row
    begun = time.monotonic()
    process.terminate()
    assert nightferry.finish(process, 100).code == 5
    assert time.monotonic() - begun < 250, "it waited for the fence of five minutes"


def test_limits_of_the_service(nightferry, dovecot, exosim_for):
    """Its own limits instead of single faults: so many APPENDs in a second, and it closes the connection each time."""
    _, _, exosim = world(nightferry, dovecot, exosim_for, config={"switches": {"appends_max": 15, "appends_window": 1000, "backoff": 400}})
    start(nightferry)
    counts = watch.users(nightferry)["alice"]["counts"]
    assert counts["copied"] == 60 and counts["refused"] == 0, counts
    watch.perfect(nightferry)


def test_throttled_in_mid_window_and_hung_up(nightferry, dovecot, exosim_for):
    """Ten of the APPENDs in flight are throttled, which ends the session: what counts is what was said, not the words of parting."""
    _, _, exosim = world(nightferry, dovecot, exosim_for, config={"switches": {"appends_max": 20, "appends_window": 4000, "backoff": 4000}})
    start(nightferry)
    counts = watch.users(nightferry)["alice"]["counts"]
    assert counts["copied"] == 60 and counts["refused"] == 0, counts
    state = exosim.counts(ALICE)
    assert state["while_fenced"] <= 10 * state["throttled"], state  # what was on its way already, each time; no new session was tried
    watch.perfect(nightferry)


def test_a_throttle_is_no_loss(nightferry, dovecot, exosim_for):
    """It hangs up when it throttles; that is found when the stated time is over, and must not count as a connection lost (eight in a row fail a
    mailbox)."""
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    throttle = exosim.fault("throttle", ms=5000, nth=7, count=2)
    start(nightferry)
    assert exosim.fired(throttle) == 2
    with open(nightferry.state + ".log", encoding="utf-8") as f:
        log = f.read()
    assert "Request is throttled" in log and "ended the connection" not in log, log
    watch.perfect(nightferry)


@pytest.mark.slow
def test_a_throttle_is_no_try(nightferry, dovecot, exosim_for):
    """However often the destination asks to wait where flags are brought up to date, and where folders are looked at: it is waited for."""
    source, _, exosim = world(nightferry, dovecot, exosim_for, count=8)
    start(nightferry)
    c = RawImap(source.tls_port, tls=True, ca=source.ca)
    c.login("alice", source.users["alice"])
    c.command("SELECT A")
    c.command("UID STORE 1 +FLAGS.SILENT (\\Answered)")
    c.close()
    throttle = exosim.fault("throttle", ms=50, count=9, command="SELECT")
    nightferry.run("batch", "sync", "pilot", "--wait", timeout=120)
    assert exosim.fired(throttle) == 9
    row = watch.users(nightferry)["alice"]
    assert row["state"] == "Synced" and row["counts"]["refused"] == 0, row
    watch.perfect(nightferry)


STEPS = {
    "what is in doubt is looked up": dict(before=[("drop_after_commit", {"nth": 5})]),
    "flags are brought up to date": dict(flags=True),
    "flags are brought up to date by Graph": dict(flags=True, routes="mime", kinds=("graph_throttle", "graph_drop"), command="patch"),
    "what is there is listed": dict(there=3),
}


@pytest.mark.parametrize("step", STEPS)
def test_eight_throttles_and_a_loss(nightferry, dovecot, exosim_for, step):
    """A server that asks to wait is there: neither that nor a connection that breaks afterwards is one try too many."""
    how = {"before": (), "flags": False, "routes": "imap", "kinds": ("throttle", "drop"), "command": "UID", "there": 0, **STEPS[step]}
    source, behind = dovecot(["alice"]), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    for i in range(8):
        source.maildir("alice").add(corpus.made(i), (), ("\\Seen",), 1_000_000_000 + i)
    for i in range(how["there"]):
        behind.maildir(ALICE).add(corpus.made(i), (), ("\\Seen",), 1_000_000_000 + i)
    watch.prepare(nightferry, source, exosim, target=("--routes", how["routes"], "--graph-url", exosim.graph_url), endpoint=("--retry-delay", "5ms"))
    if how["flags"]:
        start(nightferry)
        c = RawImap(source.tls_port, tls=True, ca=source.ca)
        c.login("alice", source.users["alice"])
        c.command("SELECT INBOX")
        c.command("UID STORE 1 +FLAGS.SILENT (\\Flagged)")
        c.close()
    for kind, more in how["before"]:
        exosim.fault(kind, **more)
    throttle, loss = (exosim.fault(kind, command=how["command"], count=count, **more)
                      for kind, count, more in zip(how["kinds"], (8, 1), ({"ms": 30 if "UID" in how["command"] else 0}, {})))
    nightferry.run("batch", "sync" if how["flags"] else "start", "pilot", "--wait", timeout=120)
    assert (exosim.fired(throttle), exosim.fired(loss)) == (8, 1)
    with open(nightferry.state + ".log", encoding="utf-8") as f:
        assert "once more" not in f.read(), "the walk over the folder did not break off"
    row = watch.users(nightferry)["alice"]
    assert row["state"] == "Synced" and row["counts"]["refused"] == 0 and row["error"] == "", row
    watch.perfect(nightferry)


@pytest.mark.parametrize("routes, kind, spec", [("imap", "refuse_message", {"text": "NO [UNAVAILABLE] Come again"}),
                                                ("mime", "graph_error", {"text": "503 ErrorServerBusy Come again"})])
def test_a_busy_destination_refuses_no_message(nightferry, dovecot, exosim_for, routes, kind, spec):
    """So often that three messages, each put by itself, are refused thrice: it is well again before the next round."""
    _, _, exosim = world(nightferry, dovecot, exosim_for, count=20, routes=routes, endpoint=("--retry-delay", "5ms"))
    busy = exosim.fault(kind, nth=3, count=9, **spec)
    start(nightferry)
    counts = watch.users(nightferry)["alice"]["counts"]
    assert exosim.fired(busy) == 9 and counts["copied"] == 20 and counts["refused"] == 0, counts
    watch.perfect(nightferry)


@pytest.mark.parametrize("text", ["NO Something odd. 99", "BAD Command Argument Error. 11"])
def test_ten_errors_and_bye(nightferry, dovecot, exosim_for, text):
    """Messages that are refused one after another: the session ends after ten, those are reported and all others arrive."""
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    exosim.ask("/fault", {"kind": "refuse_message", "nth": 10, "count": 14, "text": text})
    for _ in range(3):
        if start(nightferry, code=None).code == 0:
            break
    row = watch.users(nightferry)["alice"]
    counts = row["counts"]
    assert row["state"] == "Synced" and counts["copied"] + counts["refused"] == 60, row
    exosim.clear_faults()
    nightferry.run("batch", "sync", "pilot", "--wait")
    assert watch.users(nightferry)["alice"]["counts"]["copied"] == 60
    watch.perfect(nightferry)


def test_token_revoked_in_mid_run(nightferry, dovecot, exosim_for):
    _, _, exosim = world(nightferry, dovecot, exosim_for, count=150)
    exosim.ask("/fault", {"kind": "slow", "ms": 10, "count": EVER})
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: watch.appended(exosim) > 30)
    exosim.ask("/revoke", {})
    exosim.ask("/fault", {"kind": "drop", "nth": 1})
    assert nightferry.finish(process).code == 0
    watch.perfect(nightferry)


def test_short_lived_tokens(nightferry, dovecot, exosim_for):
    _, _, exosim = world(nightferry, dovecot, exosim_for, config={"switches": {"token_life": 2}}, count=40)
    exosim.ask("/fault", {"kind": "slow", "ms": 60, "count": EVER})
    exosim.ask("/fault", {"kind": "drop", "nth": 20, "count": 2})
    start(nightferry)
    watch.perfect(nightferry)


def test_token_service_away(nightferry, dovecot, exosim_for):
    """It answers 503 for a while, then well again."""
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    exosim.ask("/fault", {"kind": "token_error", "count": 2})
    for _ in range(2):
        if start(nightferry, code=None).code == 0:
            break
    watch.perfect(nightferry)


def test_quota_full(nightferry, dovecot, exosim_for):
    """Full: the mailbox is Failed with quota, the other one goes on; raised: `start` goes on."""
    _, _, exosim = world(nightferry, dovecot, exosim_for, ("alice", "bob"))
    exosim.ask("/fault", {"kind": "quota_full", "mailbox": ALICE, "nth": 20, "count": EVER})
    result = start(nightferry, code=1)
    rows = watch.users(nightferry)
    assert rows["alice"]["state"] == "Failed" and rows["alice"]["error_kind"] == "quota", rows
    assert rows["alice"]["counts"]["refused"] == 0 and "full" in rows["alice"]["error"] and "full" in result.out, rows
    assert rows["bob"]["state"] == "Synced"
    exosim.clear_faults()
    start(nightferry)
    watch.perfect(nightferry)


def test_real_quota_at_a_plain_imap_destination(nightferry, dovecot):
    source = dovecot(["alice"])
    target = dovecot(["a@x.example"], quota_kb=60)
    for i in range(40):
        source.maildir("alice").add(corpus.made(i, size=4000))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example", extra=("--settle-after", "300ms"))
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example")], target="other")
    start(nightferry, code=1)
    row = watch.users(nightferry)["alice"]
    assert row["state"] == "Failed" and row["error_kind"] == "quota" and row["retry_at"] == 0 and 0 < row["counts"]["copied"] < 40, row


def test_folder_deleted_in_mid_run(nightferry, dovecot, exosim_for):
    """Somebody deletes the destination folder while it is filled: it is made again, what comes after goes there, and what went with it is told."""
    _, behind, exosim = world(nightferry, dovecot, exosim_for)
    exosim.ask("/fault", {"kind": "folder_gone", "folder": "A", "nth": 12})
    for _ in range(2):
        if start(nightferry, code=None).code == 0:
            break
    row = watch.users(nightferry)["alice"]
    assert row["state"] == "Synced" and row["counts"]["copied"] == 60 and row["counts"]["refused"] == 0, row
    verdict, total = ferry.verify(nightferry)
    assert total["missing"] == 0 and total["gone"] >= 1 and total["same"] + total["gone"] == 60 and verdict in ("Good", "Investigate"), (verdict, total)


@pytest.mark.parametrize("fault, kinds", [
    ({"kind": "not_connected", "count": EVER}, ("mailbox", "rights", "busy")),
    ({"kind": "refuse_signin", "count": EVER}, ("rights", "credentials", "mailbox")),
])
def test_imap_disabled_for_one_mailbox(nightferry, dovecot, exosim_for, fault, kinds):
    """In the middle of it IMAP is taken from the mailbox: Failed with what to do; the other one goes on; given back: it goes on."""
    _, _, exosim = world(nightferry, dovecot, exosim_for, ("alice", "bob"))
    exosim.ask("/fault", {**fault, "mailbox": ALICE})
    exosim.ask("/fault", {"kind": "drop", "mailbox": ALICE, "nth": 10})
    result = start(nightferry, code=(1, 5, 77), timeout=180)
    rows = watch.users(nightferry)
    assert rows["alice"]["state"] == "Failed" and rows["alice"]["error_kind"] in kinds, rows
    assert rows["bob"]["state"] == "Synced", rows
    hint = rows["alice"]["error"]
    assert "IMAP" in hint or "permission" in hint.lower(), hint
    assert ALICE in result.out or "alice" in result.out
    if rows["alice"]["error_kind"] == "credentials":  # the destination's: no password of the CSV mends it
        status = nightferry.run("batch", "status", "pilot").out
        assert "Next: nightferry target test contoso, then" in status and "--csv" not in status + result.out, status
        assert "nightferry target test contoso" in result.out, result
    exosim.clear_faults()
    start(nightferry)
    watch.perfect(nightferry)


def test_service_is_away_for_a_while(nightferry, dovecot, exosim_for):
    _, _, exosim = world(nightferry, dovecot, exosim_for, count=120)
    exosim.ask("/fault", {"kind": "slow", "ms": 10, "count": EVER})
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: watch.appended(exosim) > 30)
    exosim.kill()
    time.sleep(1.5)
    exosim.start()
    assert nightferry.finish(process).code == 0
    watch.perfect(nightferry)


# ---- the source's sign-in breaker

def test_three_wrong_passwords_pause_the_endpoint(nightferry, dovecot, exosim_for):
    names = ("good", "bad1", "bad2", "bad3", "bad4")
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind)
    for user in names:
        source.maildir(user).add(corpus.made(1))
    ferry.add_endpoint(nightferry, source, "good")
    ferry.add_exchange(nightferry, exosim, "good@contoso.example", extra=("--settle-after", "300ms"))
    ferry.add_batch(nightferry, [(u, "typed wrong", f"{u}@contoso.example") for u in names if u != "good"], extra=("--pilot", "--max-concurrent", "1"))
    log_before = source.log()
    result = start(nightferry, code=(77, 1, 5))
    rows = watch.users(nightferry)
    assert [rows[u]["state"] for u in ("bad1", "bad2", "bad3")] == ["Failed"] * 3, rows
    assert all(rows[u]["error_kind"] == "credentials" and rows[u]["retry_at"] == 0 for u in ("bad1", "bad2", "bad3")), rows
    assert rows["bad4"]["state"] == "Queued", "the fourth is not tried"
    watch.wait_for(lambda: "bad3" in source.log()[len(log_before):])  # Dovecot's log is written by another process
    assert "bad4" not in source.log()[len(log_before):]
    said = rows["bad3"]["error"] + result.out
    assert "paused" in said and "nightferry endpoint test src" in said, said
    assert "Paused" in nightferry.run("endpoint", "show", "src").out
    assert "paused" in nightferry.run("batch", "status", "pilot").out
    # a wrong one does not resume, a right one does
    nightferry.run("endpoint", "test", "src", "--password-file", nightferry.secret_file("typed wrong again"), code=77)
    assert json.loads(nightferry.run("endpoint", "show", "src", "--json").out)["paused_at"] > 0
    nightferry.run("endpoint", "test", "src")
    assert json.loads(nightferry.run("endpoint", "show", "src", "--json").out)["paused_at"] == 0
    nightferry.run("batch", "start", "pilot", "bad4", "--wait", code=(77, 1, 5))
    watch.wait_for(lambda: "bad4" in source.log()[len(log_before):])


def test_one_wrong_password_harms_nobody_else(nightferry, dovecot, exosim_for):
    names = ("alice", "bob", "carol")
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind)
    for user in names:
        source.maildir(user).add(corpus.made(1))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example", extra=("--settle-after", "300ms"))
    ferry.add_batch(nightferry, [(u, source.users[u] if u != "bob" else "wrong", f"{u}@contoso.example") for u in names])
    result = start(nightferry, code=77)
    rows = watch.users(nightferry)
    assert [rows[u]["state"] for u in names] == ["Synced", "Failed", "Synced"], rows
    assert "bob" in result.out and "credentials" in result.out
    assert "nightferry batch set pilot --csv" in result.out and "target test" not in result.out, result
