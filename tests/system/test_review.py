"""Breaks that once left a message behind: set aside although nothing was wrong with it, or forgotten while another was looked up."""
import re
import socket
import struct
import threading
import time

import ferry
from servers import corpus


class Tap:
    """A TCP proxy: break_all() resets every connection; poison is an octet string that the client must not send."""

    def __init__(self, port, poison=None):
        self.port_behind, self.poison, self.connections, self.hits = port, poison, set(), 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(32)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port_behind))
            pair = (client, server)
            self.connections.add(pair)
            for a, b, watch in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=(a, b, watch, pair), daemon=True).start()

    def pump(self, a, b, watch, pair):
        seen = b""
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                if watch and self.poison:
                    seen = (seen + data)[-65536 - 200:]
                    at = seen.find(self.poison)
                    if at >= 0:
                        self.hits += 1
                        b.sendall(data[:max(0, at - (len(seen) - len(data)))])
                        time.sleep(0.2)  # what came before is taken in and answered
                        break
                b.sendall(data)
        except OSError:
            pass
        self.reset(pair)

    def reset(self, pair):
        self.connections.discard(pair)
        for s in pair:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def break_all(self):
        for pair in list(self.connections):
            self.reset(pair)

    def stop(self):
        self.listener.close()
        self.break_all()


def prepare(nf, dovecot, exosim_for, count=120, settle="500ms"):
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    box = source.maildir("alice")
    for i in range(count):
        box.add(corpus.made(i, message_id=i % 3 != 0), flags=("\\Seen",), date=1_000_000_000 + i)
    ferry.add_exchange(nf, exosim, "alice@contoso.example", extra=("--settle-after", settle))
    return source, behind, exosim


def test_a_destination_that_drops_again_and_again(nightferry, dovecot, exosim_for, compare_mailboxes):
    source, behind, exosim = prepare(nightferry, dovecot, exosim_for, 150)
    ferry.add_endpoint(nightferry, source, "alice", extra=("--retry-delay", "100ms"))
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")])
    exosim.ask("/fault", {"kind": "drop", "probability": 0.03, "count": 0})
    exosim.ask("/fault", {"kind": "drop_mid_literal", "probability": 0.02, "count": 0})
    nightferry.run("batch", "start", "pilot", "--wait")
    counts = ferry.user_counts(nightferry)["alice"]
    assert counts["refused"] == 0 and counts["copied"] == 150 and counts["in_doubt"] == 0, counts
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))


def test_a_destination_that_asks_to_come_again(nightferry, dovecot, exosim_for, compare_mailboxes):
    source, behind, exosim = prepare(nightferry, dovecot, exosim_for, 250)
    ferry.add_endpoint(nightferry, source, "alice", extra=("--retry-delay", "100ms"))
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")])
    for nth in (10, 90, 170):
        exosim.ask("/fault", {"kind": "refuse", "text": "NO Server Unavailable.", "nth": nth})
    nightferry.run("batch", "start", "pilot", "--wait")
    counts = ferry.user_counts(nightferry)["alice"]
    assert counts["refused"] == 0 and counts["copied"] == 250, counts
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))


def test_source_lost_while_messages_are_in_doubt(nightferry, dovecot, exosim_for, compare_mailboxes):
    """What is absent at the destination is fetched again; the connection for that is gone."""
    source, behind, exosim = prepare(nightferry, dovecot, exosim_for, 40, "2s")
    tap = Tap(source.tls_port)
    port, source.tls_port = source.tls_port, tap.port
    ferry.add_endpoint(nightferry, source, "alice", extra=("--retry-delay", "100ms"))
    source.tls_port = port
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")])
    exosim.ask("/fault", {"kind": "drop_before_commit", "nth": 20, "count": 1})

    def break_when_dropped():
        for _ in range(600):
            if exosim.ask("/state")["faults"][0]["fired"]:
                time.sleep(1)
                tap.break_all()
                return
            time.sleep(0.05)
    breaker = threading.Thread(target=break_when_dropped)
    breaker.start()
    nightferry.run("batch", "start", "pilot", "--wait")
    breaker.join()
    tap.stop()
    counts = ferry.user_counts(nightferry)["alice"]
    assert counts["copied"] == 40 and counts["in_doubt"] == 0, counts
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))


def test_messages_that_the_destination_cannot_bear(nightferry, dovecot):
    """They alone are set aside; those that were in flight with it arrive."""
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    box = source.maildir("alice")
    for i in range(300):
        box.add(corpus.made(i), date=1_000_000_000 + i)
        if i in (20, 40):
            box.add(b"From: a@example.org\r\nSubject: bad\r\nMessage-ID: <bad%d@example.org>\r\n\r\nEVIL-OCTETS\r\n" % i, date=1_000_000_020)
    tap = Tap(behind.port, b"EVIL-OCTETS")
    ferry.add_endpoint(nightferry, source, "alice", extra=("--retry-delay", "100ms"))
    nightferry.run("target", "create", "other", "--kind", "imap", "--host", "localhost", "--port", tap.port, "--tls", "none", "--test-user",
                   "alice@contoso.example", "--password-file", nightferry.secret_file(behind.users["alice@contoso.example"]),
                   "--settle-after", "500ms")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")], target="other")
    nightferry.run("batch", "start", "pilot", "--wait", code=(0, 2))
    tap.stop()
    counts = ferry.user_counts(nightferry)["alice"]
    assert counts["refused"] == 2 and counts["copied"] == 300 and counts["in_doubt"] == 0, counts
    report = nightferry.run("batch", "report", "pilot", "--json").out
    assert re.search(r'"subject": *"bad"', report)
