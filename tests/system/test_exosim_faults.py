"""exosim's faults: each does what it says, where it says, as often as it says, and a message is stored or it is not."""
import re
import socket
import ssl
import time
import urllib.error
import urllib.request

import pytest
import watch

from servers.rawimap import RawImap, Refused

ALICE, BOB = "alice@contoso.example", "bob@contoso.example"
MAIL = b"From: a@example.org\r\nSubject: one\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n"


def connect(exosim, user=ALICE):
    c = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    c.xoauth2(user, exosim.token())
    return c


def stored(dovecot, user=ALICE, folder=b"INBOX"):
    d = RawImap(dovecot.port)
    d.login(user, dovecot.users[user])
    n = d.examine(folder)["EXISTS"]
    d.close()
    return n


def lost(c, command, *answers):
    """The connection breaks instead of an answer."""
    with pytest.raises((EOFError, ConnectionResetError, ssl.SSLError)):
        c.command(command, *answers)


def refused(c, command):
    with pytest.raises(Refused) as e:
        c.command(command)
    return e.value.args[0]


def put(text=MAIL, folder=b"INBOX"):
    return b"APPEND " + folder + b" {%d+}\r\n" % len(text) + text


def fired(exosim, number=0):
    return exosim.ask("/state")["faults"][number]["fired"]


@pytest.mark.parametrize("kind,more,kept", [
    ("drop_after_commit", {}, 1), ("drop_before_commit", {}, 0), ("drop_mid_literal", {}, 0), ("drop_mid_literal", {"bytes": 3}, 0), ("drop", {}, 0)])
def test_drops(exosim, dovecot_target, kind, more, kept):
    exosim.ask("/fault", {"kind": kind, "nth": 2, **more})
    c = connect(exosim)
    c.append(b"INBOX", MAIL)
    lost(c, put())
    assert stored(dovecot_target) == 1 + kept
    connect(exosim).append(b"INBOX", MAIL)  # once only
    assert stored(dovecot_target) == 2 + kept
    assert exosim.ask("/state")["mailboxes"][ALICE]["appended"] == 2 + kept and fired(exosim) == 1


def test_drop_among_pipelined_appends(exosim, dovecot_target):
    """What was answered before is there; so is the one whose answer is lost; what came behind is not."""
    exosim.ask("/fault", {"kind": "drop_after_commit", "nth": 20})
    c = connect(exosim)
    c.sock.sendall(b"".join(b"t%d " % i + put(MAIL + b"%d" % i) + b"\r\n" for i in range(1, 61)))
    answers = 0
    with pytest.raises((EOFError, ConnectionResetError, ssl.SSLError)):
        while True:
            assert c.line()[0].startswith(b"t%d OK" % (answers + 1))
            answers += 1
    assert answers == 19
    assert stored(dovecot_target) == 20


def test_commit_late(exosim, dovecot_target):
    exosim.ask("/fault", {"kind": "commit_late", "ms": 3000})
    c = connect(exosim)
    lost(c, "APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {%d+}\r\n" % len(MAIL) + MAIL.decode())
    assert stored(dovecot_target) == 0
    assert exosim.ask("/state")["mailboxes"][ALICE]["late_pending"] == 1
    watch.wait_for(lambda: stored(dovecot_target) == 1)
    d = connect(exosim)
    d.examine(b"INBOX")
    (m,) = d.fetch()
    assert m["body"] == MAIL and m["flags"] == {"\\Seen"} and "17-Jul-1996" in m["date"]


def test_hidden(exosim, dovecot_target):
    c = connect(exosim)
    c.append(b"INBOX", MAIL)
    exosim.ask("/fault", {"kind": "hidden", "ms": 4000})
    c.append(b"INBOX", MAIL)
    assert re.search(r"APPENDUID \d+ 2\]", c.last)
    c.append(b"INBOX", MAIL)  # behind a hidden one: not shown either
    assert stored(dovecot_target) == 3
    d = connect(exosim)
    assert d.command("STATUS INBOX (MESSAGES UIDNEXT)")[0][0] == b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2)"
    assert d.examine(b"INBOX") == {"EXISTS": 1, "UIDNEXT": 2, "UIDVALIDITY": d.examine(b"INBOX")["UIDVALIDITY"]}
    assert [m["uid"] for m in d.fetch()] == [1]
    assert d.command("UID SEARCH ALL")[0][0] == b"* SEARCH 1"
    assert d.command("SEARCH 1:*")[0][0] == b"* SEARCH 1"
    watch.wait_for(lambda: b"* 3 EXISTS" in [x for x, _ in d.command("NOOP")])
    assert [m["uid"] for m in d.fetch()] == [1, 2, 3]


def test_throttle(exosim, dovecot_target):
    exosim.ask("/fault", {"kind": "throttle", "ms": 3000, "mailbox": ALICE, "nth": 2})
    c, other = connect(exosim), connect(exosim, BOB)
    c.append(b"INBOX", MAIL)
    assert refused(c, put()) == "NO Request is throttled. Suggested Backoff Time: 3000 milliseconds"
    assert c.line()[0].startswith(b"* BYE Connection closed")
    other.append(b"INBOX", MAIL)
    d = connect(exosim)
    assert "Request is throttled" in refused(d, "NOOP")
    time.sleep(3.1)  # no less than the fence
    connect(exosim).append(b"INBOX", MAIL)
    state = exosim.ask("/state")["mailboxes"][ALICE]
    assert state["while_fenced"] == 1 and state["appended"] == 2


@pytest.mark.parametrize("spec,text", [
    ({"kind": "refuse", "text": "NO Something odd. 99"}, "NO Something odd. 99"),
    ({"kind": "refuse_message", "text": "BAD Command Argument Error. 11"}, "BAD Command Argument Error. 11"),
    ({"kind": "quota_full"}, "NO Server Unavailable. 15"),
])
def test_refusals(exosim, dovecot_target, spec, text):
    exosim.ask("/fault", {**spec, "nth": 2, "count": 2})
    c = connect(exosim)
    c.append(b"INBOX", MAIL)
    assert refused(c, put()) == text
    assert refused(c, put()) == text
    c.append(b"INBOX", MAIL)
    assert stored(dovecot_target) == 2


def test_faults_on_other_commands(exosim):
    exosim.ask("/fault", {"kind": "drop_after", "command": "CREATE"})
    lost(connect(exosim), "CREATE Made")
    c = connect(exosim)
    assert b"Made" in [n for n, _, _ in c.folders()]
    exosim.ask("/fault", {"kind": "bye", "command": "*", "text": "Server is going down"})
    c.sock.sendall(b"x NOOP\r\n")
    assert c.line()[0] == b"* BYE Server is going down"
    exosim.ask("/fault", {"kind": "refuse", "command": "SELECT", "text": "NO not now", "folder": "made"})
    d = connect(exosim)
    d.command("SELECT INBOX")
    assert refused(d, "SELECT Made") == "NO not now"


def test_hang_and_slow(exosim, dovecot_target):
    exosim.ask("/fault", {"kind": "slow", "ms": 300})
    c = connect(exosim)
    start = time.monotonic()
    c.append(b"INBOX", MAIL)
    assert time.monotonic() - start >= 0.29
    exosim.ask("/fault", {"kind": "hang_after_commit"})
    c.sock.settimeout(0.5)
    with pytest.raises((TimeoutError, socket.timeout)):
        c.command(put())
    watch.wait_for(lambda: stored(dovecot_target) == 2)
    c.sock.close()
    exosim.ask("/fault", {"kind": "hang", "ms": 200})
    d = connect(exosim)
    start = time.monotonic()
    lost(d, put())
    assert time.monotonic() - start >= 0.19 and stored(dovecot_target) == 2
    exosim.ask("/fault", {"kind": "slow_wire", "bytes": 20000})
    e = connect(exosim)
    start = time.monotonic()
    e.append(b"INBOX", b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 1000)
    assert time.monotonic() - start > 0.5


def test_folder_gone(exosim):
    c = connect(exosim)
    c.command("CREATE Going")
    c.append(b"Going", MAIL)
    exosim.ask("/fault", {"kind": "folder_gone", "folder": "Going"})
    assert refused(c, put(folder=b"Going")) == "NO [TRYCREATE] Going doesn't exist."
    c.command("CREATE Going")
    c.append(b"Going", MAIL)
    assert c.examine(b"Going")["EXISTS"] == 1


def test_sign_in_and_connect_faults(exosim):
    exosim.ask("/fault", {"kind": "refuse_signin", "mailbox": BOB})
    connect(exosim)
    with pytest.raises(Refused):
        connect(exosim, BOB)
    exosim.ask("/fault", {"kind": "not_connected"})
    assert refused(connect(exosim), "NOOP") == "BAD User is authenticated but not connected."
    exosim.ask("/fault", {"kind": "refuse_connection"})
    with pytest.raises((EOFError, OSError)):
        connect(exosim)
    connect(exosim).command("NOOP")


def test_probability_is_the_seeds(exosim_for, dovecot_target):
    def run():
        exosim = exosim_for(dovecot_target, options=["--seed", "7"])
        exosim.ask("/fault", {"kind": "refuse", "probability": 0.5, "count": 0, "text": "NO x"})
        exosim.ask("/profile", {"errors_max": 0})
        c = connect(exosim)
        pattern = ""
        for _ in range(24):
            try:
                c.append(b"INBOX", MAIL)
                pattern += "."
            except Refused:
                pattern += "x"
        return pattern
    first = run()
    assert first == run() and 4 < first.count("x") < 20


def test_admin(exosim):
    for bad in ({"kind": "nonsense"}, {"kind": "drop", "nth": -1}, {"kind": "drop", "what": 1}, {"kind": "refuse", "text": "a\r\nb"}, []):
        with pytest.raises(urllib.error.HTTPError) as e:
            exosim.ask("/fault", bad)
        assert e.value.code == 400
    with pytest.raises(urllib.error.HTTPError):
        exosim.ask("/profile", {"no_such_switch": 1})
    with pytest.raises(urllib.error.HTTPError):
        exosim.ask("/nothing")
    number = exosim.ask("/fault", {"kind": "drop", "count": 0})["id"]
    assert exosim.ask("/state")["faults"][0]["id"] == number
    request = urllib.request.Request(f"http://127.0.0.1:{exosim.admin}/fault", b"{}", method="DELETE")
    urllib.request.urlopen(request, timeout=5).close()
    assert exosim.ask("/state")["faults"] == []
    assert exosim.ask("/profile", {"profile": "unkind"})["mime_recoded"] == 1
    exosim.ask("/mailbox", {"address": "new@contoso.example", "permission": False})
    assert "new@contoso.example" in exosim.ask("/state")["mailboxes"]
