"""--rate is for the sake of a line: octets flow at about that rate, also within a large message, in both directions and by both routes."""
import time

import pytest
import watch
from servers import corpus
from servers.gauge import Gauge

RATE = 200_000


@pytest.fixture
def line(nightferry, dovecot, exosim_for):
    """line(route, {user: sizes}, batch options): a source and a destination behind gauges, and a batch that is not started."""
    gauges, engines = [], []

    def make(route, mail, batch=("--rate", f"{RATE}B/s")):
        source, behind = dovecot(list(mail)), dovecot([f"{u}@contoso.example" for u in mail], special_use=False)
        exosim = exosim_for(behind)
        for user, sizes in mail.items():
            for i, size in enumerate(sizes):
                source.maildir(user).add(corpus.made(i, size=size), (), date=1_000_000_000 + i)
        target = ("--settle-after", "300ms")
        gauges.extend((Gauge(source.tls_port), Gauge(exosim.imaps if route == "imap" else exosim.https)))
        if route == "imap":
            exosim.imaps = gauges[1].port
        else:
            target += ("--routes", "mime", "--graph-url", f"https://localhost:{gauges[1].port}")
        watch.prepare(nightferry, source, exosim, list(mail), batch=("--pilot", *batch), target=target)
        nightferry.run("endpoint", "set", "src", "--port", gauges[0].port)
        return exosim, *gauges

    def start():
        engines.append(nightferry.start("run"))
        watch.engine(nightferry)
        nightferry.run("batch", "start", "pilot")
        return time.monotonic()
    make.start = start
    yield make
    for engine in engines:
        engine.terminate()
        nightferry.finish(engine, 60)
    for gauge in gauges:
        gauge.stop()


def keeps_to(notes, begun, rate=RATE):
    """In any three seconds no more than for seven: only far violations count. A kernel's buffers fill at line speed once."""
    most = Gauge.most(notes, 3, begun)
    assert most < 7 * rate, f"{most} octets in 3 s at {rate} a second"


@pytest.mark.parametrize("route", ["imap", "mime"])
def test_octets_flow_at_the_rate(route, nightferry, line):
    """Many small messages, then a large one; and the rate is nearly used."""
    _, source, target = line(route, {"alice": [9_000] * 60 + [2_500_000]})
    begun = line.start()
    watch.wait_for(lambda: watch.users(nightferry)["alice"]["state"] == "Synced", 120)
    took = time.monotonic() - begun
    keeps_to(source.down, begun)
    keeps_to(target.up, begun)
    assert took > 10, took
    assert watch.perfect(nightferry)["same"] == 61


def test_mailboxes_share_it(nightferry, line):
    """A large message neither takes the line from the others nor adds to what they send."""
    _, source, target = line("imap", {"alice": [2_000_000], "bob": [9_000] * 60, "carol": [9_000] * 60}, ("--rate", f"{RATE}B/s", "--max-mailboxes", "3"))
    begun = line.start()
    watch.wait_for(lambda: {u for u, row in watch.users(nightferry).items() if row["state"] == "Synced"} == {"bob", "carol"}, 120)
    keeps_to(source.down, begun)
    keeps_to(target.up, begun)
    assert watch.users(nightferry)["alice"]["counts"]["copied"] == 0
    row = watch.wait_for(lambda: [r for r in [watch.users(nightferry)["alice"]["live"]] if r["binds"] == "rate"], 10)[0]
    assert row["bytes_per_s"] < 2 * RATE, row
    nightferry.run("batch", "set", "pilot", "--rate", "0")
    watch.wait_for(lambda: watch.users(nightferry)["alice"]["state"] == "Synced", 10)
    assert watch.perfect(nightferry)["same"] == 121


def ended(nf):
    watch.wait_for(lambda: watch.users(nf)["alice"]["state"] not in ("Queued", "Validating", "Syncing"), 60)
    return watch.users(nf)["alice"]["state"]


@pytest.mark.parametrize("route", ["imap", "mime"])
def test_stop_in_the_middle_of_a_message(route, nightferry, line):
    """The rest would take half a minute: it is not waited for, and nothing is in doubt."""
    exosim, _, target = line(route, {"alice": [2_500_000]}, ())
    nightferry.run("target", "set", "contoso", "--rate", "80kB/s")
    before, begun = watch.appended(exosim), line.start()
    watch.wait_for(lambda: sum(n for at, n in list(target.up) if at > begun) > 300_000, 60, 0.01)
    stopped = time.monotonic()
    nightferry.run("batch", "stop", "pilot")
    assert ended(nightferry) == "Stopped"
    assert time.monotonic() - stopped < 6
    assert Gauge.most(target.up, 60, stopped) < 500_000
    row = watch.users(nightferry)["alice"]
    assert watch.appended(exosim) == before and row["counts"]["in_doubt"] == 0 and row["counts"]["copied"] == 0, row
    nightferry.run("target", "set", "contoso", "--rate", "0")
    nightferry.run("batch", "start", "pilot")
    watch.wait_for(lambda: watch.users(nightferry)["alice"]["state"] == "Synced", 60)
    assert watch.perfect(nightferry)["same"] == 1


def test_stop_while_a_message_is_read(nightferry, line):
    exosim, source, _ = line("imap", {"alice": [4_000_000]}, ())
    nightferry.run("endpoint", "set", "src", "--rate", "80kB/s")
    before, begun = watch.appended(exosim), line.start()
    watch.wait_for(lambda: sum(n for at, n in list(source.down) if at > begun) > 300_000, 60, 0.01)
    stopped = time.monotonic()
    nightferry.run("batch", "stop", "pilot")
    assert ended(nightferry) == "Stopped"
    assert time.monotonic() - stopped < 6
    assert Gauge.most(source.down, 60, stopped) < 800_000
    nightferry.run("endpoint", "set", "src", "--rate", "0")
    nightferry.run("batch", "start", "pilot")
    watch.wait_for(lambda: watch.users(nightferry)["alice"]["state"] == "Synced", 60)
    assert watch.appended(exosim) == before + 1 and watch.perfect(nightferry)["same"] == 1
