"""exosim's IMAP front: what Exchange shows, takes and refuses. Every rule is looked at from outside, over TLS, with a real Dovecot behind."""
import base64
import re
import socket
import ssl
import time

import pytest
import watch

from servers.rawimap import RawImap, Refused

ALICE = "alice@contoso.example"
MAIL = b"From: a@example.org\r\nSubject: one\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n"
DATE = "17-Jul-1996 02:44:25 -0700"


def connect(exosim, user=ALICE, token=None):
    c = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    c.xoauth2(user, token or exosim.token())
    return c


def raw(exosim):
    """A TLS socket and its file, without a client's habits."""
    context = ssl.create_default_context(cafile=exosim.ca)
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", exosim.imaps), 20), server_hostname="localhost")
    return s, s.makefile("rb")


def refused(c, command, *answers):
    with pytest.raises(Refused) as e:
        c.command(command, *answers)
    return e.value.args[0]


def names(c):
    return {n.decode() for n, _, _ in c.folders()}


def box(exosim, user=ALICE):
    return exosim.ask("/state")["mailboxes"][user]


def test_greeting_and_capabilities(exosim):
    c = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    assert re.fullmatch(rb"\* OK The Microsoft Exchange IMAP4 service is ready\. \[[A-Za-z0-9+/=]+\]", c.greeting)
    before = c.command("CAPABILITY")[0][0].decode()
    assert before == ("* CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+")
    assert refused(c, "LOGIN a b") == "NO LOGIN failed."
    assert refused(c, "SELECT INBOX") == "BAD Command received in Invalid state."
    assert refused(c, "STARTTLS") == "BAD Command Error. 12"
    c.xoauth2(ALICE, exosim.token())
    assert c.last == "OK AUTHENTICATE completed."
    after = c.command("CAPABILITY")[0][0].decode().split()[2:]
    assert "MOVE" in after and "LOGINDISABLED" not in after
    for absent in "MULTIAPPEND APPENDLIMIT CONDSTORE QRESYNC SPECIAL-USE QUOTA ENABLE OBJECTID SORT ESEARCH LIST-EXTENDED".split():
        assert not any(w.startswith(absent) for w in after)
    assert c.command("NAMESPACE")[0][0] == b'* NAMESPACE (("" "/")) NIL NIL'
    assert c.command("ID NIL")[0][0].startswith(b'* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server"')


@pytest.mark.parametrize("command,text", [
    ("ENABLE CONDSTORE", "BAD Command Error. 12"),
    ("COMPRESS DEFLATE", "BAD Command Error. 12"),
    ("GETQUOTAROOT INBOX", "BAD Command Error. 12"),
    ("SORT (DATE) UTF-8 ALL", "BAD Command Error. 12"),
    ('LIST (SPECIAL-USE) "" "*"', "BAD Command Argument Error. 11"),
    ('LIST "" "*" RETURN (SPECIAL-USE)', "BAD Command Argument Error. 11"),
    ("SELECT INBOX (CONDSTORE)", "BAD Command Argument Error. 11"),
    ("STATUS INBOX (SIZE)", "BAD Command Argument Error. 11"),
    ("STATUS INBOX (MESSAGES HIGHESTMODSEQ)", "BAD Command Argument Error. 11"),
    ("UID FETCH 1:* (UID MODSEQ)", "BAD Command Argument Error. 11"),
    ("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)", "BAD Command Argument Error. 11"),
    ("UID FETCH 1:* (X-GM-LABELS)", "BAD Command Argument Error. 11"),
    ("UID SEARCH RETURN (ALL) ALL", "BAD Command Argument Error. 11"),
    ("UID SEARCH MODSEQ 1", "BAD Command Argument Error. 11"),
    ("UID STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)", "BAD Command Argument Error. 11"),
    ("UID STORE 1 +FLAGS (\\Recent)", "BAD Command Argument Error. 11"),
    ("NOOP 1", "BAD Command Argument Error. 11"),
    ('SELECT "INBOX', "BAD Command Argument Error. 11"),
    ("SELECT nowhere", "NO nowhere doesn't exist."),
    ("STATUS nowhere (MESSAGES)", "NO nowhere doesn't exist."),
    ("CREATE Files", "NO Folder name is reserved"),
    ("CREATE fILES", "NO Folder name is reserved"),
    ("CREATE inbox", "NO Mailbox already exists."),
    ('CREATE "sent items"', "NO Mailbox already exists."),
    ('CREATE "a//b"', "BAD Command Argument Error. 11"),
    ("CREATE " + "n" * 256, "BAD Command Argument Error. 11"),
    ('DELETE "Sent Items"', "NO DELETE failed."),
    ("RENAME INBOX other", "NO RENAME failed."),
    ('COPY 1 nowhere', "NO [TRYCREATE] nowhere doesn't exist."),
    ("UID FETCH " + ",".join(str(i) for i in range(1, 8000, 2)) + " (UID)", "BAD Command Argument Error. 11"),
], ids=lambda v: v[:30])
def test_what_is_refused(exosim, command, text):
    c = connect(exosim)
    c.append(b"INBOX", MAIL)
    c.command("SELECT INBOX")
    assert refused(c, command) == text
    assert c.command("NOOP") is not None  # still in step


def test_select_shows_exchange(exosim):
    c = connect(exosim)
    c.append(b"INBOX", MAIL, "\\Seen custom")
    lines = [x.decode() for x, _ in c.command("SELECT inbox")]
    assert "* 1 EXISTS" in lines
    assert "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent)] Permanent flags" in lines
    assert any(re.fullmatch(r"\* OK \[UIDVALIDITY \d+\] UIDVALIDITY value", x) for x in lines)
    assert any(re.fullmatch(r"\* OK \[UIDNEXT 2\] The next unique identifier value", x) for x in lines)
    assert not any("MODSEQ" in x or "CAPABILITY" in x or "Dovecot" in x for x in lines)
    assert c.last == "OK [READ-WRITE] SELECT completed."
    c.command("EXAMINE INBOX")
    assert c.last == "OK [READ-ONLY] EXAMINE completed."


def test_append_keeps_octets_date_flags_and_gives_the_uid(exosim, dovecot_target):
    c = connect(exosim)
    c.append(b"INBOX", MAIL, "\\Seen \\Flagged \\Answered work", DATE)
    uid = re.fullmatch(r"OK \[APPENDUID (\d+) (\d+)\] APPEND completed\.", c.last)
    assert uid and c.examine(b"INBOX")["UIDVALIDITY"] == int(uid.group(1))
    (m,) = c.fetch(uid.group(2))
    assert m["body"] == MAIL
    assert m["flags"] == {"\\Seen", "\\Flagged", "\\Answered", "work"}
    d = RawImap(dovecot_target.port)
    d.login(ALICE, dovecot_target.users[ALICE])
    d.examine(b"INBOX")
    assert d.fetch()[0]["date"] == m["date"] and "17-Jul-1996" in m["date"]
    assert box(exosim)["appended"] == 1 and box(exosim)["append_flagged"] == 1


@pytest.mark.parametrize("literal", ["sync", "plus"])
@pytest.mark.parametrize("arguments,message,text", [
    ('INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700"', b"Subject: \xe4\r\n\r\nx\r\n", "NO Message contains invalid header"),
    ("INBOX", b"Subject: a\0b\r\n\r\nx\r\n", "NO Message contains invalid header"),
    ("INBOX", b"Subject: a\r\n\r\n" + b"x" * 10240 + b"\r\n", "BAD Command Argument Error. 11"),
    ("INBOX", b"Subject: " + b"x" * 10240 + b"\r\n\r\nb\r\n", "BAD Command Argument Error. 11"),
    ("INBOX", b"Subject: a\r\n\r\nno\0null\r\n", "BAD Command Argument Error. 11"),
    ("INBOX", b"Subject: a\r\n\r\n" + b"y" * 70 + b"\r\n" + b"z\r\n" * 100000, "NO Maximum size of appendable message has been exceeded"),
    ("nowhere", MAIL, "NO [TRYCREATE] nowhere doesn't exist."),
    ("INBOX (\\Recent)", MAIL, "BAD Command Argument Error. 11"),
    ("INBOX (\\Unknown)", MAIL, "BAD Command Argument Error. 11"),
    ('INBOX "17-Jul-96 02:44:25 -0700"', MAIL, "BAD Command Argument Error. 11"),
    ('INBOX "31-Apr-1996 02:44:25 -0700"', MAIL, "BAD Command Argument Error. 11"),
    ("INBOX (\\Seen", MAIL, "BAD Command Argument Error. 11"),
], ids="eight-bit nul-header long-line long-header-line nul-body too-big no-folder recent unknown-flag short-year no-such-day open-list".split())
def test_append_refuses(exosim_for, dovecot_target, literal, arguments, message, text):
    exosim = exosim_for(dovecot_target, config={"switches": {"size_cap": 200000}})
    c = connect(exosim)
    if literal == "sync":
        assert refused(c, f"APPEND {arguments} {{{len(message)}}}", message) == text
    else:
        assert refused(c, f"APPEND {arguments} {{{len(message)}+}}\r\n".encode() + message) == text
    c.append(b"INBOX", MAIL)
    assert c.examine(b"INBOX")["EXISTS"] == 1
    assert box(exosim)["refused"] == 1


def test_limits_just_met(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"mailboxes": [{"address": ALICE, "size_cap": 20000}]})
    c = connect(exosim)
    long_line = b"Subject: a\r\n\r\n" + b"x" * 10239 + b"\r\n"
    c.append(b"INBOX", long_line)
    full = b"Subject: a\r\n\r\n" + b"x" * 68 + b"\r\n"
    full += b"y" * (20000 - len(full) - 2 - 10000) + b"\r\n" + b"z" * 9998 + b"\r\n"
    full = full[:19998] + b"\r\n"
    assert len(full) == 20000
    c.append(b"INBOX", full)
    assert refused(c, b"APPEND INBOX {20001+}\r\n" + full + b"\n").startswith("NO Maximum size")
    c.examine(b"INBOX")
    assert [m["body"] for m in c.fetch()] == [long_line, full]


def test_folders_have_no_case(exosim):
    c = connect(exosim)
    c.command("CREATE Projects")
    c.command("CREATE pROJECTS/Alpha")
    assert "Projects/Alpha" in names(c)
    assert refused(c, "CREATE projects/ALPHA") == "NO Mailbox already exists."
    c.command('CREATE "&AMQ-pfel"')
    assert refused(c, 'CREATE "&AOQ-PFEL"') == "NO Mailbox already exists."
    c.append(b"PROJECTS/alpha", MAIL)
    c.append(b'&AOQ-pfel', MAIL)
    assert b"MESSAGES 1" in c.command("STATUS projects/alpha (MESSAGES)")[0][0]
    c.command("SELECT projects/alpha")
    c.command("UNSELECT")
    c.command('CREATE "Trailing  "')
    assert "Trailing" in names(c)
    assert refused(c, 'CREATE " trailing"') == "NO Mailbox already exists."
    c.command("RENAME projects/alpha projects/Beta")
    assert "Projects/Beta" in names(c)
    c.command("DELETE PROJECTS/BETA")
    assert "Projects/Beta" not in names(c)
    # a folder that another way made is found
    d = connect(exosim)
    d.command("CREATE Elsewhere")
    assert b"MESSAGES 0" in c.command("STATUS ELSEWHERE (MESSAGES)")[0][0]


@pytest.mark.parametrize("language,expected", [
    ("en", {"INBOX", "Sent Items", "Deleted Items", "Drafts", "Junk Email", "Archive", "Outbox", "Calendar", "Contacts"}),
    ("de", {"INBOX", "Gesendete Elemente", "Gel&APY-schte Elemente", "Entw&APw-rfe", "Junk-E-Mail", "Archiv", "Postausgang", "Kalender"}),
])
def test_well_known_folders(exosim_for, dovecot_target, language, expected):
    c = connect(exosim_for(dovecot_target, options=["--language", language]))
    assert expected <= names(c)
    assert all(not a & {"\\Sent", "\\Trash", "\\Drafts", "\\Junk", "\\Archive"} for _, _, a in c.folders())
    subscribed = {line.split()[-1] for line, _ in c.command('LSUB "" "*"')}
    assert len(subscribed) >= len(expected) - 1


def test_ten_errors_end_the_session(exosim):
    c = connect(exosim)
    for _ in range(9):
        refused(c, "SELECT nowhere")
    assert refused(c, "BOGUS") == "BAD Command Error. 12"
    assert c.line()[0] == b"* BYE Connection closed. 14"
    with pytest.raises(EOFError):
        c.line()


def test_too_many_sessions_are_not_connected(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"switches": {"sessions_max": 3}})
    first = [connect(exosim) for _ in range(3)]
    more = connect(exosim)
    assert more.last == "OK AUTHENTICATE completed."
    assert refused(more, "NAMESPACE") == "BAD User is authenticated but not connected."
    assert refused(more, b"APPEND INBOX {%d+}\r\n" % len(MAIL) + MAIL) == "BAD User is authenticated but not connected."
    connect(exosim, "bob@contoso.example").command("NOOP")
    first[0].command("LOGOUT")
    with pytest.raises(EOFError):
        first[0].line()
    watch.wait_for(lambda: box(exosim)["sessions"] < 3)
    connect(exosim).command("NOOP")
    assert box(exosim)["sessions_peak"] == 3


def signin(exosim, user, token):
    c = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    with pytest.raises(Refused) as e:
        c.xoauth2(user, token)
    return e.value.args[0]


def test_who_may_sign_in(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"mailboxes": [
        {"address": ALICE}, {"address": "bob@contoso.example", "permission": False}, {"address": "carol@contoso.example", "imap": False}]})
    token = exosim.token()
    assert connect(exosim, "ALICE@Contoso.Example", token).last == "OK AUTHENTICATE completed."
    for user, t in [(ALICE, "x"), (ALICE, token[:-3] + "abc"), ("bob@contoso.example", token), ("carol@contoso.example", token),
                    ("nobody@contoso.example", token)]:
        assert signin(exosim, user, t) == "NO AUTHENTICATE failed."
    exosim.ask("/profile", {"no_permission_connects": 1})
    c = connect(exosim, "bob@contoso.example", token)
    assert refused(c, 'LIST "" "*"') == "BAD User is authenticated but not connected."
    exosim.ask("/revoke", {})
    assert signin(exosim, ALICE, token) == "NO AUTHENTICATE failed."
    connect(exosim)


def test_token_expires(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, options=["--token-life", "4"])
    token = exosim.token()
    c = connect(exosim, token=token)
    time.sleep(4.1)  # no less than its life
    assert signin(exosim, ALICE, token) == "NO AUTHENTICATE failed."
    c.command("NOOP")  # a session outlives its token


def test_sign_in_forms(exosim):
    token = exosim.token()
    text = base64.b64encode(f"user={ALICE}\1auth=Bearer {token}\1\1".encode())
    c = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    c.command("AUTHENTICATE XOAUTH2", text)
    assert c.last == "OK AUTHENTICATE completed."
    # a refused token: the challenge is base64 of JSON, and the client's empty answer is waited for
    s, f = raw(exosim)
    f.readline()
    s.sendall(b"a AUTHENTICATE XOAUTH2 " + base64.b64encode(f"user={ALICE}\1auth=Bearer bad\1\1".encode()) + b"\r\n")
    plus = f.readline()
    assert plus.startswith(b"+ ") and b'"status":"401"' in base64.b64decode(plus[2:])
    s.sendall(b"\r\n")
    assert f.readline() == b"a NO AUTHENTICATE failed.\r\n"
    for bad in (b"PLAIN AGEAYg==", b"XOAUTH2 !!!", b"XOAUTH2 " + base64.b64encode(b"user=x"), b"XOAUTH2 ="):
        s.sendall(b"b AUTHENTICATE " + bad + b"\r\n")
        assert f.readline() == b"b NO AUTHENTICATE failed.\r\n"
    assert token not in exosim.output()


def test_pipelined_appends_with_a_refusal_among_them(exosim):
    s, f = raw(exosim)
    f.readline()
    s.sendall(b"a AUTHENTICATE XOAUTH2 " + base64.b64encode(f"user={ALICE}\1auth=Bearer {exosim.token()}\1\1".encode()) + b"\r\n")
    assert f.readline().startswith(b"a OK")
    blob, count = b"", 300
    for i in range(count):
        m = MAIL + b"%d\r\n" % i if i % 50 != 7 else b"Subject: \xff\r\n\r\n"
        blob += b"t%d APPEND INBOX (\\Seen) {%d+}\r\n" % (i, len(m)) + m + b"\r\n"
    s.sendall(blob)
    uids = []
    for i in range(count):
        line = f.readline()
        if i % 50 == 7:
            assert line == b"t%d NO Message contains invalid header\r\n" % i
        else:
            uids.append(int(re.fullmatch(rb"t%d OK \[APPENDUID \d+ (\d+)\] APPEND completed\.\r\n" % i, line).group(1)))
    assert uids == list(range(1, len(uids) + 1))
    state = box(exosim)
    assert state["appended"] == len(uids) and state["in_flight"] == 0 and 1 < state["in_flight_peak"] <= 64


def test_multiappend_is_refused(exosim):
    c = connect(exosim)
    n = b"{%d+}\r\n" % len(MAIL)
    assert refused(c, b"APPEND INBOX " + n + MAIL + b" (\\Seen) " + n + MAIL).startswith("BAD")
    # the second message is read as commands, as a server that knows no MULTIAPPEND must
    s = box(exosim)
    assert s["appended"] == 0


def test_big_message_streams(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, options=["--set", "size_cap=157286400"])
    c = connect(exosim)
    body = b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 1_000_000
    c.append(b"INBOX", body)
    c.command("SELECT INBOX")
    assert c.fetch()[0]["body"] == body
    with open(f"/proc/{exosim.process.pid}/status", encoding="ascii") as f:
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1))
    assert peak < 40_000 or re.search("asan|tsan", exosim.binary), f"{peak} kB"


def test_store_search_fetch_copy_move_expunge(exosim):
    c = connect(exosim)
    for i in range(5):
        c.append(b"INBOX", MAIL + b"%d" % i, "")
    c.command("SELECT INBOX")
    c.command("UID STORE 1:2 +FLAGS.SILENT (\\Flagged)")
    assert c.command("UID SEARCH FLAGGED")[0][0] == b"* SEARCH 1 2"
    assert c.command('UID SEARCH HEADER Message-ID "<1@example.org>" UID 3:5')[0][0] == b"* SEARCH 3 4 5"
    assert c.command("SEARCH NOT (OR FLAGGED UID 5)")[0][0] == b"* SEARCH 3 4"
    c.command("UID COPY 1 archive")
    assert re.fullmatch(r"OK \[COPYUID \d+ 1 1\] COPY completed\.", c.last)
    moved = [line for line, _ in c.command("UID MOVE 2 Archive")]
    assert any(re.fullmatch(rb"\* OK \[COPYUID \d+ 2 2\]", x) for x in moved) and b"* 2 EXPUNGE" in moved
    c.command("UID STORE 3 +FLAGS \\Deleted")
    assert b"* 2 EXPUNGE" in [x for x, _ in c.command("UID EXPUNGE 3")]
    body = c.command("UID FETCH 4 (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)]<0.10> RFC822.SIZE)")
    assert body[0][1] == [b"Subject: o"]
    assert box(exosim)["store_flagged"] == 1


def test_idle(exosim):
    c, d = connect(exosim), connect(exosim)
    c.command("SELECT INBOX")
    c.sock.sendall(b"i IDLE\r\n")
    assert c.line()[0].startswith(b"+ ")
    d.append(b"INBOX", MAIL)
    lines = []
    while not any(b"1 EXISTS" in x for x in lines):
        lines.append(c.line()[0])
    c.sock.sendall(b"DONE\r\n")
    while not lines[-1].startswith(b"i "):
        lines.append(c.line()[0])
    assert lines[-1] == b"i OK IDLE completed."


def test_quota(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"mailboxes": [{"address": ALICE, "quota": 2 * len(MAIL)}]})
    c = connect(exosim)
    c.append(b"INBOX", MAIL)
    c.append(b"INBOX", MAIL)
    assert refused(c, b"APPEND INBOX {%d+}\r\n" % len(MAIL) + MAIL) == "NO Server Unavailable. 15"


def test_backend_quota_is_told_as_exchange_tells_it(exosim_for, dovecot):
    exosim = exosim_for(dovecot([ALICE], quota_kb=10, special_use=False))
    c = connect(exosim)
    big = MAIL + b"x" * 1000 + b"\r\n"
    with pytest.raises(Refused) as e:
        for _ in range(20):
            c.append(b"INBOX", big)
    assert e.value.args[0] == "NO Server Unavailable. 15"


def test_limits_throttle(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"switches": {"appends_max": 5, "appends_window": 6000}})
    c = connect(exosim)
    for _ in range(5):
        c.append(b"INBOX", MAIL)
    text = refused(c, b"APPEND INBOX {%d+}\r\n" % len(MAIL) + MAIL)
    wait = int(re.fullmatch(r"NO Request is throttled\. Suggested Backoff Time: (\d+) milliseconds", text).group(1))
    assert 0 < wait <= 6000
    assert c.line()[0] == b"* BYE Connection closed. 14"
    d = connect(exosim)
    assert "Request is throttled" in refused(d, "SELECT INBOX")
    assert box(exosim)["while_fenced"] == 1
    connect(exosim, "bob@contoso.example").append(b"INBOX", MAIL)  # another mailbox is not concerned
    time.sleep(wait / 1000 + 0.05)
    e = connect(exosim)
    e.append(b"INBOX", MAIL)
    state = box(exosim)
    assert state["window_appends_peak"] == 5 and state["throttled"] == 1 and state["appended"] == 6


def test_byte_window_throttles(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, options=["--set", "bytes_max=3000", "--set", "bytes_window=600000", "--set", "throttle_bad=1"])
    c = connect(exosim)
    m = MAIL + b"x" * (1000 - len(MAIL))
    for _ in range(3):
        c.append(b"INBOX", m)
    assert refused(c, "APPEND INBOX {1000}").startswith("BAD Request is throttled. Suggested Backoff Time: ")
    assert box(exosim)["window_bytes_peak"] == 3000


def test_unkind_profile(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, options=["--profile", "unkind"])
    c = connect(exosim)
    m = (b"From: a@example.org\r\nSubject: =?iso-8859-1?Q?gr=FC=DF?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
         b"Content-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=A4 und so\r\n")
    c.append(b"INBOX", m, "\\Flagged \\Seen", DATE)
    assert c.last == "OK APPEND completed."
    c.examine(b"INBOX")
    (got,) = c.fetch()
    assert got["body"] != m and got["flags"] == {"\\Seen"} and "17-Jul-1996" in got["date"]
    assert b"Content-Transfer-Encoding: base64" in got["body"] and b"Message-ID: <" in got["body"]
    assert base64.b64encode("hä und so\r\n".encode()).strip() in got["body"] or base64.b64encode("hä und so\n".encode()).strip() in got["body"]
    assert b"\r\n" in got["body"] and not re.search(rb"[^\r]\n", got["body"])


def test_hostile_clients(exosim):
    s, f = raw(exosim)
    f.readline()
    s.sendall(b"\r\n" + b"x" * 300000 + b"\r\na NOOP\nb {5}\r\nc APPEND INBOX {99999999999999999999}\r\n\x00\x01\x02 NOOP\r\nd NOOP\r\n")
    lines = []
    while not lines or not lines[-1].startswith(b"d "):
        lines.append(f.readline())
        assert lines[-1], lines
    assert lines[-1] == b"d OK NOOP completed.\r\n"
    for junk in (b"\x16\x03\x01junk" * 50, b"GET / HTTP/1.0\r\n\r\n"):
        p = socket.create_connection(("127.0.0.1", exosim.imaps), 5)
        p.sendall(junk)
        p.close()
    # a literal that never comes, connections that never speak
    t, g = raw(exosim)
    g.readline()
    t.close()
    connect(exosim).command("NOOP")


def test_exosim_killed_leaves_the_backend_whole(exosim):
    c = connect(exosim)
    c.append(b"INBOX", MAIL)
    c.sock.sendall(b"x APPEND INBOX {1000+}\r\nSubject: half")
    time.sleep(0.1)
    exosim.kill()
    exosim.start()
    d = connect(exosim)
    assert d.examine(b"INBOX")["EXISTS"] == 1


def test_sigterm_ends_it_with_sessions_open(exosim):
    c = connect(exosim)
    exosim.stop(keep=True)
    assert exosim.process.returncode == 0
    with pytest.raises((EOFError, OSError)):
        c.command("NOOP")


@pytest.mark.parametrize("tail,text", [
    (b"\xe4" + b"x" * 20000 + b"\r\n", "BAD Command Argument Error. 11"), (b"nul\0\r\n", "BAD Command Argument Error. 11"), (b"fine\r\n", None)])
def test_large_messages_are_judged_at_their_end(exosim, dovecot_target, tail, text):
    """They are passed on while they are read; what is refused at the very end is not stored, and the session goes on."""
    c = connect(exosim)
    big = b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 10000 + tail
    c.command("SELECT INBOX")
    if text:
        for _ in range(3):
            assert refused(c, b"APPEND INBOX {%d+}\r\n" % len(big) + big) == text
        assert refused(c, b"APPEND INBOX {%d+}\r\n" % len(big) + big + b" {3+}\r\nabc") == "BAD Command Argument Error. 11"
    c.append(b"INBOX", big if not text else MAIL)
    d = RawImap(dovecot_target.port)
    d.login(ALICE, dovecot_target.users[ALICE])
    d.examine(b"INBOX")
    assert [m["body"] for m in d.fetch()] == [big if not text else MAIL]
    state = box(exosim)
    assert state["in_flight"] == 0 and state["appended"] == 1 and state["refused"] == (4 if text else 0)


def test_a_large_message_that_is_cut_is_not_stored(exosim, dovecot_target):
    body = b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 20000
    for sent in (len(body) // 2, len(body)):  # within the message; and before the command's end
        c = connect(exosim)
        c.sock.sendall(b"x APPEND INBOX {%d+}\r\n" % len(body) + body[:sent])
        time.sleep(0.3)
        c.sock.close()
    c = connect(exosim)
    c.sock.sendall(b"x APPEND INBOX {%d+}\r\n" % len(body) + body)
    time.sleep(0.3)
    exosim.kill()
    time.sleep(0.3)
    d = RawImap(dovecot_target.port)
    d.login(ALICE, dovecot_target.users[ALICE])
    assert d.examine(b"INBOX")["EXISTS"] == 0
    exosim.start()
