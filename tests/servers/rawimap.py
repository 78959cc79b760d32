"""An IMAP client for checks that shares no code with nightferry: blocking, literal by literal, and no cleverer than needed."""
import base64
import hashlib
import hmac
import os
import re
import socket
import ssl

from .maildir import from_utf7


class Refused(Exception):
    """The server's tagged NO or BAD; args[0] is its text."""


class RawImap:
    def __init__(self, port, *, tls=False, ca=None, host="127.0.0.1", source=None, timeout=60):
        self.sock = socket.create_connection((host, port), timeout, source_address=(source, 0) if source else None)
        self.ca, self.buffer, self.tag = ca, b"", 0
        if tls:
            self.wrap()
        self.greeting = self.line()[0]

    def wrap(self):
        context = ssl.create_default_context(cafile=self.ca)
        if not self.ca:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def fill(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise EOFError("the server closed the connection")
        self.buffer += data

    def line(self):
        """One response: (text with {n} where a literal stood, [literals])."""
        text, literals = b"", []
        while True:
            while b"\r\n" not in self.buffer:
                self.fill()
            part, self.buffer = self.buffer.split(b"\r\n", 1)
            text += part
            literal = re.search(rb"\{(\d+)\}$", part)
            if not literal:
                return text, literals
            size = int(literal.group(1))
            chunks, have = [self.buffer], len(self.buffer)
            while have < size:
                data = self.sock.recv(1 << 18)
                if not data:
                    raise EOFError("the server closed the connection in a literal")
                chunks.append(data)
                have += len(data)
            data = b"".join(chunks)
            literals.append(data[:size])
            self.buffer = data[size:]

    def command(self, text, *answers):
        """Sends a command and returns its untagged responses. answers: bytes (or functions of the server's words) for "+" lines."""
        self.tag += 1
        tag = b"r%d" % self.tag
        self.sock.sendall(tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        responses, answers = [], list(answers)
        while True:
            line, literals = self.line()
            if line.startswith(b"+"):
                answer = answers.pop(0)
                self.sock.sendall((answer(line[2:]) if callable(answer) else answer) + b"\r\n")
            elif line.startswith(tag + b" "):
                self.last = line[len(tag) + 1:].decode("utf-8", "replace")
                if not self.last.upper().startswith("OK"):
                    raise Refused(self.last)
                return responses
            else:
                responses.append((line, literals))

    def login(self, user, password):
        return self.command(b"AUTHENTICATE PLAIN", lambda _: base64.b64encode(f"\0{user}\0{password}".encode()))

    def login_as(self, user, master, password):
        return self.command(b"AUTHENTICATE PLAIN", lambda _: base64.b64encode(f"{user}\0{master}\0{password}".encode()))

    def xoauth2(self, user, token):
        text = base64.b64encode(f"user={user}\1auth=Bearer {token}\1\1".encode())
        return self.command(b"AUTHENTICATE XOAUTH2 " + text, b"")

    def scram(self, user, password):
        """SCRAM-SHA-256, with the server's signature checked."""
        first = f"n={user},r={base64.b64encode(os.urandom(18)).decode()}"
        state = {}

        def prove(challenge):
            server = base64.b64decode(challenge).decode()
            field = dict(x.split("=", 1) for x in server.split(","))
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(field["s"]), int(field["i"]))

            def mac(key, data):
                return hmac.new(key, data, "sha256").digest()
            key = mac(salted, b"Client Key")
            final = f"c=biws,r={field['r']}"
            message = f"{first},{server},{final}".encode()
            proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), message)))
            state["verifier"] = base64.b64encode(mac(mac(salted, b"Server Key"), message)).decode()
            return base64.b64encode(f"{final},p={base64.b64encode(proof).decode()}".encode())

        def check(challenge):
            assert base64.b64decode(challenge).decode() == "v=" + state["verifier"]
            return b""
        return self.command("AUTHENTICATE SCRAM-SHA-256", lambda _: base64.b64encode(f"n,,{first}".encode()), prove, check)

    @staticmethod
    def quote(name):
        return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    def folders(self):
        """[(raw name, separator or None, set of attributes)]"""
        found = []
        for line, literals in self.command('LIST "" "*"'):
            match = re.match(rb'\* LIST \(([^)]*)\) (NIL|"(?:\\?.)") (.*)$', line)
            if not match:
                continue
            attributes, separator, name = match.groups()
            if literals:
                name = literals[0]
            elif name.startswith(b'"'):
                name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
            separator = None if separator == b"NIL" else separator[1:-1].replace(b"\\\\", b"\\").decode()
            found.append((name, separator, set(attributes.decode().split())))
        return found

    def examine(self, raw_name):
        """{"EXISTS", "UIDVALIDITY", "UIDNEXT"} as far as told."""
        state = {}
        for line, _ in self.command(b"EXAMINE " + self.quote(raw_name)):
            for key, pattern in (("EXISTS", rb"\* (\d+) EXISTS"), ("UIDVALIDITY", rb"\[UIDVALIDITY (\d+)"), ("UIDNEXT", rb"\[UIDNEXT (\d+)")):
                match = re.search(pattern, line)
                if match:
                    state[key] = int(match.group(1))
        return state

    def fetch(self, uids="1:*", bodies=True):
        """Messages of the open folder: dicts with uid, flags, date, size, body (None without bodies)."""
        found = []
        items = "UID FLAGS INTERNALDATE RFC822.SIZE" + (" BODY.PEEK[]" if bodies else "")
        for line, literals in self.command(f"UID FETCH {uids} ({items})"):
            if b" FETCH (" not in line or not re.search(rb"UID (\d+)", line):
                continue
            body = literals[-1] if literals else (b"" if b'BODY[] ""' in line else None)
            found.append({
                "uid": int(re.search(rb"UID (\d+)", line).group(1)),
                "flags": frozenset(re.search(rb"FLAGS \(([^)]*)\)", line).group(1).decode("utf-8", "replace").split()) - {"\\Recent"},
                "date": re.search(rb'INTERNALDATE "([^"]*)"', line).group(1).decode(),
                "size": int(re.search(rb"RFC822.SIZE (\d+)", line).group(1)),
                "body": body,
            })
        return found

    def append(self, folder, message, flags="", date=None):
        head = b"APPEND " + self.quote(folder) + f" ({flags})".encode() + (f' "{date}"'.encode() if date else b"")
        return self.command(head + b" {%d}" % len(message), message)

    def close(self):
        try:
            self.sock.sendall(b"bye LOGOUT\r\n")
        except OSError:
            pass
        self.sock.close()


def decoded(raw_name, separator):
    """A raw folder name as a tuple of decoded parts."""
    text = raw_name.decode("utf-8", "surrogateescape")
    parts = text.split(separator) if separator else [text]
    try:
        return tuple(from_utf7(p) for p in parts)
    except (ValueError, UnicodeError):
        return tuple(parts)
