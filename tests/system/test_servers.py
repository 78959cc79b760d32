"""The private servers themselves: each starts, lets in who may come, and shows what was put in. A fixture that does not work fails here
and not in a test of something else."""
import re

import pytest

from servers import corpus
from servers.chaos import Faults
from servers.cyrus import PROXY
from servers.dovecot import MASTER
from servers.rawimap import RawImap, Refused, decoded

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("separator, prefix, layout", [("/", "", "++"), (".", "INBOX.", "++"), ("\\", "", "fs"), ("^", "Top^", "++")])
def test_dovecot_separators(dovecot, separator, prefix, layout):
    server = dovecot(["alice"], separator=separator, prefix=prefix, layout=layout)
    name = ("Größe a" + "/\\."["/\\.".index(separator) - 1 if separator in "/\\." else 0], "日本")
    server.maildir("alice").add(b"Subject: y\r\n\r\nhello\r\n", name, ["\\Seen", "\\Flagged"], 1_000_000_000, ["$Forwarded", "b"])
    client = RawImap(server.tls_port, tls=True, ca=server.ca)
    client.login("alice", "pw-alice")
    raw = [r for r, s, _ in client.folders() if decoded(r, s)[-2:] == name]
    assert len(raw) == 1, client.folders()
    client.examine(raw[0])
    assert client.fetch() == [{"uid": 1, "flags": {"\\Seen", "\\Flagged", "$Forwarded", "b"}, "date": "09-Sep-2001 01:46:40 +0000",
                               "size": 21, "body": b"Subject: y\r\n\r\nhello\r\n"}]


def test_dovecot_signs_in(dovecot):
    server = dovecot(["alice", "jörg@example.org"])

    def plain():
        return RawImap(server.port)
    plain().login("alice", "pw-alice")
    plain().login("jörg@example.org", "pw-jörg@example.org")
    plain().scram("alice", "pw-alice")
    plain().xoauth2("alice", server.token("alice"))
    plain().login("alice*" + MASTER[0], MASTER[1])
    plain().login_as("alice", *MASTER)
    for wrong in (lambda c: c.login("alice", "nope"), lambda c: c.xoauth2("alice", server.token("alice", -60)),
                  lambda c: c.login("alice*nobody", MASTER[1])):
        with pytest.raises(Refused):
            wrong(plain())
    client = RawImap(server.port, ca=server.ca)
    client.command("STARTTLS")
    client.wrap()
    client.login("alice", "pw-alice")


@pytest.mark.parametrize("kind", ["dovecot", "cyrus"])
def test_passwords_beyond_ascii(request, nightferry, kind):
    """Neither server prepares a password (RFC 4013): what SASLprep leaves alone goes by SCRAM, and what it changes by PLAIN, at the first try."""
    passwords = {"nfc": "pässwörd", "kana": "パスワード", "nfd": "pa\u0308sswo\u0308rd", "ligature": "ﬁx", "wide": "ＡＢＣ", "ordinal": "1ª"}
    server = request.getfixturevalue(kind)(dict(passwords))

    def test(user, auth, code=0):
        return nightferry.run("endpoint", "create", f"{user}-{auth}", "--host", "localhost", "--port", server.tls_port, "--ca-file", server.ca,
                              "--auth", auth, "--test-user", user, "--password-file", nightferry.secret_file(passwords[user]), code=code)
    for user in passwords:
        way = "SCRAM-SHA-256" if user in ("nfc", "kana") else "PLAIN"
        assert re.search(rf"ok +sign-in .*{way}", test(user, "any").out), user
    test("nfc", "scram-sha-256")
    refused = test("ligature", "scram-sha-256", code=77)
    assert "SASLprep" in refused.out + refused.err, refused


def test_dovecot_limits(dovecot):
    server = dovecot(["alice"], connections=2, quota_kb=20)
    clients = [RawImap(server.port) for _ in range(3)]
    clients[0].login("alice", "pw-alice")
    clients[1].login("alice", "pw-alice")
    with pytest.raises((Refused, EOFError)):
        clients[2].login("alice", "pw-alice")
    with pytest.raises(Refused, match="OVERQUOTA"):
        for i in range(10):
            clients[0].append(b"INBOX", corpus.made(i, 4000))


def test_dovecot_restarts_with_its_mail(dovecot):
    server = dovecot(["alice"])
    server.maildir("alice").add(b"Subject: x\r\n\r\n")
    server.stop(keep=True)
    server.start()
    client = RawImap(server.tls_port, tls=True, ca=server.ca)
    client.login("alice", "pw-alice")
    assert client.examine(b"INBOX")["EXISTS"] == 1


def test_cyrus(cyrus):
    server = cyrus(["alice", "bob"])
    client = server.client("alice")
    assert {b"INBOX", b"Sent"} <= {raw for raw, _, _ in client.folders()}
    client.append(b"INBOX", b"Subject: x\r\n\r\nhi\r\n", "\\Seen", "01-Jan-2001 00:00:00 +0000")
    client.examine(b"INBOX")
    assert [m["body"] for m in client.fetch()] == [b"Subject: x\r\n\r\nhi\r\n"]
    RawImap(server.port).scram("bob", "pw-bob")
    RawImap(server.port).login_as("bob", PROXY, "pw-" + PROXY)


def test_courier(courier):
    server = courier(["alice"], connections=3)
    server.maildir("alice").add(b"Subject: x\n\nhi\n", ("a",), ["\\Seen"])
    client = server.client("alice")
    assert "UIDNEXT" not in client.examine(b"INBOX.a")
    assert [m["body"] for m in client.fetch()] == [b"Subject: x\r\n\r\nhi\r\n"]
    held = [client]
    with pytest.raises((EOFError, OSError)):
        for _ in range(4):
            held.append(server.client("alice"))


@pytest.mark.parametrize("faults", [Faults(rst_at=3000), Faults(fin_at=3000), Faults(cut_mean=500)])
def test_chaos_breaks(dovecot_source, chaos_for, faults):
    for i in range(5):
        dovecot_source.maildir("alice").add(corpus.made(i))
    proxy = chaos_for(dovecot_source.port, faults)
    with pytest.raises((OSError, EOFError)):
        for _ in range(20):
            client = RawImap(proxy.port)
            client.login("alice", "pw-alice")
            client.examine(b"INBOX")
            assert len(client.fetch()) == 5
    assert proxy.broken >= 1


def test_chaos_passes_tls(dovecot_source, chaos_for):
    proxy = chaos_for(dovecot_source.tls_port, Faults(split=7))
    client = RawImap(proxy.port, tls=True, ca=dovecot_source.ca)
    client.login("alice", "pw-alice")
    assert client.examine(b"INBOX")["EXISTS"] == 0


def test_comparison_finds_damage(dovecot_source, dovecot_target, compare_mailboxes):
    """The checker of all other tests, provoked: missing, extra, altered, other date, other flag."""
    source, target = dovecot_source.maildir("alice"), dovecot_target.maildir("alice@contoso.example")
    both = [(corpus.made(i), ["\\Seen"], 1_000_000_000 + i) for i in range(6)]
    changed = {2: (both[2][0] + b".", ["\\Seen"], both[2][2]), 3: (both[3][0], [], both[3][2]), 4: (both[4][0], ["\\Seen"], 5)}
    for i, (message, flags, date) in enumerate(both):
        source.add(message, ("a", "b"), flags, date)
        if i != 0:
            message, flags, date = changed.get(i, (message, flags, date))
            target.add(message, ("a", "b"), flags, date)
    target.add(both[1][0], ("a", "b"), both[1][1], both[1][2])
    pair = (dovecot_source, "alice"), (dovecot_target, "alice@contoso.example")
    with pytest.raises(AssertionError) as found:
        compare_mailboxes(*pair)
    text = str(found.value)
    assert text.count("missing") >= 4 and text.count("extra") == 4, text


@pytest.mark.san
def test_exosim(exosim):
    client = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    client.xoauth2("alice@contoso.example", exosim.token())
    client.append(b"INBOX", corpus.made(1), "\\Seen", "01-Jan-2001 00:00:00 +0000")
    behind = RawImap(exosim.backend.tls_port, tls=True, ca=exosim.ca)
    behind.login("alice@contoso.example", "pw-alice@contoso.example")
    behind.examine(b"INBOX")
    assert [m["body"] for m in behind.fetch()] == [corpus.made(1)]
    assert exosim.ask("/state")["totals"]["appended"] == 1
    exosim.kill()
    exosim.start()
    assert exosim.token()
