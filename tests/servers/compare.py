"""Reads two mailboxes over IMAP and compares them as multisets, byte for byte, with flags and dates."""
import collections
import datetime
import email.utils
import hashlib

from .rawimap import decoded

WELL_KNOWN = {"\\drafts": "Drafts", "\\sent": "Sent Items", "\\trash": "Deleted Items", "\\junk": "Junk Email", "\\archive": "Archive"}
COMPARED_FLAGS = {"\\Seen", "\\Answered", "\\Flagged", "\\Draft"}


def instant(internaldate):
    """UTC seconds of an INTERNALDATE."""
    text = internaldate.strip()
    day, clock, zone = text.split()
    d, month, year = day.split("-")
    stamp = email.utils.parsedate_to_datetime(f"{d} {month} {int(year):04d} {clock} {zone}")
    return int((stamp - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds())


def snapshot(client, dates=True, flags=True, prefix=""):
    """{folder as tuple of decoded names: Counter of (sha256, size, date, flags)} over the selectable folders of a signed-in client.
    prefix: a namespace's ("INBOX."), taken off; INBOX itself is ("INBOX",)."""
    found = {}
    for raw, separator, attributes in client.folders():
        if {a.lower() for a in attributes} & {"\\noselect", "\\nonexistent"}:
            continue
        name = decoded(raw, separator)
        head = decoded(prefix.rstrip(separator or "").encode(), separator) if prefix else ()
        if head and len(name) > len(head) and name[:len(head)] == head:
            name = name[len(head):]
        if len(name) == 1 and name[0].upper() == "INBOX":
            name = ("INBOX",)
        client.examine(raw)
        found[name] = collections.Counter(
            (hashlib.sha256(m["body"] or b"").hexdigest(), len(m["body"] or b""), instant(m["date"]) if dates else None,
             frozenset(m["flags"] & COMPARED_FLAGS) if flags else None) for m in client.fetch())
    return found


def special_names(client, prefix=""):
    """{folder as a tuple: Exchange's name for it} by the source's special-use attributes."""
    names = {}
    for raw, separator, attributes in client.folders():
        for use, name in WELL_KNOWN.items():
            if use in {a.lower() for a in attributes}:
                whole = decoded(raw, separator)
                head = decoded(prefix.rstrip(separator or "").encode(), separator) if prefix else ()
                if head and whole[:len(head)] == head:
                    whole = whole[len(head):]
                names[whole] = (name,)
    return names


def differences(source, destination, rename=None):
    """Lines that tell what is missing, extra or altered; [] when all of the source is at the destination and nothing else.
    rename: {source folder: destination folder}. Empty folders at the destination alone do not count."""
    rename = rename or {}
    lines = []
    expected = collections.defaultdict(collections.Counter)
    for name, messages in source.items():
        target = rename.get(name, name)
        for n in range(len(name) - 1, 0, -1): # a child of a renamed folder
            if target == name and name[:n] in rename:
                target = rename[name[:n]] + name[n:]
        expected[target] += messages
        if target not in destination:
            lines.append(f"folder {target} is missing ({sum(messages.values())} messages)")
    for name, messages in expected.items():
        have = destination.get(name, collections.Counter())
        for what, items in (("missing", messages - have), ("extra", have - messages)):
            for (sha, size, date, flags), count in items.items():
                lines.append(f"{'/'.join(name)}: {count} {what}: sha256 {sha[:12]}, {size} octets, date {date}, {sorted(flags or [])}")
    for name, messages in destination.items():
        if name not in expected and messages:
            lines.append(f"folder {name} is extra ({sum(messages.values())} messages)")
    return lines
