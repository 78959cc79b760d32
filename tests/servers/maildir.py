"""Messages straight into a Maildir, without a server: thousands in a second. Dates are the files' times (INTERNALDATE), flags and
keywords are in their names."""
import base64
import os
import re

# Dovecot's Maildir letters
FLAGS = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}


def utf7(name):
    """Modified UTF-7 (RFC 3501, 5.1.3)."""
    def encode(match):
        text = match.group(0)
        if text == "&":
            return "&-"
        data = base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
        return f"&{data}-"
    return re.sub(r"[^\x20-\x7e]+|&", encode, name)


def from_utf7(name):
    def decode(match):
        text = match.group(1)
        if text == "":
            return "&"
        return base64.b64decode(text.replace(",", "/") + "=" * (-len(text) % 4)).decode("utf-16-be")
    return re.sub(r"&([^-]*)-", decode, name)


class Maildir:
    """path: the folder that holds INBOX's cur/ and new/. layout "++" (.A.B) or "fs" (A/B), both with Dovecot's listescape."""

    def __init__(self, path, layout="++", owner=None):
        """owner: (uid, gid) of the mail where it is not ours."""
        self.path, self.layout = path, layout
        self.owner = owner if owner and owner[0] != os.getuid() else None
        self.count = 0
        self.made = set()

    def folder(self, *names):
        """The directory of a folder, made if it is not there; no name: INBOX. A name may hold any character."""
        path = self.path
        if names:
            parts = [re.sub(r"[./\\]", lambda m: f"\\{ord(m.group(0)):02x}", utf7(n)) for n in names]
            path = os.path.join(path, *parts) if self.layout == "fs" else os.path.join(path, "." + ".".join(parts))
        if path not in self.made:
            for sub in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(path, sub), exist_ok=True)
            self.made.add(path)
            self._own_tree()
        return path

    def _own_tree(self):
        if not self.owner:
            return
        os.chown(os.path.dirname(self.path), *self.owner)
        for folder, _, files in os.walk(self.path):
            if os.stat(folder).st_uid != self.owner[0]:
                for name in [folder] + [os.path.join(folder, f) for f in files]:
                    os.chown(name, *self.owner)

    def add(self, message, folder=(), flags=(), date=1_000_000_000, keywords=(), announced=None):
        """Returns the file's path. announced: a size in the name that may lie (Dovecot then cuts the connection in the literal)."""
        path = self.folder(*folder)
        letters = "".join(sorted(FLAGS[f] for f in flags)) + "".join(sorted(self._keyword(path, k) for k in keywords))
        size = len(message) if announced is None else announced
        virtual = len(message) + len(re.findall(rb"(?<!\r)\n", message)) if announced is None else announced
        self.count += 1
        name = os.path.join(path, "cur", f"{int(date)}.M{self.count:07d}P{os.getpid()}.nf,S={size},W={virtual}:2,{letters}")
        with open(name, "wb") as f:
            f.write(message)
        os.utime(name, (date, date))
        if self.owner:
            os.chown(name, *self.owner)
        return name

    def _keyword(self, path, keyword):
        name = os.path.join(path, "dovecot-keywords")
        known = []
        if os.path.exists(name):
            with open(name, encoding="utf-8") as f:
                known = [line.split(" ", 1)[1].rstrip("\n") for line in f]
        if keyword not in known:
            known.append(keyword)
            with open(name, "w", encoding="utf-8") as f:
                f.writelines(f"{i} {k}\n" for i, k in enumerate(known))
            if self.owner:
                os.chown(name, *self.owner)
        return chr(ord("a") + known.index(keyword))
