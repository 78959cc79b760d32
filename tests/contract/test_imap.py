"""The contract of imap/ (imap_test.c, mailbox_test.c), on every server we have: one row a server."""
import os
import subprocess

import pytest

from servers import local

BUILD = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"))


def dovecot_row(**options):
    return lambda request: request.getfixturevalue("dovecot")(["alice"], **options)


ROWS = {
    "dovecot": dovecot_row(),
    "dovecot, INBOX. prefix": dovecot_row(separator=".", prefix="INBOX."),
    "dovecot, backslash": dovecot_row(separator="\\", layout="fs"),
    "dovecot, caret": dovecot_row(separator="^", prefix="Top^"),
    "cyrus": lambda request: request.getfixturevalue("cyrus")(["alice"]),
    "cyrus, dots and INBOX.": lambda request: request.getfixturevalue("cyrus")(["alice"], separator=".", alt_namespace=False),
    "courier": lambda request: request.getfixturevalue("courier")(["alice"]),
}


@pytest.mark.parametrize("row", ROWS)
def test_imap(request, row):
    server = ROWS[row](request)
    env = {**os.environ, "NF_IMAP_HOST": "localhost", "NF_IMAP_PORT": str(server.tls_port), "NF_IMAP_USER": "alice",
           "NF_IMAP_PASS": server.users["alice"], "NF_IMAP_CA": server.ca}
    for program in ("imap_test", "mailbox_test"):
        done = subprocess.run([os.path.join(BUILD, "contract", program)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=180, check=False)
        text = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0 and "[  PASSED  ]" in text and "SKIPPED" not in text, text
