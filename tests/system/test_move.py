"""The main job: mailboxes go from a real Dovecot into exosim or any IMAP host, whole and once, and a second run moves nothing."""
import json
import os
import re

import ferry
import pytest
from servers import compare, corpus
from servers.rawimap import RawImap


def fill(box, seed=1, count=60):
    """A mailbox as people have them: nested and non-ASCII folders, flags, keywords, old dates, twins, no Message-ID."""
    flags = [(), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Flagged",), ("\\Seen", "\\Flagged")]
    for i in range(count):
        box.add(corpus.made(i, seed=seed, message_id=i % 5 != 0), flags=flags[i % 5], date=900_000_000 + i * 86400 * 30)
    for i in range(count // 3):
        box.add(corpus.made(1000 + i, seed=seed), ("Projekte", "Größe & Maß"), flags[i % 5], 1_100_000_000 + i)
        box.add(corpus.made(2000 + i, seed=seed), ("日本語", "Архив"), (), 1_200_000_000 + i, keywords=("Kunde",))
    twin = corpus.made(5000, seed=seed, message_id=False)
    for i in range(3):
        box.add(twin, ("Twins",), ("\\Seen",), 1_300_000_000)
    box.add(corpus.made(6000, seed=seed), ("Drafts",), ("\\Draft", "\\Seen"))
    box.folder("Empty")


def test_pilot_into_exchange_and_everything_after(nightferry, dovecot, exosim_for, compare_mailboxes):
    source = dovecot(["alice", "bob"])
    behind = dovecot(["alice@contoso.example", "bob@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    fill(source.maildir("alice"), 1)
    fill(source.maildir("bob"), 2, 90)
    assert "saved" in ferry.add_endpoint(nightferry, source, "alice").out
    assert "saved" in ferry.add_exchange(nightferry, exosim, "alice@contoso.example").out
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")])
    nightferry.run("batch", "start", "pilot", "--wait")
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))
    counts = ferry.user_counts(nightferry)["alice"]
    assert counts["copied"] == 60 + 20 + 20 + 3 + 1 and counts["in_doubt"] == 0, counts

    # a second run moves nothing
    nightferry.run("batch", "sync", "pilot", "--wait")
    assert ferry.user_counts(nightferry)["alice"] == counts
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))

    # others do not start before the pilot is verified
    ferry.add_batch(nightferry, [("bob", "pw-bob", "bob@contoso.example")], name="wave1", extra=())
    assert "verif" in nightferry.run("batch", "start", "wave1", "--wait", code=64).err
    verdict, total = ferry.verify(nightferry)
    assert verdict == "Perfect" and total["same"] == counts["copied"] and not (total["missing"] or total["duplicate"] or total["altered"])
    nightferry.run("batch", "start", "wave1", "--wait")
    compare_mailboxes((source, "bob"), (behind, "bob@contoso.example"))

    # new mail, changed flags, and a message that a person deleted at the destination
    source.maildir("alice").add(corpus.made(7000), (), ("\\Seen",), 1_600_000_000)
    c = RawImap(behind.tls_port, tls=True, ca=behind.ca)
    c.login("alice@contoso.example", behind.users["alice@contoso.example"])
    c.command("SELECT INBOX")
    c.command("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    c.command("EXPUNGE")
    c.close()
    nightferry.run("batch", "sync", "pilot", "--wait")
    again = ferry.user_counts(nightferry)["alice"]
    assert again["copied"] == counts["copied"] + 1, again
    verdict, total = ferry.verify(nightferry)
    assert verdict == "Good" and total["gone"] == 1 and total["missing"] == 0

    nightferry.run("batch", "set", "pilot", "--window", "daily", "--time-zone", "UTC")
    assert "window: " in nightferry.run("batch", "status", "pilot").out
    nightferry.run("batch", "complete", "pilot", "--wait")
    assert "window: " not in nightferry.run("batch", "status", "pilot").out  # nothing is to come
    shown = nightferry.run("batch", "status", "pilot", "--json").json()
    assert shown["state"] == "Completed"
    # completed: the password is forgotten, the endpoint cannot go while batches refer to it
    assert "in use by pilot" in nightferry.run("endpoint", "delete", "src", code=64).err
    report = os.path.join(nightferry.folder, "report")
    nightferry.run("batch", "report", "pilot", "--output-dir", report)
    assert "alice" in open(os.path.join(report, "users.csv"), encoding="utf-8-sig").read()
    for line in nightferry.output:
        assert exosim.secret not in line and "pw-alice" not in line


def test_source_is_not_changed(nightferry, dovecot, compare_mailboxes):
    source, target = dovecot(["alice"]), dovecot(["a@x.example"])
    fill(source.maildir("alice"))
    c = RawImap(source.tls_port, tls=True, ca=source.ca)
    c.login("alice", source.users["alice"])
    before = compare.snapshot(c)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example")], target="other")
    nightferry.run("batch", "start", "pilot", "--wait")
    nightferry.run("batch", "verify", "pilot")
    assert compare.snapshot(c) == before
    c.close()


def test_what_the_destination_would_refuse_is_reported(nightferry, dovecot, exosim_for, compare_mailboxes):
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    box = source.maildir("alice")
    good = [corpus.made(i) for i in range(5)]
    for m in good:
        box.add(m)
    box.add(b"Subject: long line\r\nFrom: x@y.example\r\n\r\n" + b"x" * 20000 + b"\r\n")
    box.add("Subject: raw ümlaut\r\nFrom: x@y.example\r\n\r\nhello\r\n".encode("latin-1"))
    box.add(corpus.made(99, size=3_000_000))
    box.add(corpus.made(100), flags=("\\Deleted",))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example", extra=("--max-message-size", "2MB"))
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")])
    nightferry.run("batch", "start", "pilot", "--wait", code=2)
    counts = ferry.user_counts(nightferry)["alice"]
    assert (counts["copied"], counts["refused"], counts["skipped"]) == (5, 3, 1), counts
    items = nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["items"]
    reasons = {i["subject"]: i["reason"] for i in items if i["state"] == "refused"}
    assert "line" in reasons["long line"], reasons
    assert any("header" in r for r in reasons.values()), reasons
    assert any("MaxReceiveSize" in r for r in reasons.values()), reasons
    # the limit was raised: what was refused for its size moves now
    nightferry.run("target", "set", "contoso", "--max-message-size", "36MB", "--probe-size", 0)
    nightferry.run("batch", "sync", "pilot", "--wait", code=2)
    counts = ferry.user_counts(nightferry)["alice"]
    assert (counts["copied"], counts["refused"]) == (6, 2), counts


def test_mail_that_is_there_already_is_adopted(nightferry, dovecot, exosim_for, compare_mailboxes):
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    fill(source.maildir("alice"))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")])
    nightferry.run("batch", "start", "pilot", "--wait")
    # the state is lost
    for name in os.listdir(os.path.dirname(nightferry.state)):
        os.remove(os.path.join(os.path.dirname(nightferry.state), name))
    source.maildir("alice").add(corpus.made(8000))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")])
    nightferry.run("batch", "start", "pilot", "--wait")
    counts = ferry.user_counts(nightferry)["alice"]
    assert counts["adopted"] == 104 and counts["copied"] == 1, counts
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))


def test_uidvalidity_change_copies_nothing_twice(nightferry, dovecot, compare_mailboxes):
    source, target = dovecot(["alice"]), dovecot(["a@x.example"])
    box = source.maildir("alice")
    for i in range(30):
        box.add(corpus.made(i, message_id=i % 3 != 0))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example")], target="other")
    nightferry.run("batch", "start", "pilot", "--wait")
    box.add(corpus.made(500))
    source.doveadm("mailbox", "update", "--uid-validity", "777777", "-u", "alice", "INBOX")
    nightferry.run("batch", "sync", "pilot", "--wait")
    compare_mailboxes((source, "alice"), (target, "a@x.example"), rename={})


def test_copy_one_mailbox(nightferry, dovecot, compare_mailboxes):
    source, target = dovecot(["alice"]), dovecot(["a@x.example"])
    fill(source.maildir("alice"))
    args = ("copy", "--source-host", "localhost", "--source-port", source.tls_port, "--source-ca-file", source.ca, "--source-user", "alice",
            "--source-password-file", nightferry.secret_file("pw-alice"), "--target-host", "localhost", "--target-port", target.tls_port,
            "--target-ca-file", target.ca, "--target-password-file", nightferry.secret_file("pw-a@x.example"), "--address", "a@x.example")
    first = nightferry.run(*args, "--json").json()
    assert first["users"][0]["counts"]["copied"] == 104
    second = nightferry.run(*args, "--json").json()
    assert second["users"][0]["counts"]["copied"] == 104
    compare_mailboxes((source, "alice"), (target, "a@x.example"), rename={})


def test_wrong_password_is_said_in_one_line(nightferry, dovecot):
    source = dovecot(["alice"])
    result = nightferry.run("endpoint", "create", "src", "--host", "localhost", "--port", source.tls_port, "--ca-file", source.ca,
                            "--test-user", "alice", "--password-file", nightferry.secret_file("wrong"), code=77)
    assert "credentials" in result.out and "not saved" in result.err
    assert json.loads(nightferry.run("endpoint", "list", "--json").out) == []


@pytest.mark.parametrize("args, words", [
    (("--host", "no-such-host.invalid"), "DNS"),
    (("--host", "127.0.0.1", "--port", "1"), "firewall or port: .*nothing listens there, or a firewall refuses it"),
])
def test_endpoint_blames_the_right_thing(nightferry, args, words):
    result = nightferry.run("endpoint", "create", "src", *args, "--test-user", "alice", "--password-file", nightferry.secret_file("x"), code=69)
    assert re.search(words, result.out), result


def test_what_a_test_shows_is_clean(nightferry, dovecot):
    """The server's words come without its line end."""
    shown = ferry.add_endpoint(nightferry, dovecot(["alice"]), "alice").out
    assert "ready." in shown and "?" not in shown, shown


def test_typing_errors_are_met_with_a_guess(nightferry):
    for args, guess in ((("endpont", "list"), "did you mean endpoint?"), (("endpoint", "create", "x", "--hots", "h"), "did you mean --host?"),
                        (("--state", "x", "endpoint", "list"), "the command comes first")):
        assert guess in nightferry.run(*args, code=64).err, args


def test_certificate_is_blamed(nightferry, dovecot):
    source = dovecot(["alice"])
    result = nightferry.run("endpoint", "create", "src", "--host", "localhost", "--port", source.tls_port, "--test-user", "alice",
                            "--password-file", nightferry.secret_file("pw-alice"), code=69)
    assert "certificate" in result.out, result
