"""A scripted IMAP server that is honest until a scenario tells it otherwise. It knows nothing of nightferry: a scenario changes the world
(folders, messages, what is claimed of them) or hooks into the talk; see hostile_scenarios.py. One thread a connection."""
import base64
import dataclasses
import random
import re
import socket
import ssl
import struct
import threading
import time

CAPABILITIES = b"IMAP4rev1 LITERAL+ ID NAMESPACE SPECIAL-USE UIDPLUS AUTH=PLAIN"


@dataclasses.dataclass
class Message:
    uid: int
    body: bytes
    flags: bytes = b"\\Seen"
    date: bytes = b"01-Jul-2003 10:52:37 +0200"
    # what is claimed instead of the truth: {"UID": b"..", "RFC822.SIZE": b"..", "FLAGS": b"(..)", "INTERNALDATE": b"..", "BODY[]": b".."};
    # None leaves the item out
    claim: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Folder:
    name: bytes                     # as on the wire, without quotes
    messages: list
    attributes: bytes = b"\\HasNoChildren"
    uidvalidity: int = 1000
    uidnext: int = None             # None: not told


def text_message(n, size=900):
    head = (f"From: a{n}@example.org\r\nTo: b@example.net\r\nSubject: message {n}\r\nMessage-ID: <hostile.{n}@example.org>\r\n"
            f"Date: Tue, 1 Jul 2003 10:52:{n % 60:02d} +0200\r\n\r\n").encode()
    return head + b"".join(b"line %d of message %d\r\n" % (i, n) for i in range(max(1, (size - len(head)) // 22)))


class Hang(Exception):
    """The connection stays open and silent until the client goes."""


class Drop(Exception):
    """The connection is reset now."""


class World:
    """Eight messages in three folders."""

    def __init__(self):
        self.folders = [Folder(b"INBOX", [Message(u, text_message(u)) for u in (1, 2, 3, 5)]),
                        Folder(b"Work", [Message(u, text_message(u)) for u in (10, 11, 12)], b"\\HasChildren"),
                        Folder(b"Work/Deep", [Message(20, text_message(20))])]
        self.separator = b"/"
        self.greeting = b"* OK [CAPABILITY " + CAPABILITIES + b"] ready\r\n"
        self.list_lines = None      # bytes instead of the true answer to LIST
        self.hooks = {}             # kind of command -> function(session, tag, arguments) -> True if it answered
        self.after_line = None      # function(session, bytes) -> bytes: everything that is sent goes through it
        self.fired = 0              # for faults that happen once
        self.connections = 0
        self.lock = threading.Lock()
        self.random = random.Random(7)

    def folder(self, name):
        return next((f for f in self.folders if f.name == name or f.name == b"INBOX" == name.upper()), None)

    def message(self, uid):
        return next(m for f in self.folders for m in f.messages if m.uid == uid)

    def once(self, times=1):
        """True the first so many times."""
        with self.lock:
            self.fired += 1
            return self.fired <= times

    def truth(self):
        """{folder name: [bodies]}"""
        return {f.name: [m.body for m in f.messages] for f in self.folders}


class Session:
    def __init__(self, world, sock):
        self.world, self.sock, self.buffer = world, sock, b""
        self.selected, self.by_uid, self.user = None, False, None
        self.commands = 0

    def send(self, data):
        if self.world.after_line:
            data = self.world.after_line(self, data)
        self.sock.sendall(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
            if len(self.buffer) > 1 << 20:
                raise EOFError
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        literal = re.search(rb"\{(\d+)(\+?)\}$", line)
        if literal:
            if not literal.group(2):
                self.send(b"+ go on\r\n")
            size = int(literal.group(1))
            while len(self.buffer) < size:
                self.buffer += self.sock.recv(65536)
            value, self.buffer = self.buffer[:size], self.buffer[size:]
            return line[:literal.start()] + b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"' + self.line()
        return line

    def serve(self):
        greeting = self.world.greeting
        if callable(greeting):
            greeting = greeting(self)
        self.send(greeting)
        while True:
            line = self.line()
            tag, _, rest = line.partition(b" ")
            command, _, arguments = rest.partition(b" ")
            command = command.upper()
            self.by_uid = command == b"UID"
            if self.by_uid:
                command, _, arguments = arguments.partition(b" ")
                command = command.upper()
            self.commands += 1
            kind = command.decode("ascii", "replace")
            if kind == "FETCH":
                kind = "BODIES" if b"BODY" in arguments.upper() else "METADATA"
            if kind in ("EXAMINE", "SELECT"):
                kind = "EXAMINE"
            for name in (kind, "*"):
                hook = self.world.hooks.get(name)
                if hook and hook(self, tag, arguments):
                    break
            else:
                if not getattr(self, "do_" + kind.lower(), self.do_unknown)(tag, arguments):
                    return

    def ok(self, tag, text=b"done"):
        self.send(tag + b" OK " + text + b"\r\n")
        return True

    def do_unknown(self, tag, _):
        self.send(tag + b" BAD what is that\r\n")
        return True

    def do_capability(self, tag, _):
        self.send(b"* CAPABILITY " + CAPABILITIES + b"\r\n")
        return self.ok(tag)

    def do_id(self, tag, _):
        self.send(b'* ID ("name" "hostile" "version" "1")\r\n')
        return self.ok(tag)

    def do_noop(self, tag, _):
        return self.ok(tag)

    do_check = do_close = do_unselect = do_noop

    def do_logout(self, tag, _):
        self.send(b"* BYE good-bye\r\n" + tag + b" OK done\r\n")
        return False

    def do_login(self, tag, _):
        return self.ok(tag, b"[CAPABILITY " + CAPABILITIES + b"] welcome")

    def do_authenticate(self, tag, arguments):
        value = arguments.strip().partition(b" ")[2]
        if not value:
            self.send(b"+ \r\n")
            value = self.line()
        self.user = base64.b64decode(value).split(b"\0")[1]
        return self.ok(tag, b"[CAPABILITY " + CAPABILITIES + b"] welcome")

    def do_namespace(self, tag, _):
        self.send(b'* NAMESPACE (("" "' + self.world.separator.replace(b"\\", b"\\\\") + b'")) NIL NIL\r\n')
        return self.ok(tag)

    @staticmethod
    def quote(name):
        return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    def do_list(self, tag, arguments):
        if self.world.list_lines is not None:
            self.send(self.world.list_lines)
            return self.ok(tag)
        if arguments.endswith(b'""') and not arguments.startswith(b"("): # LIST "" "": the separator
            self.send(b'* LIST (\\Noselect) "' + self.world.separator + b'" ""\r\n')
            return self.ok(tag)
        self.send(b"".join(b"* LIST (" + f.attributes + b") " + self.quote(self.world.separator) + b" " + self.quote(f.name) + b"\r\n"
                           for f in self.world.folders))
        return self.ok(tag)

    do_lsub = do_list

    @staticmethod
    def unquote(arguments):
        text = arguments.strip()
        if text.startswith(b'"'):
            return re.sub(rb"\\(.)", rb"\1", re.match(rb'"((?:[^"\\]|\\.)*)"', text).group(1))
        return text.split(b" ")[0]

    def do_examine(self, tag, arguments):
        folder = self.world.folder(self.unquote(arguments))
        self.selected = folder
        if folder is None:
            self.send(tag + b" NO [NONEXISTENT] no such folder\r\n")
            return True
        self.send(b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* %d EXISTS\r\n* 0 RECENT\r\n" % len(folder.messages)
                  + b"* OK [UIDVALIDITY %d] ok\r\n" % folder.uidvalidity
                  + (b"* OK [UIDNEXT %d] ok\r\n" % folder.uidnext if folder.uidnext else b"")
                  + b"* OK [PERMANENTFLAGS ()] ok\r\n")
        return self.ok(tag, b"[READ-ONLY] opened")

    def do_status(self, tag, arguments):
        folder = self.world.folder(self.unquote(arguments))
        if folder is None:
            self.send(tag + b" NO no such folder\r\n")
            return True
        self.send(b"* STATUS " + self.quote(folder.name) + b" (MESSAGES %d UIDVALIDITY %d)\r\n" % (len(folder.messages), folder.uidvalidity))
        return self.ok(tag)

    def do_search(self, tag, _):
        self.send(b"* SEARCH" + b"".join(b" %d" % m.uid for m in self.selected.messages) + b"\r\n")
        return self.ok(tag)

    def wanted(self, text):
        """(sequence number, message) of the command's set, of UIDs or sequence numbers."""
        messages = self.selected.messages
        last = max((m.uid for m in messages), default=0) if self.by_uid else len(messages)
        ranges = []
        for part in text.split(b","):
            low, _, high = part.partition(b":")
            bounds = [last if p == b"*" else int(p) for p in (low, high or low)]
            ranges.append((min(bounds), max(bounds)))
        return [(i + 1, m) for i, m in enumerate(messages) if any(a <= (m.uid if self.by_uid else i + 1) <= b for a, b in ranges)]

    def fetch_line(self, number, message, arguments):
        """One FETCH response."""
        asked = arguments.upper()
        items = [("UID", b"%d" % message.uid)]
        if b"FLAGS" in asked:
            items.append(("FLAGS", b"(" + message.flags + b")"))
        if b"INTERNALDATE" in asked:
            items.append(("INTERNALDATE", b'"' + message.date + b'"'))
        if b"RFC822.SIZE" in asked:
            items.append(("RFC822.SIZE", b"%d" % len(message.body)))
        if b"BODY" in asked:
            partial = re.search(rb"BODY(?:\.PEEK)?\[\]<(\d+)\.(\d+)>", asked)
            body, name = message.body, "BODY[]"
            if partial:
                start, count = int(partial.group(1)), int(partial.group(2))
                body, name = body[start:start + count], f"BODY[]<{start}>"
            items.append((name, b"{%d}\r\n" % len(body) + body))
        text = []
        for name, value in items:
            value = message.claim.get(name, message.claim.get(name.split("<")[0], value))
            if value is not None:
                text.append(name.encode() + b" " + value)
        return b"* %d FETCH (" % number + b" ".join(text) + b")\r\n"

    def do_metadata(self, tag, arguments):
        if self.selected is None:
            self.send(tag + b" BAD nothing is open\r\n")
            return True
        uids, _, items = arguments.partition(b" ")
        self.send(b"".join(self.fetch_line(n, m, items) for n, m in self.wanted(uids)))
        return self.ok(tag)

    do_bodies = do_metadata

    def hang(self):
        """Reads and says nothing until the client goes."""
        self.sock.settimeout(300)
        while self.sock.recv(65536):
            pass
        raise EOFError

    def reset(self):
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.sock.close()


class HostileServer:
    """world: a function that makes a fresh World, told by the scenario."""

    def __init__(self, scenario, certificate=None):
        self.world = World()
        scenario.prepare(self.world)
        self.tls, self.certificate = scenario.tls, certificate
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.sessions = set()
        self.faults = []            # exceptions of ours: a scenario with a mistake must not look like a nightferry that copes
        threading.Thread(target=self._accept, daemon=True).start()

    def wrap(self, sock):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        return context.wrap_socket(sock, server_side=True)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.world.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        session = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls == "implicit":
                hook = self.world.hooks.get("TLS")
                if hook:
                    hook(sock)
                    return
                sock = self.wrap(sock)
            session = Session(self.world, sock)
            session.server = self
            self.sessions.add(session)
            session.serve()
        except Drop:
            session.reset()
        except Hang:
            try:
                session.hang()
            except (OSError, EOFError):
                pass
        except (OSError, EOFError):
            pass
        except Exception as e: # pylint: disable=broad-except
            self.faults.append(repr(e))
        finally:
            self.sessions.discard(session)
            try:
                (session.sock if session else sock).close()
            except OSError:
                pass

    def stop(self):
        self.listener.close()
        for session in list(self.sessions):
            session.reset()


def drip(session, data, pause=0.001):
    """One octet after the other."""
    for i in range(len(data)):
        session.sock.sendall(data[i:i + 1])
        time.sleep(pause)
