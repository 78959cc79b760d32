"""tests/contract/target_test.c on real servers: Dovecot as the administrators of the world set it up, Courier, Cyrus, and exosim."""
import os
import subprocess

import pytest

from servers import local
from servers.http2 import Http2

PROGRAM = os.path.join(os.environ.get("NF_BUILD", "build"), "contract", "target_test")
DOVECOTS = {
    "slash": {},
    "dot": {"separator": "."},
    "below-inbox": {"separator": ".", "prefix": "INBOX."},
    "no-uidplus": {"extra": "protocol imap {\n  imap_capability = IMAP4rev1 SASL-IR LITERAL+ ID NAMESPACE\n}\n"},
    "no-literal-plus": {"extra": "protocol imap {\n  imap_capability = IMAP4rev1 UIDPLUS ID NAMESPACE\n}\n"},
}


def run(folder, server, mailbox, **env):
    done = subprocess.run([PROGRAM], env={**os.environ, "NF_SPOOL_DIR": str(folder), "NF_RUN": os.urandom(4).hex(), "NF_CA": server.ca,
                                          "NF_ROUTE": "imap", "NF_IMAP_HOST": "localhost", "NF_IMAP_PORT": str(server.tls_port),
                                          "NF_MAILBOX": mailbox, **env},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False)
    text = done.stdout.decode("utf-8", "replace")
    print(text)
    assert done.returncode == 0 and "[  PASSED  ]" in text, text


@pytest.mark.parametrize("name", DOVECOTS)
def test_route_imap_to_dovecot(name, tmp_path, dovecot):
    server = dovecot(["ann"], **DOVECOTS[name])
    run(tmp_path, server, "ann", NF_PASSWORD=server.users["ann"])


@pytest.mark.slow
def test_route_imap_to_courier(tmp_path, courier):
    """Takes a second for each command, so only what is particular to it: all folders live below INBOX, no UIDNEXT, a probe."""
    server = courier(["ann"])
    for part in ("test_folders", "test_prove"):
        run(tmp_path, server, "ann", NF_PASSWORD=server.users["ann"], NF_ONLY=part)


def test_route_imap_to_cyrus(tmp_path, cyrus):
    server = cyrus(["ann"])
    run(tmp_path, server, "ann", NF_PASSWORD=server.users["ann"])


@pytest.mark.parametrize("profile", ["kind", "unkind"])
def test_route_imap_to_exosim(profile, tmp_path, dovecot_target, exosim_for):
    """Unkind: octets change, Message-IDs are made, no APPENDUID, \\Flagged of an APPEND is lost."""
    server = exosim_for(dovecot_target, config={"profile": profile})
    run(tmp_path, server, list(dovecot_target.users)[0], NF_LOGIN_URL=server.login_url, NF_TENANT=server.tenant,
        NF_CLIENT_ID=server.client, NF_CLIENT_SECRET=server.secret, NF_RECODES="1" if profile == "unkind" else "")


@pytest.mark.parametrize("profile", ["kind", "unkind"])
def test_route_mime_to_exosim(profile, tmp_path, dovecot_target, exosim_for):
    """Unkind: octets change, Message-IDs are made, the first page of a list is empty, imported mail is read at once, DELETE only moves."""
    server = exosim_for(dovecot_target, config={"profile": profile})
    run(tmp_path, server, list(dovecot_target.users)[0], NF_ROUTE="mime", NF_LOGIN_URL=server.login_url, NF_TENANT=server.tenant,
        NF_CLIENT_ID=server.client, NF_CLIENT_SECRET=server.secret, NF_GRAPH_URL=server.graph_url, NF_RECODES="1" if profile == "unkind" else "")


def test_route_mime_by_http2(tmp_path, dovecot_target, exosim_for, authority, request):
    """HTTP/2 where it is offered: everything goes over it, streamed bodies and their answers too."""
    server = exosim_for(dovecot_target)
    try:
        front = Http2(server.https, authority)
    except local.NotAvailable as e:
        pytest.skip(f"NOT RUN: {e}")
    request.addfinalizer(front.stop)
    run(tmp_path, server, list(dovecot_target.users)[0], NF_ROUTE="mime", NF_LOGIN_URL=server.login_url, NF_TENANT=server.tenant,
        NF_CLIENT_ID=server.client, NF_CLIENT_SECRET=server.secret, NF_GRAPH_URL=front.url, NF_ONLY="test_prove")
    lines = front.requests()
    assert len(lines) > 20 and all(line.startswith("h2 ") for line in lines), lines[:5]
    assert any("importMime" in line for line in lines)
