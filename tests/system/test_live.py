"""What a person changes acts on a running engine; status says what binds each mailbox; what was learned is kept; the ramp steps back."""
import os
import re
import sqlite3
import time

import ferry
import pytest
import watch
from servers import corpus, local
from servers.chaos import Chaos, Faults

FP = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"), "fp", "nightferry")


LARGE = 300_000 # a message that is fetched by itself: the debt of one is small


def world(nf, dovecot, exosim_for, names=("alice",), count=100, size=20_000, batch=("--pilot",), endpoint=(), through=None, profile=None,
          also=None):
    """also: further users, first in the batch, each with another number and size of messages."""
    mail = {**(also or {}), **{u: (count, size) for u in names}}
    names = list(mail)
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind)
    for user in names:
        for i in range(mail[user][0]):
            source.maildir(user).add(corpus.made(i, size=mail[user][1]), (), date=1_000_000_000 + i)
    ferry.add_endpoint(nf, source, names[0], extra=endpoint)
    if through:
        nf.run("endpoint", "set", "src", "--port", through(source).port)
    ferry.add_exchange(nf, exosim, f"{names[0]}@contoso.example", extra=("--settle-after", "300ms"))
    if profile:
        exosim.ask("/profile", profile)
    ferry.add_batch(nf, [(u, source.users[u], f"{u}@contoso.example") for u in names], extra=batch)
    return exosim


@pytest.fixture
def engine(nightferry):
    """Starts the engine and the batch; ended with the test, in good order."""
    running = []

    def start(env=None, batch="pilot"):
        running.append(nightferry.start("run", env=env))
        nightferry.run("batch", "start", batch)
        return running[-1]
    yield start
    for process in running:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=180)


def live(nf, user="alice"):
    return watch.users(nf)[user].get("live", {})


def until(nf, right, user="alice", seconds=180):
    """Waits until the row of status is right; returns it."""
    try:
        return watch.wait_for(lambda: [row for row in [live(nf, user)] if row and right(row)], seconds, 0.2)[0]
    except AssertionError:
        raise AssertionError(f"not so: {live(nf, user)}\n{nf.run('batch', 'status', 'pilot')!r}") from None


def binds(nf, what, user="alice"):
    return until(nf, lambda row: row["binds"] == what, user)


def why(nf, words):
    return until(nf, lambda row: words in row["why"])


def says(nf, *words):
    """Waits until status prints all of them at once: what binds may be another thing for a moment."""
    def shown():
        text = nf.run("batch", "status", "pilot").out
        return all(w in text for w in words)
    watch.wait_for(shown, 180, 0.2)


def test_rate_and_uploads(nightferry, dovecot, exosim_for, engine):
    world(nightferry, dovecot, exosim_for, count=80, size=LARGE, batch=("--pilot", "--rate", "200kB/s"))
    engine()
    row = binds(nightferry, "rate")
    assert row["limit_bytes_per_s"] == 200_000 and "batch pilot" in row["why"], row
    says(nightferry, "of 200.0 kB/s (", "held back by rate: the rate that was set for batch pilot")
    # always narrower, so that it is not done before the last is looked at
    nightferry.run("endpoint", "set", "src", "--rate", "150kB/s")
    until(nightferry, lambda row: row["limit_bytes_per_s"] == 150_000)
    why(nightferry, "source src")
    nightferry.run("target", "set", "contoso", "--rate", "100kB/s")
    until(nightferry, lambda row: row["limit_bytes_per_s"] == 100_000)
    nightferry.run("endpoint", "set", "src", "--rate", "0")
    nightferry.run("batch", "set", "pilot", "--rate", "0", "--uploads", "3")
    why(nightferry, "target contoso")
    nightferry.run("target", "set", "contoso", "--rate", "0")
    watch.wait_for(lambda: watch.users(nightferry)["alice"]["state"] == "Synced", 180)
    assert watch.perfect(nightferry)["same"] == 80


def test_a_rate_that_several_share(nightferry, dovecot, exosim_for, engine):
    """After a large message its mailbox waits behind the other one: that is the rate, and nobody refused anything. The third waits for a turn."""
    world(nightferry, dovecot, exosim_for, ("bob", "carol"), count=80, size=LARGE, also={"alice": (2, 3_000_000)},
          batch=("--pilot", "--max-mailboxes", "2", "--rate", "30kB/s"))
    engine()
    binds(nightferry, "rate")
    row = binds(nightferry, "rate", "bob")
    assert "batch pilot" in row["why"], row
    for _ in range(10):
        assert "refusals" not in nightferry.run("batch", "status", "pilot").out
        time.sleep(0.2)
    says(nightferry, "1 waits for a turn: 2 at once, by --max-mailboxes of the batch")
    nightferry.run("endpoint", "set", "src", "--max-mailboxes", "1")
    says(nightferry, "by --max-mailboxes of endpoint src")
    assert watch.status(nightferry)["at_once"] == 1
    nightferry.run("batch", "stop", "pilot")


def test_a_window_that_leaves_a_share(nightferry, dovecot, exosim_for, engine):
    world(nightferry, dovecot, exosim_for, count=60, size=LARGE,
          batch=("--pilot", "--rate", "200kB/s", "--window", "daily 25%", "--time-zone", "Asia/Karachi"))
    engine()
    binds(nightferry, "window")
    until(nightferry, lambda row: row["limit_bytes_per_s"] == 50_000 and "25% of the rate" in row["why"])
    nightferry.run("batch", "set", "pilot", "--window", "daily 50%")
    until(nightferry, lambda row: row["limit_bytes_per_s"] == 100_000)
    nightferry.run("batch", "set", "pilot", "--window", "always")
    binds(nightferry, "rate")


def test_fewer_and_more_mailboxes(nightferry, dovecot, exosim_for, engine):
    """The surplus goes back into the queue and is no failure."""
    names = ("alice", "bob", "carol")
    exosim = world(nightferry, dovecot, exosim_for, names, count=60, size=40_000, batch=("--pilot", "--max-concurrent", "3", "--rate", "10kB/s"))

    def active():
        return sorted(u for u, row in watch.users(nightferry).items() if row["state"] in ("Validating", "Syncing"))
    before = watch.appended(exosim)
    engine()
    watch.wait_for(lambda: len(active()) == 3, 180)
    nightferry.run("batch", "set", "pilot", "--max-mailboxes", "1")
    watch.wait_for(lambda: len(active()) == 1, 180)
    rows = watch.users(nightferry)
    queued = [u for u in names if rows[u]["state"] == "Queued"]
    assert len(queued) == 2 and all("fewer mailboxes at once" in rows[u]["error"] for u in queued), rows
    nightferry.run("batch", "set", "pilot", "--max-concurrent", "3", "--rate", "0")
    watch.wait_for(lambda: {r["state"] for r in watch.users(nightferry).values()} == {"Synced"}, 180)
    assert watch.perfect(nightferry)["same"] == 180
    assert watch.appended(exosim) == before + 180


def test_bound_by_the_source(nightferry, dovecot, exosim_for, engine):
    proxies = []

    def slow(source):
        proxies.append(Chaos(source.tls_port))
        return proxies[0]
    world(nightferry, dovecot, exosim_for, count=200, through=slow)
    proxies[0].faults = Faults(rate=30_000)
    try:
        engine()
        row = binds(nightferry, "source")
        assert "gives no more" in row["why"] or "being listed" in row["why"], row
        binds(nightferry, "source")
        nightferry.run("batch", "stop", "pilot")
    finally:
        proxies[0].stop()


def test_bound_by_the_network(nightferry, dovecot, exosim_for, engine):
    """The destination is slow and refuses nothing."""
    exosim = world(nightferry, dovecot, exosim_for, count=600, size=20_000)
    exosim.ask("/fault", {"kind": "slow", "ms": 150, "count": 0})
    engine()
    until(nightferry, lambda row: row["binds"] == "network" and "--uploads" in row["why"])


def test_fenced(nightferry, dovecot, exosim_for, engine):
    profile, what = {"appends_max": 20, "appends_window": 60_000, "backoff": 35_000}, "fence"
    world(nightferry, dovecot, exosim_for, count=100, profile=profile)
    process = engine()
    row = binds(nightferry, what)
    assert row["fenced_until"] and "Request is throttled. Suggested Backoff Time: 3" in row["fence_words"], row
    says(nightferry, "fenced until")
    until(nightferry, lambda row: row["refused_requests"] >= 1)
    until(nightferry, lambda row: row["fenced_ms"] > 1000)
    note = next(u for u in nightferry.run("batch", "report", "pilot", "--json", code=None).json()["users"])["throttling"]
    assert note["refused_requests"] >= 1 and note["fenced_ms"] > 0, note
    process.terminate()
    process.communicate(timeout=180)
    assert any(learned(nightferry).get(IMAP_SCOPE, (0,))), learned(nightferry)


def test_a_mailbox_that_is_shut_for_long_gives_its_place(nightferry, dovecot, exosim_for, engine):
    exosim = world(nightferry, dovecot, exosim_for, names=("alice", "bob"), count=30, batch=("--pilot", "--max-concurrent", "1"))
    exosim.fault("throttle", ms=3_600_000, nth=10, count=1, mailbox="alice@contoso.example")
    engine()
    watch.wait_for(lambda: watch.users(nightferry)["bob"]["state"] == "Synced", 180, 0.2)
    alice = watch.users(nightferry)["alice"]
    assert alice["state"] == "Queued" and "deferred until" in alice["error"] and "others go on meanwhile" in alice["error"], alice
    assert "others go on meanwhile" in nightferry.run("batch", "status", "pilot").out
    nightferry.run("batch", "stop", "pilot")


def test_fenced_mailboxes_starve_no_other(nightferry, dovecot, exosim_for, engine):
    """They have read ahead as far as they may and hold that while they are fenced; the third has room of its own for its messages."""
    fenced = ("alice", "carol")
    exosim = world(nightferry, dovecot, exosim_for, ("bob",), count=8, size=200_000, batch=("--pilot", "--max-mailboxes", "2"),
                   also=dict.fromkeys(fenced, (700, 20_000)), profile={"appends_max": 20, "appends_window": 3_600_000, "backoff": 240_000})
    engine()
    for user in fenced:
        until(nightferry, lambda row: row["binds"] == "fence", user)
    watch.wait_for(lambda: sum(watch.users(nightferry)[u]["counts"]["in_doubt"] for u in fenced) >= 200, 180) # read ahead
    assert watch.users(nightferry)["bob"]["state"] == "Queued"
    nightferry.run("batch", "set", "pilot", "--max-mailboxes", "3")
    watch.wait_for(lambda: watch.users(nightferry)["bob"]["state"] == "Synced", 60)
    assert all(exosim.counts(f"{user}@contoso.example")["appended"] <= 20 for user in fenced), "they were fenced all the time"
    nightferry.run("batch", "stop", "pilot")


def learned(nf):
    with sqlite3.connect(nf.state) as db:
        return {row[0]: row[1:] for row in db.execute("SELECT scope, requests, bytes, in_flight FROM learned")}


IMAP_SCOPE = "target contoso/mailbox alice@contoso.example/imap"


def test_what_was_learned_binds_at_the_next_start(nightferry, dovecot, exosim_for, engine):
    """Three mailboxes, three dimensions, known from an earlier night."""
    names = ("alice", "bob", "carol")
    exosim = world(nightferry, dovecot, exosim_for, names, count=200, batch=("--pilot", "--max-mailboxes", "3", "--uploads", "3"))
    exosim.ask("/fault", {"kind": "slow", "ms": 400, "count": 0, "mailbox": "carol@contoso.example"})
    with sqlite3.connect(nightferry.state) as db:
        for user, values in zip(names, ((0, 300_000, 0), (30, 0, 0), (0, 0, 1))):
            db.execute("INSERT INTO learned (scope, requests, bytes, in_flight, at) VALUES (?, ?, ?, ?, ?)",
                       (IMAP_SCOPE.replace("alice", user), *values, int(time.time())))
    engine()
    row = binds(nightferry, "target concurrency", "carol")
    assert row["limit_in_flight"] == 1, row
    row = binds(nightferry, "target bytes")
    assert 0 < row["limit_bytes_per_s"] < 2000 and "taught" in row["why"], row
    row = binds(nightferry, "target requests", "bob")
    assert 0 < row["limit_requests_per_min"] < 20, row
    for what in ("target bytes", "target requests"):
        says(nightferry, f"held back by {what}: the destination")
    nightferry.run("batch", "stop", "pilot")


@pytest.mark.slow
def test_auto_ramp(nightferry, dovecot, exosim_for, engine):
    """A step up after a clean stretch, with its reason; a step back when the source slows down."""
    proxies = []

    def through(source):
        proxies.append(Chaos(source.tls_port))
        return proxies[0]
    nightferry.binary = FP
    world(nightferry, dovecot, exosim_for, ("alice", "bob", "carol"), count=400, batch=("--pilot", "--auto-ramp", "on"), through=through)
    proxies[0].faults = Faults(rate=40_000)
    try:
        process = engine(env={"NIGHTFERRY_STRETCH_MS": "12000"})
        watch.wait_for(lambda: watch.status(nightferry)["max_mailboxes"] == 3, 240, 0.3)
        state = watch.status(nightferry)
        assert state["ramp"].startswith("3 mailboxes at once instead of 2: they ran 12 s without a refusal at"), state
        assert "3 mailboxes at once (auto-ramp): 3 mailboxes" in nightferry.run("batch", "status", "pilot").out
        for _ in range(3): # the host drops every connection for a while
            proxies[0].faults = Faults(refuse=1.0)
            proxies[0].cut_all()
        watch.wait_for(lambda: watch.status(nightferry)["max_mailboxes"] < 3, 240, 0.3)
        state = watch.status(nightferry)
        assert "the source refused or broke off" in state["ramp"], state
        watch.wait_for(lambda: sum(r["state"] in ("Validating", "Syncing") for r in watch.users(nightferry).values()) <= 2, 180)
        process.terminate()
        process.communicate(timeout=180)
    finally:
        proxies[0].stop()


@pytest.mark.slow
def test_the_ramp_steps_back_when_the_source_slows_down(nightferry, dovecot, exosim_for, engine):
    """Nothing breaks and nobody refuses: the source only gives a tenth of what it gave. The mailbox that began last waits for room."""
    proxies = []

    def through(source):
        proxies.append(Chaos(source.tls_port))
        return proxies[0]
    nightferry.binary = FP
    world(nightferry, dovecot, exosim_for, ("alice", "bob"), count=400, batch=("--pilot", "--auto-ramp", "on"), through=through)
    pace = proxies[0].faults = Faults(rate=40_000)  # of each connection; changed in place, it holds for those that are open

    def stepped_back(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and watch.status(nightferry)["max_mailboxes"] == 2:
            time.sleep(0.3)
        return watch.status(nightferry)["max_mailboxes"] == 1
    try:
        engine(env={"NIGHTFERRY_STRETCH_MS": "3000"})
        watch.wait_for(lambda: [r["state"] for r in watch.users(nightferry).values()] == ["Syncing"] * 2, 180)
        for fast_s in (8, 16, 30):  # how long it takes until a good stretch is known is the machine's affair
            pace.rate = 40_000
            assert not stepped_back(fast_s), watch.status(nightferry)
            pace.rate = 4_000
            if stepped_back(30):
                break
        state = watch.status(nightferry)
        assert re.match(r"1 mailbox at once instead of 2: the source gives \d+ kB/s where it gave \d+ kB/s", state["ramp"]), state
        watch.wait_for(lambda: sorted(r["state"] for r in watch.users(nightferry).values()) == ["Queued", "Syncing"], 180)
        waits = next(r for r in watch.users(nightferry).values() if r["state"] == "Queued")
        assert "fewer mailboxes at once (1)" in waits["error"], waits
        nightferry.run("batch", "stop", "pilot")
    finally:
        proxies[0].stop()


def test_published_limits_bind(nightferry, dovecot, exosim_for, engine):
    """Graph's published limits, a fiftieth of them at both ends: large messages are bound by octets, small ones by requests; status says so
    while exosim, which holds the same limits, refuses next to nothing."""
    nightferry.binary = FP
    names = ("alice", "bob")
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind)
    for i in range(120):
        source.maildir("alice").add(corpus.made(i, size=LARGE), date=1_000_000_000 + i)
    for i in range(2400):
        source.maildir("bob").add(corpus.made(i, size=500), date=1_000_000_000 + i)
    watch.prepare(nightferry, source, exosim, names, target=("--routes", "mime", "--graph-url", exosim.graph_url), batch=("--pilot", "--uploads", "4"))
    exosim.switch(graph_bytes=3_000_000, graph_bytes_window=6_000, graph_requests=200, graph_requests_window=12_000)
    engine(env={"NIGHTFERRY_LIMIT_SCALE": "0.02"})
    row = until(nightferry, lambda row: row["binds"] == "target bytes" and "published limit of bytes" in row["why"])
    assert 0 < row["limit_bytes_per_s"] <= 500_000, row
    row = until(nightferry, lambda row: row["binds"] == "target requests" and "published limit of requests" in row["why"], "bob")
    assert 0 < row["limit_requests_per_min"] <= 1000, row
    says(nightferry, "held back by target bytes: the destination's published limit", "held back by target requests: the destination's published limit")
    for counts in exosim.ask("/state")["mailboxes"].values():
        assert counts["graph_throttled"] <= 2 + counts["graph_requests"] // 20, counts
    nightferry.run("batch", "stop", "pilot")
