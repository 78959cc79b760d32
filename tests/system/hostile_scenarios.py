"""What a hostile or broken source does, as data: a name, what it does to the World, and what must come of it.

Outcomes (test_hostile.py checks them; whatever happens there is no crash, no hang, no memory that grows, nothing doubled or altered):
  MOVED     everything arrives and nothing is reported as lost
  MESSAGE   all arrives but the messages named in `lost`, which are reported
  FOLDER    all arrives but the folders named in `lost`, which are reported
  MAILBOX   the mailbox fails with an error of one of the kinds in `kinds`
  TYPED     any of these, by a documented exit code: the damage has no single right answer. Exit code 0 means that all arrived"""
import dataclasses
import time

from hostile import CAPABILITIES, Drop, Folder, Hang, Message, drip, text_message

MOVED, MESSAGE, FOLDER, MAILBOX, TYPED = "moved", "message", "folder", "mailbox", "typed"


@dataclasses.dataclass
class Scenario:
    name: str
    prepare: object
    outcome: str
    lost: tuple = ()
    kinds: tuple = ()
    tls: str = "none"
    certificate: str = "good"
    slow: bool = False           # waits for a time limit of nightferry's
    hides: bool = False          # the source does not show all of its messages, and nobody can know


SCENARIOS = []


def add(name, outcome, prepare, **kw):
    SCENARIOS.append(Scenario(name, prepare, outcome, **kw))


def hook(kind, action):
    def prepare(world):
        world.hooks[kind] = action
    return prepare


def greeting(data):
    def prepare(world):
        world.greeting = data
    return prepare


def claim(uid, **values):
    """The message's items are claimed to be these; _ stands for what a name cannot hold."""
    names = {"UID": "UID", "SIZE": "RFC822.SIZE", "FLAGS": "FLAGS", "DATE": "INTERNALDATE", "BODY": "BODY[]"}

    def prepare(world):
        world.message(uid).claim = {names[k]: v for k, v in values.items()}
    return prepare


def raising(error):
    def action(*_):
        raise error
    return action


def says(data, tagged=None):
    """Answers with these octets; {tag} is filled in."""
    def action(session, tag, _):
        session.send(data.replace(b"{tag}", tag))
        return True
    return action


def then(data):
    """Says something and lets the true answer follow."""
    def action(session, _tag, _arguments):
        session.send(data)
        return False
    return action


def first(action, times=1):
    """The action happens the first so many times in a run; afterwards the server is honest."""
    def once(session, tag, arguments):
        return action(session, tag, arguments) if session.world.once(times) else False
    return once


def in_folder(name, action):
    def only(session, tag, arguments):
        selected = session.unquote(arguments) if arguments.startswith(b'"') else (session.selected.name if session.selected else b"")
        return action(session, tag, arguments) if selected == name else False
    return only


def for_uid(uid, action):
    """For body fetches that ask for this message among others."""
    def only(session, tag, arguments):
        if session.selected and any(m.uid == uid for _, m in session.wanted(arguments.split(b" ")[0])):
            return action(session, tag, arguments)
        return False
    return only


# ---- greetings

add("greeting without text", MOVED, greeting(b"* OK\r\n"))
add("greeting with code only", MOVED, greeting(b"* OK [ALERT]\r\n"))
add("greeting with PARSE code only", MOVED, greeting(b"* OK [PARSE]\r\n"))
add("greeting with BADCHARSET", MOVED, greeting(b"* OK [BADCHARSET (utf-8)] hello\r\n"))
add("greeting with broken PERMANENTFLAGS", MOVED, greeting(b"* OK [PERMANENTFLAGS ((] x\r\n"))
add("greeting with unclosed code", TYPED, greeting(b"* OK [CAPABILITY IMAP4rev1 x\r\n"))
add("greeting of another protocol", MAILBOX, greeting(b"220 smtp.example.org ESMTP\r\n"), kinds=("protocol", "lost"))
add("greeting of POP3", MAILBOX, greeting(b"+OK POP3 ready\r\n"), kinds=("protocol", "lost"))
add("greeting of HTTP", MAILBOX, greeting(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), kinds=("protocol", "lost"))
add("greeting BYE", MAILBOX, greeting(b"* BYE too many connections\r\n"), kinds=("busy", "throttled", "lost", "firewall", "banned"))
add("greeting BYE without text", MAILBOX, greeting(b"* BYE\r\n"), kinds=("busy", "lost", "throttled", "protocol"))
add("greeting NO", MAILBOX, greeting(b"* NO go away\r\n"), kinds=("protocol", "lost", "busy"))
add("greeting is empty lines", TYPED, greeting(b"\r\n\r\n\r\n* OK ready\r\n"))
add("greeting with control characters", MOVED, greeting(b"* OK \x1b[31m\x07 ready \x00\x01\r\n"))
add("greeting with 8-bit text", MOVED, greeting(b"* OK bienvenu\xe9 \xff\xfe\r\n"))
add("greeting of bare LF", TYPED, greeting(b"* OK ready\n"))
add("greeting PREAUTH", TYPED, greeting(b"* PREAUTH welcome back\r\n"))
add("greeting of 100 KB", TYPED, greeting(b"* OK " + b"x" * 100_000 + b"\r\n"))
add("greeting without end", MAILBOX, greeting(lambda s: endless(s, b"* OK " + b"x" * 4000, b"x" * 4096)), slow=True)
add("greeting never comes", MAILBOX, greeting(raising(Hang())), kinds=("lost", "firewall", "busy", "protocol"), slow=True)
add("greeting then reset", MAILBOX, hook("*", raising(Drop())), kinds=("lost", "protocol"))
add("connection reset at once", MAILBOX, greeting(raising(Drop())), kinds=("lost", "protocol", "busy", "firewall", "banned"))
add("greeting drips", MOVED, greeting(lambda s: (drip(s, b"* OK slow\r\n", 0.05), b"")[1]))
add("capabilities without end", TYPED, greeting(b"* OK [CAPABILITY " + CAPABILITIES + b" X" * 20_000 + b"] hi\r\n"))


def endless(session, start, more, seconds=20):
    """Sends for ever, or until the client has had enough."""
    session.sock.sendall(start)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.sock.sendall(more)
    raise Drop


# ---- NO, BAD, BYE, hang, reset, garbage at each command, once and always

OPTIONAL = ("ID", "NAMESPACE", "LOGOUT", "NOOP")
REFUSED = { # what a steady NO or BAD means
    "CAPABILITY": (TYPED, ()), "ID": (MOVED, ()), "NAMESPACE": (MOVED, ()), "LIST": (MAILBOX, ()), "LOGOUT": (MOVED, ()),
    "EXAMINE": (TYPED, ()), "METADATA": (TYPED, ()), "BODIES": (TYPED, ()),
}
for command, (outcome, _) in REFUSED.items():
    for word in (b"NO", b"BAD"):
        add(f"{word.decode()} to every {command}", outcome, hook(command, says(b"{tag} " + word + b" not today\r\n")))
    add(f"BYE to every {command}", MOVED if command == "LOGOUT" else TYPED, hook(command, says(b"* BYE shutting down\r\n")))
    add(f"BYE and closed at every {command}", MOVED if command == "LOGOUT" else TYPED,
        hook(command, lambda s, tag, a: (s.send(b"* BYE shutting down\r\n"), raising(Drop())())))
    add(f"reset at the first {command}", MOVED, hook(command, first(raising(Drop()))))
    add(f"silence at the first {command}", MOVED, hook(command, first(raising(Hang()))), slow=True)
    add(f"silence at every {command}", MOVED if command == "LOGOUT" else TYPED, hook(command, raising(Hang())), slow=True)
    add(f"garbage at every {command}", TYPED, hook(command, says(b"\x80\x81 (((( {5}\r\nab\r\n\x00\xff]]\r\n")))
    add(f"another tag at every {command}", TYPED, hook(command, says(b"zz9 OK done\r\n")), slow=True)
    add(f"OK without text at every {command}", MOVED if command in ("ID", "LOGOUT") else TYPED, hook(command, says(b"{tag} OK\r\n")))

for word in (b"LOGIN", b"AUTHENTICATE"):
    for words, kinds in ((b"NO [AUTHENTICATIONFAILED] wrong password", ("credentials",)), (b"NO [UNAVAILABLE] try later", ("busy", "throttled")),
                         (b"NO [INUSE] mailbox is locked", ("busy", "throttled", "lost", "credentials"))):
        name = words.decode().split("]")[0][4:].lower()
        both = says(b"{tag} " + words + b"\r\n")
        if word == b"LOGIN":
            add(f"sign-in refused: {name}", MAILBOX, lambda w, both=both: w.hooks.update(LOGIN=both, AUTHENTICATE=both), kinds=kinds)
add("sign-in answered BYE", MAILBOX, lambda w: w.hooks.update(LOGIN=says(b"* BYE\r\n"), AUTHENTICATE=says(b"* BYE\r\n")))
add("sign-in hangs", MAILBOX, lambda w: w.hooks.update(LOGIN=raising(Hang()), AUTHENTICATE=raising(Hang())), slow=True)
add("sign-in asks for ever", MAILBOX, hook("AUTHENTICATE", lambda s, t, a: [(s.send(b"+ YWdhaW4=\r\n"), s.line()) for _ in range(1000)] and False))
add("no usable sign-in method", MAILBOX, greeting(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] hi\r\n"))
add("empty CAPABILITY list", TYPED, lambda w: (greeting(b"* OK hi\r\n")(w), hook("CAPABILITY", says(b"* CAPABILITY\r\n{tag} OK done\r\n"))(w)))
add("OK to CAPABILITY without a list", TYPED, lambda w: (greeting(b"* OK hi\r\n")(w), hook("CAPABILITY", says(b"{tag} OK done\r\n"))(w)))
add("ALERT without text in mid session", MOVED, hook("EXAMINE", then(b"* OK [ALERT]\r\n* NO [ALERT]\r\n")))
add("ALERT with terminal controls", MOVED, hook("EXAMINE", then(b"* OK [ALERT] \x1b]0;owned\x07 \x1b[2J\r\n")))
add("unknown untagged data everywhere", MOVED, hook("*", then(b"* XYZZY (a \"b\" {3}\r\nabc) nil\r\n* ESEARCH (TAG \"x\") UID ALL 1:3\r\n")))
add("unknown response codes", MOVED, hook("*", then(b"* OK [FOO \"a]b\" (x y)] z\r\n* OK [INPROGRESS (\"x\" 1 NIL)] z\r\n")))
add("blank lines before each answer", MOVED, hook("*", then(b"\r\n\r\n")))
add("untagged lines without end", MAILBOX, hook("LIST", lambda s, t, a: endless(s, b"", b"* OK still here\r\n" * 300)), slow=True)
add("one line without end", MAILBOX, hook("LIST", lambda s, t, a: endless(s, b'* LIST () "/" "', b"x" * 65536)), slow=True)

# ---- names and folders


def listed(lines, outcome, name, **kw):
    def prepare(world):
        world.list_lines = lines
    add(name, outcome, prepare, **kw)


TRUE_LIST = b'* LIST () "/" "INBOX"\r\n* LIST () "/" "Work"\r\n* LIST () "/" "Work/Deep"\r\n'
listed(TRUE_LIST + b'* LIST () "/" "Gone"\r\n', TYPED, "LIST shows a folder that is gone")
listed(TRUE_LIST + b'* LIST (\\Noselect) "/" "Top"\r\n* LIST (\\NonExistent) "/" "Old"\r\n', MOVED, "LIST with \\Noselect and \\NonExistent")
listed(TRUE_LIST + b'* LIST () "/" "bad\r\nname"\r\n', TYPED, "LIST with CR LF inside quotes")
listed(TRUE_LIST + b'* LIST () "/" {9}\r\nbad\r\nname\r\n', TYPED, "LIST with CR LF in a literal name")
listed(TRUE_LIST + b'* LIST () "/" {7}\r\na\0b c"d\r\n', TYPED, "LIST with NUL in a literal name")
listed(TRUE_LIST + b'* LIST () "/" "\xe9t\xe9"\r\n', TYPED, "LIST with raw 8-bit name")
listed(TRUE_LIST + b'* LIST () "/" "&broken-&&-&AOk"\r\n', TYPED, "LIST with invalid modified UTF-7")
listed(TRUE_LIST + b'* LIST () "/" "&2AA-"\r\n* LIST () "/" "&3AA-"\r\n', TYPED, "LIST with lone surrogates")
listed(TRUE_LIST + b'* LIST () "/" "../../etc/passwd"\r\n* LIST () "/" "/abs"\r\n* LIST () "/" "a//b"\r\n', TYPED, "LIST with path tricks")
listed(TRUE_LIST + b'* LIST () "/" "x%*y"\r\n* LIST () "/" "~"\r\n', TYPED, "LIST with wild cards in names")
listed(TRUE_LIST + b'* LIST () "/" ""\r\n* LIST () "/" " "\r\n', TYPED, "LIST with empty names")
listed(TRUE_LIST + TRUE_LIST * 3, MOVED, "LIST says every folder four times")
listed(TRUE_LIST + b'* LIST () "/" "inbox"\r\n* LIST () "/" "Inbox"\r\n', MOVED, "LIST with INBOX in three spellings")
add("names that differ in case only", MOVED, lambda w: w.folders.append(Folder(b"work", [Message(1, text_message(90))])))
listed(b'* LIST () NIL "INBOX"\r\n* LIST () NIL "Work"\r\n', TYPED, "LIST without a separator", hides=True)
listed(b'* LIST () "" "INBOX"\r\n* LIST () "" "Work"\r\n', TYPED, "LIST with an empty separator", hides=True)
listed(b'* LIST () "/" INBOX\r\n* LIST () "." "Work"\r\n* LIST () "\\\\" "Work"\r\n', TYPED, "LIST with three separators", hides=True)
listed(b'* LIST (HasNoChildren) "/" "INBOX"\r\n* LIST () "/" "Work"\r\n', TYPED, "LIST flags without backslash", hides=True)
listed(b'* LIST ((\\A) (\\B)) "/" "INBOX"\r\n* LIST () "/" "Work"\r\n', TYPED, "LIST with nested flags", hides=True)
listed(b'* LIST () "/" INBOX and more\r\n* LIST () "/" "Work"\r\n', TYPED, "LIST with unquoted blanks", hides=True)
listed(b'* LIST () "/" "INBOX" ("CHILDINFO" ("SUBSCRIBED"))\r\n* LIST () "/" "Work"\r\n* LIST () "/" "Work/Deep"\r\n', MOVED,
       "LIST with extended data")
listed(b"", TYPED, "LIST without any folder")
listed(b"* LIST\r\n* LIST ()\r\n* LIST () \"/\"\r\n" + TRUE_LIST, TYPED, "LIST lines that break off")
listed(TRUE_LIST + b'* LIST () "/" "' + b"n" * 5000 + b'"\r\n', TYPED, "LIST with a name of 5,000 octets")
listed(TRUE_LIST + b'* LIST () "/" "' + b"/".join([b"d"] * 400) + b'"\r\n', TYPED, "LIST with 400 levels")
listed(TRUE_LIST + b'* LIST () "/" {4294967295}\r\n', TYPED, "LIST with a literal of 4 GB", slow=True)
listed(TRUE_LIST + b'* LIST () "/" {99999999999999999999}\r\n', TYPED, "LIST with a literal past 64 bits", slow=True)
listed(TRUE_LIST + b"".join(b'* LIST (\\Noselect) "/" "f%06d"\r\n' % i for i in range(100_000)), MAILBOX, "100,000 folders", kinds=("memory",))
listed(TRUE_LIST + b'* LIST () "/" "Work/Work/Work"\r\n' + b"".join(b'* LIST () "/" "' + b"/".join([b"loop"] * i) + b'"\r\n' for i in range(1, 40)),
       TYPED, "LIST with a loop of links")
add("NAMESPACE with unbalanced parentheses", TYPED, hook("NAMESPACE", says(b'* NAMESPACE (("" ""\r\n{tag} OK done\r\n')))
add("NAMESPACE NIL NIL NIL", MOVED, hook("NAMESPACE", says(b"* NAMESPACE NIL NIL NIL\r\n{tag} OK done\r\n")))
add("NAMESPACE with an absurd prefix", TYPED, hook("NAMESPACE", says(b'* NAMESPACE (("' + b"p" * 3000 + b'" "/")) NIL NIL\r\n{tag} OK done\r\n')))

# ---- opening a folder

for name, answer in {
        "without UIDVALIDITY": b"* 3 EXISTS\r\n{tag} OK [READ-ONLY] done\r\n",
        "with UIDVALIDITY 0": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 0] x\r\n{tag} OK done\r\n",
        "with UIDVALIDITY past 32 bits": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 99999999999] x\r\n{tag} OK done\r\n",
        "with UIDVALIDITY of letters": b"* 3 EXISTS\r\n* OK [UIDVALIDITY abc] x\r\n{tag} OK done\r\n",
        "without EXISTS": b"* OK [UIDVALIDITY 1000] x\r\n{tag} OK done\r\n",
        "with EXISTS -1": b"* -1 EXISTS\r\n* OK [UIDVALIDITY 1000] x\r\n{tag} OK done\r\n",
        "with EXISTS 4294967295": b"* 4294967295 EXISTS\r\n* OK [UIDVALIDITY 1000] x\r\n{tag} OK done\r\n",
        "with EXISTS past 64 bits": b"* 99999999999999999999999 EXISTS\r\n* OK [UIDVALIDITY 1000] x\r\n{tag} OK done\r\n",
        "with UIDNEXT 1": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 1000] x\r\n* OK [UIDNEXT 1] x\r\n{tag} OK done\r\n",
        "answered NO": b"{tag} NO [NOPERM] not for you\r\n"}.items():
    def answered(session, tag, arguments, answer=answer):
        session.selected = session.world.folder(b"Work")
        session.send(answer.replace(b"{tag}", tag))
        return True
    lost = (b"Work",) if "NO" in name else ()
    add(f"EXAMINE {name}", FOLDER if lost else TYPED, hook("EXAMINE", in_folder(b"Work", answered)), lost=lost)

def gone_between(session, tag, arguments):
    session.world.folders = [f for f in session.world.folders if f.name != b"Work"]
    return False


def other_uidvalidity(session, _tag, _arguments):
    if session.selected and session.selected.name == b"Work" and session.world.once():
        session.selected.uidvalidity += 1
        raise Drop
    return False


add("BYE and closed at EXAMINE of one folder", FOLDER, hook("EXAMINE", in_folder(b"Work", lambda s, t, a: (
    s.send(b"* BYE idle\r\n"), raising(Drop())()))), lost=(b"Work",))
add("folder gone between LIST and EXAMINE", FOLDER, hook("EXAMINE", gone_between), lost=(b"Work",))
add("UIDVALIDITY changes in mid run", MOVED, hook("BODIES", other_uidvalidity))
add("UIDVALIDITY changes at every opening", TYPED, hook("EXAMINE", lambda s, t, a: setattr(
    s.world.folder(b"Work"), "uidvalidity", s.world.folder(b"Work").uidvalidity + 1) if b"Work" in a else None))
add("folder deleted in mid fetch", TYPED, hook("BODIES", in_folder(b"Work", says(b"* BYE mailbox deleted\r\n"))))

# ---- metadata

add("FLAGS of garbage", TYPED, claim(2, FLAGS=b"((\\Seen) {} %%%)"))
add("FLAGS with NIL", TYPED, claim(2, FLAGS=b"NIL"))
add("FLAGS missing", TYPED, claim(2, FLAGS=None))
add("FLAGS of 10,000 keywords", MOVED, claim(2, FLAGS=b"(\\Seen " + b" ".join(b"kw%d" % i for i in range(10_000)) + b")"))
add("FLAGS unknown system flag", MOVED, claim(2, FLAGS=b"(\\Seen \\Whatever $Forwarded)"))
add("FLAGS with control characters", TYPED, claim(2, FLAGS=b"(\\Seen a\x01b)"))
add("INTERNALDATE NIL", MOVED, claim(2, DATE=b"NIL"))
add("INTERNALDATE empty", MOVED, claim(2, DATE=b'""'))
add("INTERNALDATE missing", MOVED, claim(2, DATE=None))
add("INTERNALDATE of the RFC 822 sort", MOVED, claim(2, DATE=b'"Tue, 1 Jul 2003 10:52:37 GMT"'))
add("INTERNALDATE with the month 99", MOVED, claim(2, DATE=b'"01-XXX-2003 10:52:37 +0200"'))
add("INTERNALDATE on 31 February", MOVED, claim(2, DATE=b'"31-Feb-2003 10:52:37 +0200"'))
add("INTERNALDATE in the year 0", MOVED, claim(2, DATE=b'"01-Jan-0000 00:00:00 +0000"'))
add("INTERNALDATE in the year 9999", MOVED, claim(2, DATE=b'"31-Dec-9999 23:59:59 +0000"'))
add("INTERNALDATE with the zone +9999", MOVED, claim(2, DATE=b'"01-Jul-2003 10:52:37 +9999"'))
add("INTERNALDATE of 4 KB", TYPED, claim(2, DATE=b'"' + b"9" * 4096 + b'"'))
add("INTERNALDATE tries to inject", TYPED, claim(2, DATE=b'"01-Jul-2003 10:52:37 +0200\\" (x) {3}"'))
add("SIZE 0", MOVED, claim(2, SIZE=b"0"))
add("SIZE too small", MOVED, claim(2, SIZE=b"10"))
add("SIZE too large", MOVED, claim(2, SIZE=b"50000"))
add("SIZE of a gigabyte", TYPED, claim(2, SIZE=b"1073741824"))
add("SIZE 2^32", TYPED, claim(2, SIZE=b"4294967296"))
add("SIZE 5,000,000,000", TYPED, claim(2, SIZE=b"5000000000"))
add("SIZE past 64 bits", TYPED, claim(2, SIZE=b"99999999999999999999999999"))
add("SIZE negative", TYPED, claim(2, SIZE=b"-1"))
add("SIZE NIL", TYPED, claim(2, SIZE=b"NIL"))
add("SIZE missing", TYPED, claim(2, SIZE=None))
add("UID missing in metadata", TYPED, hook("METADATA", then(b"* 1 FETCH (FLAGS (\\Seen) RFC822.SIZE 5)\r\n")))
add("UID missing for one message", TYPED, claim(2, UID=None))
add("UID 0", TYPED, claim(2, UID=b"0"))
add("UID past 32 bits", TYPED, claim(2, UID=b"4294967297"))
add("UID negative", TYPED, claim(2, UID=b"-5"))
add("UID of another message", TYPED, claim(2, UID=b"3"))
add("UID that was not asked for", TYPED, claim(2, UID=b"4000000000"))
add("two messages with one UID", TYPED, lambda w: w.folder(b"INBOX").messages.insert(2, Message(2, text_message(77))))
add("UIDs in descending order", TYPED, lambda w: w.folder(b"INBOX").messages.reverse())
add("UID 4294967295", MOVED, lambda w: w.folder(b"INBOX").messages.append(Message(4294967295, text_message(78))))
add("UIDs far apart", MOVED, lambda w: w.folder(b"INBOX").messages.extend([Message(10 ** 9, text_message(79)), Message(3 * 10 ** 9, text_message(80))]))
add("metadata told twice", MOVED, hook("METADATA", lambda s, t, a: s.send(b"".join(
    s.fetch_line(n, m, a.partition(b" ")[2]) for n, m in s.wanted(a.split(b" ")[0])))))
add("metadata with an unknown item", MOVED, hook("METADATA", lambda s, t, a: bool(s.send(b"".join(
    s.fetch_line(n, m, a.partition(b" ")[2]).replace(b"(UID", b"(EMAILID (M1) SAVEDATE NIL UID") for n, m in s.wanted(a.split(b" ")[0])))
    or s.ok(t))))
add("metadata line breaks off", TYPED, hook("METADATA", first(lambda s, t, a: (s.send(b"* 1 FETCH (UID 1 FLAGS (\\Se"), raising(Drop())()))))
add("metadata for nothing", TYPED, hook("METADATA", in_folder(b"INBOX", says(b"{tag} OK done\r\n"))))
add("empty FETCH parentheses", TYPED, hook("METADATA", then(b"* 2 FETCH ()\r\n")))
add("FETCH of message number 0", TYPED, hook("METADATA", then(b"* 0 FETCH (UID 2 FLAGS ())\r\n")))
add("nested 200,000 deep", TYPED, hook("METADATA", then(b"* 2 FETCH (X " + b"(" * 200_000 + b")" * 200_000 + b")\r\n")))
add("a body structure nested 20,000 deep and closed again", TYPED, hook("METADATA", then(
    b'* 2 FETCH (BODYSTRUCTURE ' + b"(" * 20_000 + b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)' + b' "MIXED")' * 20_000 + b")\r\n")))
add("BODYSTRUCTURE nobody asked for", TYPED, hook("METADATA", then(b"* 2 FETCH (BODYSTRUCTURE " + b"(" * 5000 + b"\"TEXT\" \"PLAIN\""
                                                                  + b")" * 5000 + b")\r\n")))
add("ENVELOPE nobody asked for", TYPED, hook("METADATA", then(b"* 2 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\n")))
add("EXPUNGE storm in metadata", TYPED, hook("METADATA", then(b"* 1 EXPUNGE\r\n" * 5000)))
add("EXISTS storm", MOVED, hook("METADATA", lambda s, t, a: s.send(b"* %d EXISTS\r\n* 0 RECENT\r\n" % len(s.selected.messages) * 5000)))

# ---- bodies

add("body NIL", MESSAGE, claim(2, BODY=b"NIL"), lost=(2,))
add("body of length 0", TYPED, claim(2, BODY=b'""'), hides=True) # what it serves is the message
add("body missing", MESSAGE, claim(2, BODY=None), lost=(2,))
add("body as a quoted string", TYPED, claim(2, BODY=b'"Subject: q"'), hides=True) # what it serves is the message
add("body as literal8", TYPED, claim(2, BODY=b"~{10}\r\nSubject: q"), hides=True) # what it serves is the message
add("body with a huge literal", TYPED, claim(2, BODY=b"{4294967295}\r\nabc"), slow=True)
add("body with a literal of 3 GB", TYPED, claim(2, BODY=b"{3000000000}\r\nabc"), slow=True)
add("body with a literal past 32 bits", TYPED, claim(2, BODY=b"{4294967299}\r\nabc"), slow=True)
add("body with a negative literal", TYPED, claim(2, BODY=b"{-1}\r\nabc"))
add("body with an empty literal size", TYPED, claim(2, BODY=b"{}\r\nabc"))
add("body with LITERAL+ in the answer", TYPED, claim(2, BODY=b"{10+}\r\nSubject: q"), hides=True) # what it serves is the message
add("literal shorter than the text", TYPED, claim(2, BODY=b"{5}\r\n" + text_message(2)))
add("literal longer than the text", TYPED, claim(2, BODY=b"{100000}\r\n" + text_message(2)), slow=True)
add("message expunged before the fetch", MESSAGE, hook("BODIES", lambda s, t, a: setattr(
    s.selected, "messages", [m for m in s.selected.messages if m.uid != 2])), lost=(2,))
add("every body expunged in mid run", TYPED, hook("BODIES", in_folder(b"Work", lambda s, t, a: (s.send(b"* 1 EXPUNGE\r\n" * 3), setattr(
    s.selected, "messages", []))[1])))
add("EXPUNGE storm between bodies", MOVED, hook("BODIES", then(b"* 900 EXPUNGE\r\n" * 200)))
add("NO for one message", MESSAGE, hook("BODIES", for_uid(2, says(b"{tag} NO [EXPUNGEISSUED] cannot read\r\n"))), lost=(2,))
add("BAD for one message", MESSAGE, hook("BODIES", for_uid(2, says(b"{tag} BAD cannot read\r\n"))), lost=(2,))
add("BYE at one message", TYPED, hook("BODIES", for_uid(2, says(b"* BYE [SERVERBUG] internal error\r\n"))))
add("body of a message that was not asked for", MOVED, hook("BODIES", then(b"* 99 FETCH (UID 9999 BODY[] {11}\r\nSubject: no)\r\n")))
add("body told twice", TYPED, hook("BODIES", lambda s, t, a: s.send(b"".join(
    s.fetch_line(n, m, a.partition(b" ")[2]) for n, m in s.wanted(a.split(b" ")[0])))))
add("UID after the body", MOVED, hook("BODIES", lambda s, t, a: bool(s.send(b"".join(
    b"* %d FETCH (BODY[] {%d}\r\n" % (n, len(m.body)) + m.body + b" UID %d)\r\n" % m.uid for n, m in s.wanted(a.split(b" ")[0]))) or s.ok(t))))
add("bodies in another order", MOVED, hook("BODIES", lambda s, t, a: bool(s.send(b"".join(reversed([
    s.fetch_line(n, m, a.partition(b" ")[2]) for n, m in s.wanted(a.split(b" ")[0])]))) or s.ok(t))))
add("FLAGS updates between bodies", MOVED, hook("BODIES", then(b"* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n")))
add("bodies without UID", TYPED, hook("BODIES", lambda s, t, a: bool(s.send(b"".join(
    b"* %d FETCH (BODY[] {%d}\r\n" % (n, len(m.body)) + m.body + b")\r\n" for n, m in s.wanted(a.split(b" ")[0]))) or s.ok(t))))
add("BODY[TEXT] instead of BODY[]", TYPED, hook("BODIES", lambda s, t, a: bool(s.send(b"".join(
    b"* %d FETCH (UID %d BODY[TEXT] {4}\r\nabcd)\r\n" % (n, m.uid) for n, m in s.wanted(a.split(b" ")[0]))) or s.ok(t))))
add("OK to a body fetch without bodies", TYPED, hook("BODIES", says(b"{tag} OK done\r\n")))
add("tagged OK before the bodies", TYPED, hook("BODIES", first(lambda s, t, a: bool(s.ok(t) and s.send(b"".join(
    s.fetch_line(n, m, a.partition(b" ")[2]) for n, m in s.wanted(a.split(b" ")[0])))) or True)))
add("bodies drip", MOVED, hook("BODIES", for_uid(20, lambda s, t, a: drip(s, b"".join(
    s.fetch_line(n, m, a.partition(b" ")[2]) for n, m in s.wanted(a.split(b" ")[0])), 0.0005) or s.ok(t))))


def cut_at(octets, times):
    """The connection is reset after so many octets of a body's answer."""
    def action(session, _tag, arguments):
        if not session.world.once(times):
            return False
        uids, _, items = arguments.partition(b" ")
        data = b"".join(session.fetch_line(n, m, items) for n, m in session.wanted(uids))
        session.send(data[:octets])
        time.sleep(0.02)
        raise Drop
    return action


for at in (0, 1, 15, 40, 70, 100, 500, 1000, 1500, 2500):
    add(f"cut after {at} octets of the first body answer", MOVED, hook("BODIES", cut_at(at, 1)))
for at in (30, 400):
    add(f"cut after {at} octets, three times", TYPED, hook("BODIES", cut_at(at, 3)))
add("cut in mid literal for ever", TYPED, hook("BODIES", cut_at(300, 10 ** 9)))
add("silence in mid literal once", MOVED, hook("BODIES", first(lambda s, t, a: (s.send(
    b"* 1 FETCH (UID 1 BODY[] {900}\r\nSubject: half"), raising(Hang())()))), slow=True)
add("silence in mid literal for ever", TYPED, hook("BODIES", lambda s, t, a: (s.send(
    b"* 1 FETCH (UID 1 BODY[] {900}\r\nSubject: half"), raising(Hang())())), slow=True)

# ---- content: whatever octets a message holds, the octets are moved or the message is refused with a reason

for name, body in {
        "a message of NULs": b"Subject: nul\r\n\r\n" + b"\0" * 300,
        "a message with NUL in the header": b"Subject: a\0b\r\n\r\nx\r\n",
        "a message of 8-bit header": b"Subject: \xe4\xf6\xfc\r\nFrom: \xff@x\r\n\r\nx\r\n",
        "a message with a line of 60,000 octets": b"Subject: long\r\n\r\n" + b"y" * 60_000 + b"\r\n",
        "a message without a header": b"\r\nonly text\r\n",
        "a message without an end of line": b"Subject: no end",
        "a message of bare LF": b"Subject: lf\n\nline\nline\n",
        "a message of bare CR": b"Subject: cr\r\rline\rline\r",
        "a message that looks like IMAP": b"Subject: x\r\n\r\n* BYE\r\na1 OK done\r\n* 5 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n",
        "a message with 5,000 header fields": b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\nx\r\n",
        "a header field of 200 KB": b"Subject: " + b" folded\r\n" * 20_000 + b"\r\n\r\nx\r\n",
        "multiparts nested 500 deep": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(500)),
        "a message of one octet": b"x"}.items():
    def replaced(world, body=body):
        world.message(2).body = body
    add(name, TYPED, replaced, hides="bare" in name) # Dovecot as the destination mends bare line ends

# ---- TLS

add("TLS: text instead of a handshake", MAILBOX, hook("TLS", lambda s: s.sendall(b"* OK plain text here\r\n")), tls="implicit", kinds=("tls", "lost"))
add("TLS: garbage instead of a handshake", MAILBOX, hook("TLS", lambda s: s.sendall(bytes(range(256)) * 20)), tls="implicit", kinds=("tls", "lost"))
add("TLS: closed in the handshake", MAILBOX, hook("TLS", lambda s: s.recv(100)), tls="implicit", kinds=("tls", "lost", "firewall"))
add("TLS: silence in the handshake", MAILBOX, hook("TLS", lambda s: time.sleep(60)), tls="implicit", kinds=("tls", "lost", "firewall"), slow=True)
for name in ("wrong-name", "expired", "unknown-ca"):
    add(f"TLS: certificate {name}", MAILBOX, lambda w: None, tls="implicit", certificate=name, kinds=("certificate", "tls"))
add("TLS: a good one", MOVED, lambda w: None, tls="implicit")


def starttls(session, tag, _):
    session.ok(tag)
    session.sock = session.server.wrap(session.sock)
    return True


def starttls_injected(session, tag, _):
    session.sock.sendall(tag + b" OK begin\r\n* CAPABILITY IMAP4rev1 INJECTED\r\n* OK injected\r\n")
    session.sock = session.server.wrap(session.sock)
    return True


WITH_STARTTLS = greeting(b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n")


def with_starttls(action):
    def prepare(world):
        WITH_STARTTLS(world)
        world.hooks["STARTTLS"] = action
    return prepare


add("STARTTLS: a good one", MOVED, with_starttls(starttls), tls="starttls")
add("STARTTLS: lines injected behind it", MAILBOX, with_starttls(starttls_injected), tls="starttls", kinds=("tls", "protocol", "lost"))
add("STARTTLS: refused", MAILBOX, with_starttls(says(b"{tag} NO not available\r\n")), tls="starttls", kinds=("tls", "protocol"))
add("STARTTLS: not offered", MAILBOX, greeting(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"), tls="starttls", kinds=("tls", "protocol"))
add("STARTTLS: PREAUTH before it", MAILBOX, greeting(b"* PREAUTH come in\r\n"), tls="starttls", kinds=("tls", "protocol"))
add("STARTTLS: silence after it", MAILBOX, with_starttls(lambda s, t, a: (s.ok(t), raising(Hang())())), tls="starttls", slow=True,
    kinds=("tls", "lost", "firewall"))

add("nothing is wrong", MOVED, lambda w: None)
add("no messages at all", MOVED, lambda w: [f.messages.clear() for f in w.folders])
add("one folder of 3,000 messages", MOVED, lambda w: w.folders.append(Folder(b"Many", [Message(i, text_message(1000 + i, 300)) for i in range(1, 3001)])))
