"""exosim's Graph: the limits of an application in a mailbox, and every fault. What was stored is read back over IMAP."""
import http.client
import queue
import threading
import time

import pytest

from servers.graph import GRAPH, Graph
from servers.rawimap import RawImap

pytestmark = pytest.mark.san

ALICE, BOB = "alice@contoso.example", "bob@contoso.example"


def mime(n=1, size=0):
    return f"Message-ID: <{n}@example.org>\r\nFrom: a@example.org\r\nSubject: no {n}\r\n\r\nhello\r\n".encode() + b"x" * size


@pytest.fixture
def graph(exosim):
    g = Graph(exosim, ALICE)
    yield g
    g.close()


def stored(exosim, folder="INBOX", user=ALICE):
    """Message-IDs' numbers, in the order of UIDs."""
    c = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    c.xoauth2(user, exosim.token())
    c.command(f'EXAMINE "{folder}"')
    lines = c.command("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    c.close()
    return [int(literals[0].split(b"<")[1].split(b"@")[0]) for _, literals in lines if literals]


def wait_for(condition, what):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


def throttled(answer, dimension):
    assert (answer.status, answer.code, answer.message) == (429, "ApplicationThrottled", f"Application is over its {dimension} limit."), answer
    return int(answer.headers["Retry-After"])


def dropped(ask):
    with pytest.raises((http.client.HTTPException, ConnectionError, OSError)):
        ask()


# ---- limits


def test_four_at_once(exosim):
    """Four requests that are held hold a fifth off, and no other mailbox."""
    exosim.fault("graph_slow", command="list", ms=120000, count=4)
    threads = [threading.Thread(target=lambda: pytest.raises(Exception, Graph(exosim, ALICE).list, "inbox"), daemon=True) for _ in range(4)]
    for t in threads:
        t.start()
    wait_for(lambda: exosim.counts(ALICE)["graph_in_flight"] == 4, "four in flight")
    g = Graph(exosim, ALICE)
    assert throttled(g.ask("GET", "/mailFolders"), "MailboxConcurrency") == 1
    assert throttled(g.put("inbox", mime()), "MailboxConcurrency") == 1
    assert Graph(exosim, BOB).ask("GET", "/mailFolders").status == 200
    exosim.mailbox(ALICE, graph_in_flight=5)
    assert g.ask("GET", "/mailFolders").status == 200
    counts = exosim.counts(ALICE)
    assert (counts["graph_throttled"], counts["graph_in_flight_peak"], counts["graph_requests"]) == (2, 5, 7)
    assert counts["graph_while_fenced"] >= 1, "the second came within the first one's Retry-After"
    exosim.kill()
    for t in threads:
        t.join(60)
    exosim.start()


def test_requests_within_their_window(exosim, graph):
    exosim.switch(graph_requests=5, graph_requests_window=600000)
    assert [graph.ask("GET", "/mailFolders/inbox").status for _ in range(5)] == [200] * 5
    assert 500 < throttled(graph.ask("GET", "/mailFolders/inbox"), "RequestRate") <= 601
    assert Graph(exosim, BOB).ask("GET", "/mailFolders").status == 200, "another mailbox has its own"
    counts = exosim.counts(ALICE)
    assert (counts["graph_throttled"], counts["graph_window_requests_peak"]) == (1, 6), "a refused request counts"
    exosim.switch(graph_requests_window=1)
    time.sleep(0.05)
    assert graph.ask("GET", "/mailFolders/inbox").status == 200
    exosim.switch(graph_requests_window=600000, graph_requests=1, graph_retry=1, graph_retry_ms=7000)
    assert throttled(graph.ask("GET", "/mailFolders/inbox"), "RequestRate") == 7
    exosim.switch(graph_retry=2)
    assert "Retry-After" not in graph.ask("GET", "/mailFolders/inbox").headers


def test_bytes_within_their_window(exosim, graph):
    exosim.switch(graph_bytes=3000)
    assert graph.put("inbox", mime(1, 1500)).status == 201
    assert throttled(graph.put("inbox", mime(2, 1500)), "IncomingBytes") <= 301
    assert graph.ask("GET", "/mailFolders/inbox").status == 200, "a GET has no octets"
    exosim.mailbox(ALICE, graph_bytes=0)
    assert graph.put("inbox", mime(3, 1500)).status == 201
    counts = exosim.counts(ALICE)
    assert counts["graph_window_bytes_peak"] == counts["graph_bytes"] > 6000 and stored(exosim) == [1, 3]


# ---- faults. The same for every kind of request, so import stands for all.


@pytest.mark.parametrize("kind,kept", [("graph_drop", []), ("graph_drop_after", [1]), ("graph_hang", [])])
def test_lost_answers(exosim, graph, kind, kept):
    exosim.fault(kind, ms=50)
    dropped(lambda: graph.put("inbox", mime(1)))
    assert stored(exosim) == kept and graph.put("inbox", mime(2)).status == 201 and stored(exosim) == [*kept, 2]
    assert exosim.counts(ALICE)["graph_dropped"] == 1


def test_stored_after_the_drop(exosim, graph):
    exosim.fault("graph_late", ms=300, folder="Post")
    folder = graph.folder("Post")
    dropped(lambda: graph.put(folder, mime(1)))
    wait_for(lambda: exosim.counts(ALICE)["late_pending"] == 0 and stored(exosim, "Post") == [1], "the late message")
    assert [m["isDraft"] for m in graph.find(folder, "<1@example.org>")] == [False]


def test_stored_and_hidden(exosim, graph):
    exosim.fault("graph_hidden", ms=3600000)
    item = graph.put("inbox", mime(1)).json["id"]
    assert graph.put("inbox", mime(2)).status == 201
    assert graph.find("inbox", "<1@example.org>") == [] and graph.list("inbox").json["value"] == []
    assert graph.ask("GET", f"/messages/{item}").status == 200, "by its id it is there"
    exosim.clear_faults()
    exosim.fault("graph_hidden", ms=300, folder="Archive")
    archive = graph.ask("GET", "/mailFolders/archive").json["id"]
    assert graph.put(archive, mime(1)).status == 201
    wait_for(lambda: len(graph.find(archive, "<1@example.org>")) == 1, "it is shown")


def test_which_request(exosim, graph):
    ids = [exosim.fault("graph_error", text="503", command="list", nth=2), exosim.fault("graph_error", text="504 X y", command="folder", count=2),
           exosim.fault("graph_error", text="500 Y z", command="folder_create"), exosim.fault("graph_error", text="502 Z", mailbox=BOB, command="*")]
    assert [graph.list("inbox").status for _ in range(3)] == [200, 503, 200]
    assert [graph.ask("GET", "/mailFolders").status for _ in range(3)] == [504, 504, 200]
    assert graph.ask("POST", "/mailFolders", {"displayName": "A"}).code == "Y"
    assert Graph(exosim, BOB).ask("GET", "").status == 502 and graph.ask("GET", "").status == 200
    assert [exosim.fired(i) for i in ids] == [1, 2, 1, 1]


def test_errors(exosim, graph):
    exosim.fault("graph_error", text="503", ms=2500)
    answer = graph.put("inbox", mime())
    assert (answer.status, answer.body, answer.headers["Retry-After"]) == (503, b"", "3")
    exosim.fault("graph_error", text="503 ErrorMailboxMoveInProgress Mailbox move in progress. Try again later.")
    answer = graph.put("inbox", mime())
    assert (answer.code, answer.message) == ("ErrorMailboxMoveInProgress", "Mailbox move in progress. Try again later.")
    assert "Retry-After" not in answer.headers
    exosim.fault("graph_throttle", text="IncomingBytes", ms=86400000)
    assert throttled(graph.put("inbox", mime()), "IncomingBytes") == 86400
    assert graph.put("inbox", mime(1)).status == 201 and exosim.counts(ALICE)["graph_while_fenced"] == 1
    exosim.fault("graph_quota")
    answer = graph.put("inbox", mime())
    assert (answer.status, answer.code) == (507, "ErrorQuotaExceeded")
    exosim.fault("graph_nothing")
    answer = graph.put("inbox", mime())
    assert (answer.status, answer.body) == (200, b"") and stored(exosim) == [1]


def test_revoked_in_the_middle(exosim, graph):
    exosim.fault("graph_revoked", nth=2)
    assert [graph.put("inbox", mime(n)).status for n in range(3)] == [201, 401, 401]
    graph.token = exosim.token(GRAPH)
    assert graph.put("inbox", mime(3)).status == 201 and stored(exosim) == [0, 3]


def test_the_folder_goes(exosim, graph):
    folder = graph.folder("Post")
    assert graph.put(folder, mime()).status == 201
    exosim.fault("graph_folder_gone", folder="Post")
    answer = graph.put(folder, mime())
    assert (answer.status, answer.code) == (404, "ErrorItemNotFound")
    assert graph.put(folder, mime()).status == 404
    again = graph.folder("Post")
    assert again != folder and graph.put(again, mime(5)).status == 201 and stored(exosim, "Post") == [5]
    # what other connections have open does not matter
    one, two = graph.list(again).json["value"][0]["id"], Graph(exosim, ALICE)
    assert two.ask("DELETE", f"/mailFolders/{again}").status == 204
    for _ in range(3):
        assert graph.ask("GET", f"/messages/{one}").status == 404 and graph.list("inbox").status == 200


def test_broken_answers(exosim, graph):
    exosim.fault("graph_cut", bytes=20)
    with pytest.raises(http.client.IncompleteRead) as cut:
        graph.put("inbox", mime(1))
    assert len(cut.value.partial) == 20
    exosim.fault("graph_garbage")
    with pytest.raises(ValueError):
        assert graph.put("inbox", mime(2)).json
    exosim.fault("graph_huge", bytes=3 << 20)
    assert len(graph.put("inbox", mime(3)).body) > 3 << 20
    assert stored(exosim) == [1, 2, 3]
    exosim.fault("graph_slow_body", bytes=2000)
    start = time.monotonic()
    assert graph.put("inbox", mime(4)).status == 201
    assert time.monotonic() - start > 0.3


def test_probability_goes_by_the_seed(exosim, graph):
    def run():
        fault = exosim.fault("graph_error", text="503", command="get", count=0, probability=0.5)
        seen = [graph.ask("GET", "/messages/x").status for _ in range(30)]
        exosim.clear_faults()
        return seen, fault
    exosim.checks_requests = False
    first, fault = run()
    assert {503, 400} == set(first)
    exosim.kill()
    exosim.start()
    graph.token = exosim.token(GRAPH)
    graph.close()
    again, fault_again = run()
    assert again == first and fault_again == fault


def test_many_at_once(exosim_for, dovecot_target):
    """Eight clients in three mailboxes, with IMAP beside them: everything is there once, and no limit is touched."""
    exosim = exosim_for(dovecot_target, config={"switches": {"graph_in_flight": 0}})
    work, bad = queue.Queue(), []
    for n in range(150):
        work.put(n)

    def run(user):
        g = Graph(exosim, user)
        try:
            while True:
                n = work.get_nowait()
                answer = g.put("inbox", mime(n, n * 100))
                if answer.status != 201 or g.ask("PATCH", f"/messages/{answer.json['id']}", {"isRead": n % 2 == 0}).status != 200:
                    bad.append(answer)
                if n % 10 == 0:
                    g.find("inbox", f"<{n}@example.org>") or bad.append(n)
                    g.folder(f"F{n}")
        except queue.Empty:
            pass
        except Exception as e:  # pylint: disable=broad-except
            bad.append(e)
    threads = [threading.Thread(target=run, args=(f"{u}@contoso.example",)) for u in ("alice", "bob", "carol") * 3]
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    assert not bad, bad[:3]
    found = [n for u in ("alice", "bob", "carol") for n in stored(exosim, user=f"{u}@contoso.example")]
    assert sorted(found) == list(range(150))


def test_folders_made_at_once(exosim):
    """Six clients make folders of one mailbox, over Graph and over IMAP: each new name is made, and of six who want one name one gets it."""
    made, taken, bad = [], [], []

    def run(k):
        g, c = Graph(exosim, ALICE), RawImap(exosim.imaps, tls=True, ca=exosim.ca)
        try:
            c.xoauth2(ALICE, exosim.token())
            for n in range(12):
                if k % 3 == 0:
                    c.command(f"CREATE M{k}x{n}")
                else:
                    g.folder(f"M{k}x{n}")
                made.append(f"M{k}x{n}")
                answer = g.ask("POST", "/mailFolders", {"displayName": f"S{n}"})
                (taken if answer.status == 201 else bad if answer.code != "ErrorFolderExists" else []).append(f"S{n}")
        except Exception as e:  # pylint: disable=broad-except
            bad.append(e)
        g.close()
        c.close()
    threads = [threading.Thread(target=run, args=(k,)) for k in range(6)]
    exosim.switch(graph_in_flight=0)
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    assert not bad, bad[:3]
    g = Graph(exosim, ALICE)
    names = {f["displayName"] for f in g.pages(g.ask("GET", "/mailFolders", query={"$top": 100}))[0]}
    g.close()
    assert len(made) == 72 and sorted(taken) == sorted(f"S{n}" for n in range(12)) and names >= {*made, *taken}
