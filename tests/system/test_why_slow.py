"""Why is this mailbox slow, and until when? What status says while a server refuses, hangs up, or is only waited for. The waits are so long
that the answer stands when it is looked at."""
import os

import ferry
import pytest
import watch
from hostile import Drop, Folder, HostileServer, Message, text_message
from servers import local

FP = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"), "fp", "nightferry")


class Source:
    """A scripted source that is well until `trouble` is set: then every command but the sign-in is answered with it; b"": hung up on.
    Of one user only, if `troubled` names it; only `times` times; only to these commands."""
    certificate, tls = None, "none"

    def __init__(self, messages=60, commands=("METADATA", "BODIES", "EXAMINE")):
        self.messages, self.trouble, self.troubled, self.times, self.commands = messages, None, None, -1, commands
        self.server = HostileServer(self)
        self.port = self.server.port

    def prepare(self, world):
        world.folders = [Folder(b"INBOX", [Message(u, text_message(u, 3000)) for u in range(1, self.messages + 1)])]
        for command in self.commands:
            world.hooks[command] = self.answer

    def answer(self, session, tag, _):
        if self.trouble is None or not self.times or (self.troubled and session.user != self.troubled):
            return False
        self.times -= 1
        if not self.trouble:
            raise Drop()
        session.send(tag + b" " + self.trouble + b"\r\n")
        return True


def add(nf, source, exosim, retry="300s", target=("--settle-after", "300ms"), users=("alice",), batch=("--pilot",)):
    nf.run("endpoint", "create", "src", "--host", "localhost", "--port", source.port, "--tls", "none", "--test-user", "alice", "--password-file",
           nf.secret_file("pw"), "--retry-delay", retry)
    ferry.add_exchange(nf, exosim, "alice@contoso.example", extra=target)
    ferry.add_batch(nf, [(user, "pw", f"{user}@contoso.example") for user in users], extra=batch)


def shown(nf, binds):
    """The row of status once it says that, and the text for people at that time."""
    watch.wait_for(lambda: watch.users(nf)["alice"].get("live", {}).get("binds") == binds and watch.users(nf)["alice"]["live"]["why"], 120, 0.2)
    return watch.users(nf)["alice"]["live"], nf.run("batch", "status", "pilot").out


def stop(nf, process):
    """Even while it sleeps for minutes."""
    process.terminate()
    return nf.finish(process, 60)


@pytest.mark.parametrize("trouble, binds, words, said", [
    (b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", "fence",
     ("the source asked to wait, and not for how long", "opens again within 24 hours"), "[OVERQUOTA] Account exceeded"),
    (b"NO [UNAVAILABLE] busy, try again in 400 seconds", "fence", ("the source asked to wait",), "try again in 400 seconds"),
    (b"", "source", ("tried again at 2", "the connection broke"), None)])
def test_a_source_that_refuses(trouble, binds, words, said, nightferry, dovecot, exosim_for):
    source, exosim = Source(), exosim_for(dovecot(["alice@contoso.example"], special_use=False))
    add(nightferry, source, exosim)
    source.trouble = trouble
    process = nightferry.start("batch", "start", "pilot", "--wait")
    row, text = shown(nightferry, binds)
    assert all(w in row["why"] for w in words), row
    assert f"held back by {binds}: " in text, text
    if said:
        assert said in row["fence_words"] and row["fenced_until"] > row["at"] + 60, row
        assert "fenced until 2" in text and said in text, text
    stop(nightferry, process)
    assert watch.users(nightferry)["alice"]["state"] in ("Queued", "Stopped")
    source.trouble = None
    nightferry.run("batch", "start", "pilot", "--wait")
    assert watch.users(nightferry)["alice"]["counts"]["copied"] == 60


def test_a_source_that_has_enough_of_one_mailbox(nightferry, dovecot, exosim_for):
    """It sleeps for the longest time that is waited where a server states none, and bob has its place meanwhile."""
    source, exosim = Source(), exosim_for(dovecot(["alice@contoso.example", "bob@contoso.example"], special_use=False))
    add(nightferry, source, exosim, retry="900s", users=("alice", "bob"), batch=("--pilot", "--max-concurrent", "1"))
    source.trouble, source.troubled = b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", b"alice"
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: watch.users(nightferry)["bob"]["state"] == "Synced", 120, 0.2)
    alice = watch.users(nightferry)["alice"]
    assert alice["state"] == "Queued" and "deferred until" in alice["error"] and "Account exceeded" in alice["error"], alice
    assert watch.users(nightferry)["bob"]["counts"]["copied"] == 60
    stop(nightferry, process)


def test_the_waits_of_such_a_mailbox_go_on(nightferry, dovecot, exosim_for):
    """With a hundredth of the time that a place is kept: it waited for one, two, four, and for eight seconds without its place; then for sixteen."""
    nightferry.binary = FP
    source, exosim = Source(), exosim_for(dovecot(["alice@contoso.example", "bob@contoso.example"], special_use=False))
    add(nightferry, source, exosim, retry="1s", users=("alice", "bob"), batch=("--pilot", "--max-concurrent", "1"))
    source.trouble, source.troubled = b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", b"alice"
    process = nightferry.start("batch", "start", "pilot", "--wait", env={"NIGHTFERRY_LIMIT_SCALE": "0.01"})

    def alice():
        return watch.users(nightferry)["alice"]
    watch.wait_for(lambda: watch.users(nightferry)["bob"]["state"] == "Synced", 120, 0.2)
    assert alice()["state"] == "Queued" and "deferred until" in alice()["error"], alice()
    watch.wait_for(lambda: alice()["state"] == "Syncing" and alice()["live"].get("fenced_until"), 120, 0.2)
    row = alice()["live"]
    assert row["fenced_until"] - row["at"] >= 10, row
    stop(nightferry, process)


@pytest.mark.parametrize("trouble", [b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", b"NO [OVERQUOTA] Enough for today",
                                     b"NO [LIMIT] Enough for today", b"NO [THROTTLED] slower", b"NO [UNAVAILABLE] down, try again in 1 second",
                                     b"NO [UNAVAILABLE] down"])
def test_a_refusal_is_not_the_messages_fault(trouble, nightferry, dovecot, exosim_for):
    """Several times in a row, whatever message is asked for; it was one by one after the first. (After each refusal the waits are doubled.)"""
    source, exosim = Source(messages=5, commands=("BODIES",)), exosim_for(dovecot(["alice@contoso.example"], special_use=False))
    add(nightferry, source, exosim, retry="5ms")
    source.trouble, source.times = trouble, 8 if trouble.endswith(b"down") else 3
    nightferry.run("batch", "start", "pilot", "--wait", timeout=120)
    counts = watch.users(nightferry)["alice"]["counts"]
    assert source.times == 0 and counts["copied"] == 5 and counts["refused"] == 0, counts


def test_a_destination_that_hangs_up(nightferry, dovecot, exosim_for):
    source, exosim = Source(), exosim_for(dovecot(["alice@contoso.example"], special_use=False))
    add(nightferry, source, exosim)
    exosim.fault("refuse_connection", count=0)
    process = nightferry.start("batch", "start", "pilot", "--wait")
    row, _ = shown(nightferry, "network")
    assert "tried again at 2" in row["why"] and "target contoso" in row["why"], row
    stop(nightferry, process)


@pytest.mark.parametrize("before", ["drop_after_commit", None])
def test_a_fence_while_the_destination_is_looked_at(before, nightferry, dovecot, exosim_for):
    """Where what is in doubt is looked up; where what is there already is listed."""
    behind = dovecot(["alice@contoso.example"], special_use=False)
    source, exosim = Source(), exosim_for(behind)
    if not before:
        behind.maildir("alice@contoso.example").add(text_message(99, 3000))
    add(nightferry, source, exosim, retry="20ms")
    if before:
        exosim.fault(before, nth=60)
    exosim.fault("throttle", ms=400_000, command="UID")
    process = nightferry.start("batch", "start", "pilot", "--wait")
    row, text = shown(nightferry, "fence")
    assert "the destination asked to wait" in row["why"] and "Request is throttled" in row["fence_words"], row
    assert row["fenced_until"] > row["at"] + 300 and "fenced until 2" in text, (row, text)
    stop(nightferry, process)


def test_what_is_in_doubt_is_waited_for(nightferry, dovecot, exosim_for):
    source, exosim = Source(), exosim_for(dovecot(["alice@contoso.example"], special_use=False))
    add(nightferry, source, exosim, retry="20ms", target=("--settle-after", "400s"))
    exosim.fault("drop_after_commit", nth=60)
    process = nightferry.start("batch", "start", "pilot", "--wait")
    row, _ = shown(nightferry, "network")
    row = watch.wait_for(lambda: [r for r in [watch.users(nightferry)["alice"]["live"]] if "arrived" in r["why"]], 120, 0.2)[0]
    assert "it is not known whether" in row["why"] and ", at 2" in row["why"], row
    stop(nightferry, process)


def test_a_wait_of_verification_is_told(nightferry, dovecot, exosim_for):
    source, exosim = Source(), exosim_for(dovecot(["alice@contoso.example"], special_use=False))
    add(nightferry, source, exosim)
    nightferry.run("batch", "start", "pilot", "--wait")
    waiting = exosim.fault("throttle", ms=5000, count=1, command="UID")
    result = nightferry.run("batch", "verify", "pilot")
    assert exosim.fired(waiting) == 1 and "Verification of pilot: Perfect" in result.out, result.out
    told = [line for line in result.err.splitlines() if "asked to wait: the verification goes on by itself in" in line]
    assert len(told) == 1 and "Request is throttled" in told[0], result.err


class ManyFolders(Source):
    """Hangs up when a folder is opened for the first time after `trouble` was set."""
    def prepare(self, world):
        self.asked = set()
        world.folders = [Folder(name, [Message(1, text_message(1, 3000))]) for name in [b"INBOX"] + [b"f%d" % i for i in range(16)]]
        world.hooks["EXAMINE"] = self.answer

    def answer(self, session, tag, arguments):
        if self.trouble is not None and arguments not in self.asked:
            self.asked.add(arguments)
            raise Drop()
        return False


def test_losses_between_folders_that_are_well(nightferry, dovecot, exosim_for):
    """Nothing is fetched, and yet the source does all that is asked, if only when asked again: that is no mailbox that fails."""
    source, exosim = ManyFolders(), exosim_for(dovecot(["alice@contoso.example"], special_use=False))
    add(nightferry, source, exosim, retry="1ms")
    nightferry.run("batch", "start", "pilot", "--wait", timeout=120)
    source.trouble = b""
    nightferry.run("batch", "sync", "pilot", "--wait", timeout=120)
    row = watch.users(nightferry)["alice"]
    assert row["state"] == "Synced" and len(source.asked) == 17, (row, source.asked)
