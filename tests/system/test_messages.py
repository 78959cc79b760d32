"""Odd messages that are legal, or that servers hold all the same: each arrives octet for octet and once, or is refused with its reason."""
from collections import Counter

import ferry
import pytest
from servers import corpus
from servers.rawimap import RawImap
from test_routes import ALICE, start, world

BODY = b"\r\nbody\r\n"


def head(name, more=b""):
    return (b"From: a@example.org\r\nSubject: %s\r\nDate: Mon, 3 Mar 2014 10:00:00 +0100\r\nMessage-ID: <%s@odd.example>\r\n"
            % (name.encode(), name.encode())) + more


def mime(name, of, parts):
    return head(name, b'MIME-Version: 1.0\r\nContent-Type: multipart/%s; boundary="q"\r\n' % of) + b"\r\n" + b"".join(
        b"--q\r\n" + p + b"\r\n" for p in parts) + b"--q--\r\n"


def deep(levels):
    body = b"Content-Type: text/plain\r\n\r\ndeep\r\n"
    for i in range(levels):
        body = b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i) + body + b"--b%d--\r\n" % i
    return head("deep", b"MIME-Version: 1.0\r\n") + body


CARRIED = [
    head("header only"), head("header only") + b"\r\n", head("no last line end")[:-2], head("no last line end in the body") + b"\r\nbody",
    head("bare CR") + b"\r\na\rb\r\n", (head("bare LF") + BODY).replace(b"\r\n", b"\n"), b"\r\nno header\r\n", b"x", b"\n", b"\r\n", b"   \r\n  \r\n",
    b"From a@b Mon Mar 3 10:00:00 2014\r\n" + head("from mbox") + BODY, head("no colon", b"this is no field\r\n") + BODY,
    head("dots") + b"\r\n.\r\n..\r\nFrom x\r\n", head("controls", b"X-C: \1\2\x7f\x1b\r\n") + b"\r\n\1\x1a\4\r\n",
    head("two ids", b"Message-ID: <second@odd.example>\r\n") + BODY, head("same id") + b"\r\none\r\n", head("same id") + b"\r\ntwo\r\n",
    b"From: a@b.example\r\nSubject: no date, no id\r\n\r\nx\r\n", b"From: a@b.example\r\nSubject: date\r\nDate: Foo, 99 Bar 20000 99:99 +9999\r\n\r\nx\r\n",
    b"From: a@b.example\r\nMessage-ID: <it's \"odd\" & a%20b?c#d/e+f@x>\r\n" + BODY, b"From: a@b.example\r\nMessage-ID: \r\n" + BODY,
    b"From: a@b.example\r\nMessage-ID: <" + b"z" * 3000 + b"@x>\r\n" + BODY, b"From: a@b.example\r\nSubject: " + b"s" * 9000 + b"\r\n" + BODY,
    head("998") + b"\r\n" + b"x" * 998 + b"\r\n", head("999") + b"\r\n" + b"x" * 999 + b"\r\n", head("10000") + b"\r\n" + b"x" * 10000 + b"\r\n",
    head("large header", b"".join(b"X-H%d: %s\r\n" % (i, b"v" * 70) for i in range(4000))) + BODY, head("folds", b"X-F: a" + b"\r\n b" * 3000 + b"\r\n") + BODY,
    head("not base64", b"Content-Transfer-Encoding: base64\r\n") + b"\r\n!!! ???\r\n", head("8 bits", b"Content-Transfer-Encoding: 7bit\r\n") + "\r\nü\r\n".encode(),
    mime("a message inside", b"mixed", [b"Content-Type: message/rfc822\r\n\r\n" + head("inner") + BODY]), deep(100),
    mime("parts", b"mixed", [b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=f\r\n\r\nabc"] * 260),
    head("receipt", b"Disposition-Notification-To: a@example.org\r\n") + BODY,
]
EIGHT_BITS = head("8-bit header", "X-Y: grüße\r\n".encode()) + BODY
LONG_LINE = head("long line") + b"\r\n" + b"x" * 10240 + b"\r\n"


def octets(server, user):
    c = RawImap(server.tls_port, tls=True, ca=server.ca)
    c.login(user, server.users[user])
    c.examine(b"INBOX")
    found = Counter(m["body"] for m in c.fetch())
    c.close()
    return found


@pytest.mark.parametrize("routes, twins", [("imap", 20), ("mime", 3)])
def test_each_arrives_as_it_is(nightferry, dovecot, exosim_for, routes, twins):
    def fill(box):
        for i, m in enumerate([*CARRIED, EIGHT_BITS, LONG_LINE, b""] + [corpus.made(1)] * twins + [corpus.made(2, message_id=False)] * twins):
            box.add(m, flags=("\\Seen",), date=1_000_000_000 + i % 7)
    source, behind, _ = world(nightferry, dovecot, exosim_for, fill, routes)
    start(nightferry, code=(2,))
    left = {b""} | ({EIGHT_BITS, LONG_LINE} if routes == "imap" else set())
    wanted = octets(source, "alice")
    assert sum(wanted.values()) == len(CARRIED) + 3 + 2 * twins
    for m in left:
        wanted.pop(m)
    assert octets(behind, ALICE) == wanted
    items = nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["items"]
    assert len(items) == len(left) and all(i["state"] == "refused" and i["reason"] for i in items), items
    start(nightferry, verb="sync", code=(2,))
    assert octets(behind, ALICE) == wanted
    assert ferry.verify(nightferry, code=(0, 4))[1]["same"] == sum(wanted.values())


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_more_keywords_than_can_be_taken_are_told(nightferry, dovecot, exosim_for, routes):
    words = [f"Keyword{i:02}-abcdefghijkl" for i in range(25)]  # a Maildir has 26 at most
    def fill(box):
        box.add(corpus.made(1), keywords=words[:22])
        box.add(corpus.made(2), ("Many",), keywords=words)
    source, behind, _ = world(nightferry, dovecot, exosim_for, fill, routes)
    start(nightferry)
    c = RawImap(behind.tls_port, tls=True, ca=behind.ca)
    c.login(ALICE, behind.users[ALICE])
    c.examine(b"INBOX")
    assert c.fetch()[0]["flags"] == set(words[:22])
    c.examine(b"Many")
    assert c.fetch()[0]["flags"] < set(words)
    c.close()
    notes = [n["text"] for n in nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["notes"] if n["kind"] == "keywords-cut"]
    assert len(notes) == 1 and '"Many"' in notes[0], notes


def test_flags_through_another_uidvalidity(nightferry, dovecot, exosim_for):
    """What changed at the source meanwhile is written in the same pass; what people flagged in mail that was taken over stays theirs."""
    def fill(box):
        box.add(corpus.made(1))
        box.add(corpus.made(2))
    source, behind = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    fill(source.maildir("alice"))
    behind.maildir(ALICE).add(corpus.made(2), flags=("\\Seen",))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms"))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    start(nightferry)
    counts = ferry.user_counts(nightferry)["alice"]
    assert (counts["copied"], counts["adopted"]) == (1, 1)
    c = RawImap(source.tls_port, tls=True, ca=source.ca)
    c.login("alice", "pw-alice")
    c.command("SELECT INBOX")
    first = next(m["uid"] for m in c.fetch() if m["body"] == corpus.made(1))
    c.command(f"UID STORE {first} +FLAGS (\\Flagged)")
    c.close()
    source.doveadm("mailbox", "update", "--uid-validity", "777777", "-u", "alice", "INBOX")
    for _ in range(2):
        start(nightferry, verb="sync")
        d = RawImap(behind.tls_port, tls=True, ca=behind.ca)
        d.login(ALICE, behind.users[ALICE])
        d.examine(b"INBOX")
        assert {m["body"]: m["flags"] for m in d.fetch()} == {corpus.made(1): {"\\Flagged"}, corpus.made(2): {"\\Seen"}}
        d.close()
    assert ferry.user_counts(nightferry)["alice"] == counts
