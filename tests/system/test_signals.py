"""Being stopped, by a key, by the system, by a person at another terminal, and by a crash: what is in flight ends in good order, what was moved
stays moved, and the next start goes on."""
import os
import signal
import sqlite3
import time

import pytest
import watch
from servers import corpus

STOPPED = 5


def world(nf, dovecot, exosim_for, names=("alice",), count=250, batch=("--pilot",), slow_ms=25):
    """Mailboxes whose move takes some seconds, whatever the machine."""
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind)
    for user in names:
        for i in range(count):
            source.maildir(user).add(corpus.made(i % (count - 20), message_id=i % 3 != 0), (("A",), ("B", "C"))[i % 2], date=1_000_000_000 + i)
    watch.prepare(nf, source, exosim, names, batch=batch)
    exosim.probed = watch.appended(exosim)
    if slow_ms:
        exosim.ask("/fault", {"kind": "slow", "ms": slow_ms, "count": 0})
    return source, behind, exosim


def sent(exosim):
    """What came after the target's probes."""
    return watch.appended(exosim) - exosim.probed


def goes_on(nf, exosim, count):
    """The next start ends Perfect."""
    exosim.clear_faults()
    nf.run("batch", "start", "pilot", "--wait")
    total = watch.perfect(nf)
    assert total["same"] == count, total


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["start", "run"])
def test_one_signal_drains(nightferry, dovecot, exosim_for, command, number):
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    if command == "run":
        nightferry.run("batch", "start", "pilot")
        process = nightferry.start("run")
    else:
        process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: sent(exosim) > 20)
    os.killpg(process.pid, number)           # as a terminal does it
    result = nightferry.finish(process, 60)  # to the end of the mailbox it would be told as Synced, not as stopped
    assert result.code == (STOPPED if command == "start" else 0), result
    if command == "start":
        assert "goes on where it stopped" in result.out, result
    row = watch.users(nightferry)["alice"]
    assert row["state"] in ("Queued", "Stopped") and row["counts"]["in_doubt"] == 0 and 20 <= row["counts"]["copied"] < 250, row
    assert row["counts"]["copied"] == sent(exosim)
    goes_on(nightferry, exosim, 250)
    assert sent(exosim) == 250, "nothing was sent twice"


def test_a_silent_destination_does_not_hold_the_drain(nightferry, dovecot, exosim_for):
    """It took a message and says nothing any more; one signal must not wait for its time to run out. In doubt afterwards, and settled."""
    _, _, exosim = world(nightferry, dovecot, exosim_for, count=60, slow_ms=0)
    silence = exosim.fault("hang_after_commit", nth=20)
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: exosim.fired(silence))
    process.send_signal(signal.SIGTERM)
    result = nightferry.finish(process, 60)  # the silence itself would last 90 s
    assert result.code == STOPPED, result
    goes_on(nightferry, exosim, 60)


def test_twice_stops_at_once(nightferry, dovecot, exosim_for):
    _, _, exosim = world(nightferry, dovecot, exosim_for, count=60, slow_ms=0)
    silence = exosim.fault("hang_after_commit", nth=20)
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: exosim.fired(silence))
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)   # two, and not one that came twice
    process.send_signal(signal.SIGINT)
    result = nightferry.finish(process, 60)
    assert result.code == STOPPED, result
    goes_on(nightferry, exosim, 60)


def test_stop_from_another_terminal(nightferry, dovecot, exosim_for):
    _, _, exosim = world(nightferry, dovecot, exosim_for, ("alice", "bob"))
    engine = nightferry.start("run")
    watch.worker(engine)
    watch.engine(nightferry)
    assert "takes it up" in nightferry.run("batch", "start", "pilot").out
    watch.wait_for(lambda: sent(exosim) > 20)
    # one mailbox first, then the whole batch
    nightferry.run("user", "stop", "pilot", "bob")
    watch.wait_for(lambda: watch.users(nightferry)["bob"]["state"] == "Stopped")
    assert watch.users(nightferry)["alice"]["state"] == "Syncing"
    nightferry.run("batch", "stop", "pilot")
    watch.wait_for(lambda: watch.status(nightferry)["state"] == "Stopped")
    count = watch.appended(exosim)
    time.sleep(0.5)
    assert watch.appended(exosim) == count and engine.poll() is None
    exosim.clear_faults()
    nightferry.run("batch", "start", "pilot", "--wait")
    assert watch.perfect(nightferry)["same"] == 500 and sent(exosim) == 500
    engine.terminate()
    assert nightferry.finish(engine, 60).code == 0


def test_crashed_worker_is_started_again(nightferry, dovecot, exosim_for):
    nightferry.crashes = True
    _, _, exosim = world(nightferry, dovecot, exosim_for)
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: sent(exosim) > 20)
    first = watch.worker(process)
    os.kill(first, signal.SIGSEGV)
    exosim.clear_faults()
    result = nightferry.finish(process, 60)
    assert result.code == 0 and "started again" in result.err, result
    assert watch.perfect(nightferry)["same"] == 250


def test_parent_killed_takes_the_worker_along(nightferry, dovecot, exosim_for):
    _, _, exosim = world(nightferry, dovecot, exosim_for, count=120)
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: sent(exosim) > 20)
    worker = watch.worker(process)
    process.kill()
    watch.wait_for(lambda: not os.path.exists(f"/proc/{worker}"), 60)
    nightferry.finish(process)
    goes_on(nightferry, exosim, 120)


def lease(nf, user):
    """The claim under which a mailbox is being moved, or None. What a dead engine left is still there until the next one comes."""
    db = sqlite3.connect(nf.state)
    try:
        return db.execute("SELECT w.epoch FROM work w JOIN user u ON u.id = w.user_id WHERE u.source_user = ? AND w.held = 1", (user,)).fetchone()
    finally:
        db.close()


def test_mailbox_that_crashes_the_engine_each_time(nightferry, dovecot, exosim_for):
    """Its third crash, the last one alone, makes it Failed; the others go on without it."""
    nightferry.crashes = True
    names = ("alice", "bob", "carol")
    _, _, exosim = world(nightferry, dovecot, exosim_for, names, count=100, slow_ms=0)
    exosim.fault("slow", ms=200, count=0, mailbox="bob@contoso.example")
    process = nightferry.start("batch", "start", "pilot", "--wait")
    claims = []
    for _ in range(3):
        claims.append(watch.wait_for(lambda: [c for c in [lease(nightferry, "bob")] if c and c not in claims], 180)[0])
        os.kill(watch.worker(process), signal.SIGSEGV)
    result = nightferry.finish(process, 90)
    rows = watch.users(nightferry)
    assert result.code == 1, result
    assert rows["bob"]["state"] == "Failed" and "crashed three times" in rows["bob"]["error"], rows
    assert rows["alice"]["state"] == rows["carol"]["state"] == "Synced", rows
    goes_on(nightferry, exosim, 300)
