"""Messages for tests: the repository's own corpus (tests/corpus) and made ones. Deterministic by seed."""
import base64
import glob
import os
import random

from . import local

FOLDER = os.path.join(local.ROOT, "tests", "corpus")
# What Exchange's IMAP refuses, and nightferry therefore reports instead of sending: see is_plain
LONGEST_LINE = 10000


def messages():
    """All messages of the corpus as bytes with CRLF line ends, ordered by name."""
    found = []
    for path in sorted(glob.glob(os.path.join(FOLDER, "*", "*.eml"))):
        with open(path, "rb") as f:
            found.append(crlf(f.read()))
    return found


def crlf(data):
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def is_plain(message):
    """Will a strict destination take it as it is? (No over-long line, no NUL, no 8-bit octet in the header.)"""
    head = message.split(b"\r\n\r\n", 1)[0]
    return (b"\0" not in message and all(octet < 128 for octet in head) and message != b""
            and max(len(line) for line in message.split(b"\r\n")) < LONGEST_LINE)


WORDS = ("ferry harbour crossing timetable invoice quarterly meeting offer draft contract review shipment passenger cabin tonight weather "
         "delay schedule ticket captain island route bridge engine cargo manifest window latitude signal lantern anchor").split()


def made(number, size=None, seed=1, message_id=True):
    """An ordinary message with a subject of its own; size in octets (about 1-4 KB by default)."""
    r = random.Random(f"{seed}/{number}")
    size = size or r.randint(1000, 4000)
    head = (f"From: Sender {number % 37} <sender{number % 37}@example.org>\r\nTo: receiver@example.net\r\n"
            f"Subject: {' '.join(r.choices(WORDS, k=4))} {number}\r\nDate: Mon, 3 Mar 2014 10:{number // 60 % 60:02d}:{number % 60:02d} +0100\r\n"
            + (f"Message-ID: <{seed}.{number}@made.example.org>\r\n" if message_id else "")
            + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n").encode()
    if size > 100_000: # an attachment of noise, cheap to make
        block = (os.urandom if seed is None else r.randbytes)(57)
        line = base64.b64encode(block) + b"\r\n"
        body = line * ((size - len(head)) // len(line) + 1)
    else:
        lines = []
        have = len(head)
        while have < size:
            line = " ".join(r.choices(WORDS, k=9))[:72] + "\r\n"
            lines.append(line)
            have += len(line)
        body = "".join(lines).encode()
    return head + body
