"""Windows, deadlines and daily budgets. The wall clock of the program is moved by a file (builds with failpoints read it); nothing waits for
a night."""
import datetime
import os
import sqlite3
import time

import ferry
import pytest
import watch
from servers import corpus, local

FP = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"), "fp", "nightferry")
DEFERRED, USAGE = 75, 64
EVENING = "2027-01-13T15:30:00"  # UTC: Wednesday 20:30 in Karachi, which has no summer time
NIGHTLY = ("--window", "daily 20:00-22:00", "--time-zone", "Asia/Karachi")


class Clock:
    """What nightferry takes for the time. It goes on by itself from where it is set."""

    def __init__(self, nf, moment):
        self.path = os.path.join(nf.folder, "clock")
        nf.env["NIGHTFERRY_CLOCK"] = self.path
        self.set(moment)

    def set(self, moment):
        at = datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.timezone.utc).timestamp()
        with open(self.path + "~", "w", encoding="ascii") as f:
            f.write(str(int(at - time.time()) + 1))
        os.rename(self.path + "~", self.path)


def world(nf, dovecot, exosim_for, names=("alice",), count=120, size=1000, batch=("--pilot",), endpoint=(), slow_ms=100, moment=EVENING):
    nf.binary = FP
    clock = Clock(nf, moment)
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind)
    for user in names:
        for i in range(count):
            source.maildir(user).add(corpus.made(i, size=size), (), date=1_000_000_000 + i)
    watch.prepare(nf, source, exosim, names, batch=batch, endpoint=endpoint)
    if slow_ms:
        exosim.ask("/fault", {"kind": "slow", "ms": slow_ms, "count": 0})
    return clock, source, exosim


def states(nf):
    return {u: row["state"] for u, row in watch.users(nf).items()}


def stop(nf, engine):
    engine.terminate()
    return nf.finish(engine, 60)


@pytest.mark.slow
def test_window_closes_and_opens(nightferry, dovecot, exosim_for):
    clock, _, exosim = world(nightferry, dovecot, exosim_for, ("alice", "bob"), batch=("--pilot", *NIGHTLY))
    engine = nightferry.start("run")
    nightferry.run("batch", "start", "pilot")
    assert watch.status(nightferry)["night"]["open"]
    assert "open until 2027-01-13 22:00 Asia/Karachi (17:00Z)" in nightferry.run("batch", "status", "pilot").out
    watch.wait_for(lambda: watch.appended(exosim) > 10 and set(states(nightferry).values()) == {"Syncing"}, 120)
    clock.set("2027-01-13T17:00:00")
    watch.wait_for(lambda: set(states(nightferry).values()) == {"Queued"}, 120)
    before = watch.appended(exosim)
    row = watch.users(nightferry)["alice"]
    assert row["error"].startswith("deferred until 2027-01-14 20:00 Asia/Karachi (15:00Z): outside of its windows"), row
    assert row["live"]["binds"] == "window" and row["retry_at"] == 0
    night = watch.status(nightferry)["night"]
    assert not night["open"] and night["opens_at"] == 1799938800, night
    assert "deferred until 2027-01-14 20:00 Asia/Karachi (15:00Z)" in nightferry.run("batch", "list").out
    assert "deferred until 2027-01-14 20:00 Asia/Karachi (15:00Z)" in nightferry.run("batch", "show", "pilot").out
    # the clock goes back, into the window of the day before and before it
    clock.set("2027-01-12T10:00:00")
    watch.wait_for(lambda: watch.status(nightferry)["night"]["opens_at"] == 1799938800 - 2 * 86400, 60)
    assert watch.appended(exosim) == before
    exosim.ask("/fault", {"kind": "slow", "ms": 0, "count": 0})
    clock.set("2027-01-14T15:00:01")
    watch.wait_for(lambda: set(states(nightferry).values()) == {"Synced"}, 120)
    stop(nightferry, engine)
    assert watch.perfect(nightferry)["same"] == 240
    report = nightferry.run("batch", "report", "pilot", "--json", code=None).json()
    assert all(u["throttling"]["deferrals"] >= 1 for u in report["users"]), report


@pytest.mark.slow
def test_wait_for_the_window_and_the_deadline(nightferry, dovecot, exosim_for):
    clock, _, exosim = world(nightferry, dovecot, exosim_for, batch=("--pilot", *NIGHTLY), moment="2027-01-13T08:00:00")
    sent = watch.appended(exosim)
    waiting = nightferry.start("batch", "start", "pilot", "--wait")
    watch.worker(waiting)
    watch.wait_for(lambda: watch.status(nightferry)["engine_runs"], 60)
    nightferry.run("batch", "set", "pilot", "--until", "2027-01-13 21:00")
    clock.set("2027-01-13T15:00:01")
    watch.wait_for(lambda: watch.appended(exosim) > sent + 5, 120)
    clock.set("2027-01-13T16:00:00")
    result = nightferry.finish(waiting, 120)
    assert result.code == DEFERRED, result
    assert "deferred until 2027-01-13 20:00 Asia/Karachi (15:00Z)" in result.out, result
    assert "its deadline, 2027-01-13 21:00 Asia/Karachi (16:00Z), has passed" in result.out, result
    # nobody moves the deadline: at once the same
    result = nightferry.run("batch", "start", "pilot", "--wait", code=DEFERRED)
    assert "Next: nightferry batch set pilot --until" in nightferry.run("batch", "status", "pilot").out
    nightferry.run("batch", "set", "pilot", "--until", "none", "--window", "always")
    assert "Next: no engine runs: nightferry run" in nightferry.run("batch", "status", "pilot").out
    exosim.ask("/fault", {"kind": "slow", "ms": 0, "count": 0})
    nightferry.run("batch", "start", "pilot", "--wait")
    assert watch.perfect(nightferry)["same"] == 120


def test_start_after_in_a_run_for_all(nightferry, dovecot, exosim_for):
    """`run --once` does not wait."""
    clock, _, exosim = world(nightferry, dovecot, exosim_for, count=5, slow_ms=0,
                             batch=("--pilot", "--start-after", "2027-01-14T00:00Z"))
    before = watch.appended(exosim)
    nightferry.run("batch", "start", "pilot")
    nightferry.run("run", "--once")
    assert watch.appended(exosim) == before
    assert "deferred until 2027-01-14T00:00:00Z: it starts then" in nightferry.run("batch", "status", "pilot").out
    clock.set("2027-01-14T00:00:00")
    nightferry.run("run", "--once")
    assert states(nightferry) == {"alice": "Synced"}


def test_a_copy_has_windows_too(nightferry, dovecot):
    """They hold for the run they are given to: without them the same command moves at once."""
    nightferry.binary = FP
    clock = Clock(nightferry, "2027-01-13T08:00:00")
    source, target = dovecot(["alice"]), dovecot(["a@x.example"], special_use=False)
    box = source.maildir("alice")
    for i in range(5):
        box.add(corpus.made(i))
    copy = ("copy", "--source-host", "localhost", "--source-port", source.tls_port, "--source-ca-file", source.ca, "--source-user", "alice",
            "--source-password-file", nightferry.secret_file("pw-alice"), "--target-host", "localhost", "--target-port", target.tls_port,
            "--target-ca-file", target.ca, "--target-password-file", nightferry.secret_file("pw-a@x.example"), "--address", "a@x.example")
    assert "--time-zone" in nightferry.run(*copy, "--window", "daily 20:00-22:00", code=USAGE).err
    assert "no rate is set" in nightferry.run(*copy, *NIGHTLY, "--window", "daily 25%", code=USAGE).err
    assert nightferry.run("batch", "list", "--json").json() == [], "nothing is kept of a wrong command line"
    waiting = nightferry.start(*copy, *NIGHTLY)
    batch = watch.wait_for(lambda: nightferry.run("batch", "list", "--json").json(), 60)[0]["name"]
    watch.wait_for(lambda: watch.status(nightferry, batch)["engine_runs"], 60)
    assert watch.users(nightferry, batch)["alice"]["counts"]["copied"] == 0
    clock.set("2027-01-13T15:00:01")
    result = nightferry.finish(waiting)
    assert result.code == 0 and "Its windows: now deferred until 2027-01-13 20:00 Asia/Karachi (15:00Z)" in result.out, result
    assert watch.users(nightferry, batch)["alice"]["counts"]["copied"] == 5
    clock.set("2027-01-14T08:00:00")
    box.add(corpus.made(9))
    result = nightferry.run(*copy, *NIGHTLY, "--until", "2027-01-14 12:00", code=DEFERRED)
    assert "its deadline, 2027-01-14 12:00 Asia/Karachi (07:00Z), has passed" in result.out, result
    assert "windows" not in nightferry.run(*copy).out
    assert watch.users(nightferry, batch)["alice"]["counts"]["copied"] == 6


def test_a_quarter_by_day(nightferry):
    """Never closed: the answer comes at once (it took minutes), and says when the share changes."""
    nf = nightferry
    nf.binary = FP
    clock = Clock(nf, "2027-01-13T08:00:00")
    nf.run("endpoint", "create", "src", "--host", "imap.example.org", "--skip-test")
    nf.run("target", "create", "contoso", "--kind", "imap", "--host", "imap.example.org", "--skip-test")
    ferry.add_batch(nf, [("alice", "pw", "alice@contoso.example")], extra=("--pilot", "--rate", "1MB/s", "--time-zone", "Asia/Karachi",
                                                                           "--window", "daily 25%", "--window", "Mon-Fri 20:00-06:00"))

    def state():
        return nf.run("batch", "status", "pilot").out.split("window: ")[1].split("\n")[0]
    assert state() == "open with 25% of the rate until 2027-01-13 20:00 Asia/Karachi (15:00Z), then with 100%"
    clock.set("2027-01-13T16:00:00")
    assert state() == "open until 2027-01-14 06:00 Asia/Karachi (01:00Z), then with 25% of the rate"
    night = watch.status(nf)["night"]
    assert night["closes_at"] == -1 and night["changes_at"] == 1799888400, night
    nf.run("batch", "set", "pilot", "--window", "Mon-Fri 20:00-06:00", "--window", "Mon-Fri 06:00-20:00 25%")
    assert state() == ("open until 2027-01-14 06:00 Asia/Karachi (01:00Z), then with 25% of the rate; "
                       "closed from 2027-01-16 06:00 Asia/Karachi (01:00Z)")


@pytest.mark.parametrize("options, word", [
    (("--window", "Mon-Fri 20:00-06:00"), "--time-zone"), (("--window", "Mun", "--time-zone", "UTC"), "Mun"),
    (("--blackout", "2026-13-01", "--time-zone", "UTC"), "2026-13-01"), (("--until", "2026-12-01 20:00"), "time zone"),
    (("--window", "daily", "--time-zone", "Asia/Nowhere"), "Asia/Nowhere"), (("--window", "daily 25%", "--time-zone", "UTC"), "--rate"),
    (("--start-after", "2026-12-02T00:00Z", "--until", "2026-12-01T00:00Z"), "--until"), (("--auto-ramp", "yes"), "--auto-ramp")])
def test_usage(options, word, nightferry):
    nf = nightferry
    nf.run("endpoint", "create", "src", "--host", "imap.example.org", "--skip-test")
    nf.run("target", "create", "contoso", "--kind", "imap", "--host", "imap.example.org", "--skip-test")
    ferry.add_batch(nf, [("alice", "pw", "alice@contoso.example")])
    result = nf.run("batch", "set", "pilot", *options, code=USAGE)
    assert word in result.err, result
    assert watch.status(nf)["night"]["windows"] == []


def spent(nf):
    with sqlite3.connect(nf.state) as db:
        return dict(db.execute("SELECT mailbox, bytes FROM spent").fetchall())


BUDGET = ("--daily-bytes", "60kB", "--daily-zone", "Asia/Karachi")


def test_budget_parks_a_mailbox_and_others_go_on(nightferry, dovecot, exosim_for):
    clock, source, exosim = world(nightferry, dovecot, exosim_for, ("alice", "bob"), count=0, slow_ms=0, endpoint=BUDGET)
    for i in range(40):
        source.maildir("alice").add(corpus.made(i, size=4000), (), date=1_000_000_000 + i)
    source.maildir("bob").add(corpus.made(1, size=4000), ())
    engine = nightferry.start("run")
    nightferry.run("batch", "start", "pilot")
    watch.wait_for(lambda: states(nightferry) == {"alice": "Queued", "bob": "Synced"}, 120)
    row = watch.users(nightferry)["alice"]
    assert row["live"]["binds"] == "budget", row
    assert row["error"].startswith("deferred until 2027-01-14 00:00 Asia/Karachi (2027-01-13T19:00:00Z): the daily budget of 60 kB of mailbox "
                                   "alice at src is spent"), row
    first = row["counts"]["copied"]
    assert 10 <= first < 16, row
    assert 55_000 < spent(nightferry)["alice"] <= 60_000
    clock.set("2027-01-13T19:00:01")
    watch.wait_for(lambda: watch.users(nightferry)["alice"]["counts"]["copied"] >= 2 * first - 1, 120)
    watch.wait_for(lambda: states(nightferry)["alice"] == "Queued", 120)
    # a larger budget lets it go on at once
    nightferry.run("endpoint", "set", "src", "--daily-bytes", "0")
    watch.wait_for(lambda: states(nightferry)["alice"] == "Synced", 120)
    stop(nightferry, engine)
    assert watch.perfect(nightferry)["same"] == 41


def test_message_larger_than_a_day(nightferry, dovecot, exosim_for):
    """It goes alone, on a fresh day; and a budget may be the host's as a whole."""
    clock, source, exosim = world(nightferry, dovecot, exosim_for, ("alice", "bob"), count=0, slow_ms=0, endpoint=(*BUDGET, "--daily-of", "host"))
    source.maildir("alice").add(corpus.made(1, size=4000), (), date=1_000_000_000)
    source.maildir("alice").add(corpus.made(2, size=90_000), (), date=1_000_000_001)
    source.maildir("bob").add(corpus.made(3, size=4000), ())
    shown = nightferry.run("endpoint", "show", "src").out
    assert "60.0 kB a day from the host (a day begins at midnight Asia/Karachi)" in shown, shown
    nightferry.run("batch", "start", "pilot")
    nightferry.run("user", "stop", "pilot", "bob")
    engine = nightferry.start("run")
    watch.wait_for(lambda: "the host at src" in watch.users(nightferry)["alice"]["error"], 120)
    row = watch.users(nightferry)["alice"]
    assert row["counts"]["copied"] == 1 and "is less than the next message (9" in row["error"], row  # most of the day's is left
    clock.set("2027-01-13T19:00:01")
    watch.wait_for(lambda: states(nightferry)["alice"] == "Synced", 120)
    assert set(spent(nightferry)) == {""} and spent(nightferry)[""] > 60_000
    nightferry.run("user", "start", "pilot", "bob")
    watch.wait_for(lambda: "the host at src" in watch.users(nightferry)["bob"]["error"], 120)
    clock.set("2027-01-14T19:00:01")
    watch.wait_for(lambda: states(nightferry)["bob"] == "Synced", 120)
    stop(nightferry, engine)


def test_a_forecast_without_a_window(nightferry, dovecot, exosim_for):
    world(nightferry, dovecot, exosim_for, count=3, slow_ms=0, endpoint=("--daily-bytes", "1500B"))
    out = nightferry.run("batch", "assess", "pilot", code=None).out
    assert "the source gives 0.0015 MB a day" in out and "What binds" in out, out
    nightferry.run("batch", "set", "pilot", "--until", "2027-01-13T10:00Z")
    out = nightferry.run("batch", "assess", "pilot", "--stored", code=None).out
    assert "No window opens any more" in out and "What binds" not in out, out


def test_looking_is_booked_too(nightferry, dovecot, exosim_for):
    """Assessment and verification book the metadata that they read before they read it, and wait for tomorrow where today is spent."""
    clock, _, _ = world(nightferry, dovecot, exosim_for, count=50, slow_ms=0, endpoint=("--daily-bytes", "20kB", "--daily-zone", "Asia/Karachi"))

    def use_up_the_day():
        with sqlite3.connect(nightferry.state) as db:
            db.execute("UPDATE spent SET bytes = 20000")

    def assessed():
        return nightferry.run("batch", "assess", "pilot", "--json", code=None).json()["users"][0]
    assert assessed()["error"] in (None, "") and 2_000 < spent(nightferry)["alice"] < 12_000, spent(nightferry)
    use_up_the_day()
    late = assessed()["error"]
    assert "deferred until 2027-01-14 00:00 Asia/Karachi" in late and "the daily budget of 20 kB of mailbox alice at src is spent" in late, late
    nightferry.run("endpoint", "set", "src", "--daily-bytes", "0")
    nightferry.run("batch", "start", "pilot", "--wait")
    nightferry.run("endpoint", "set", "src", "--daily-bytes", "20kB")
    text = nightferry.run("batch", "verify", "pilot", code=DEFERRED).err
    assert "deferred until 2027-01-14 00:00 Asia/Karachi" in text, text
    clock.set("2027-01-13T19:00:01")
    assert watch.perfect(nightferry)["same"] == 50
    assert 2_000 < spent(nightferry)["alice"] < 12_000, spent(nightferry)


def test_lists_of_a_move_are_booked(nightferry, dovecot, exosim_for):
    """A host counts all that is downloaded, and a pass over a mailbox in which nothing is new downloads its lists."""
    clock, _, _ = world(nightferry, dovecot, exosim_for, count=60, slow_ms=0, endpoint=("--daily-bytes", "1MB", "--daily-zone", "Asia/Karachi"))
    nightferry.run("batch", "start", "pilot", "--wait")
    first, bodies = spent(nightferry)["alice"], watch.users(nightferry)["alice"]["counts"]["copied_bytes"]
    assert bodies + 60 * 30 < first < bodies + 60 * 300, (first, bodies)
    nightferry.run("batch", "sync", "pilot", "--wait")
    assert 60 * 30 < spent(nightferry)["alice"] - first < 60 * 300, (first, spent(nightferry))
    with sqlite3.connect(nightferry.state) as db:
        db.execute("UPDATE spent SET bytes = 1000000")
    result = nightferry.run("batch", "sync", "pilot")
    engine = nightferry.start("run")
    watch.wait_for(lambda: "deferred until 2027-01-14 00:00 Asia/Karachi" in watch.users(nightferry)["alice"]["error"], 60)
    assert watch.users(nightferry)["alice"]["live"]["binds"] == "budget", result
    clock.set("2027-01-13T19:00:01")
    watch.wait_for(lambda: states(nightferry) == {"alice": "Synced"}, 60)
    stop(nightferry, engine)
