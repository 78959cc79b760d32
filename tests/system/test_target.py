"""target test: what each route does with probe messages is found out, said, kept; what is wrong is named; nothing stays behind."""
import os
import subprocess

import ferry
from servers import local
from servers.exosim import CLIENT
from servers.rawimap import RawImap

ALICE, BOB = "alice@contoso.example", "bob@contoso.example"
FP = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"), "fp", "nightferry")
BOTH = ("--routes", "mime,imap")


def add(nf, exosim, *extra, routes=("--routes", "imap"), code=0):
    return ferry.add_exchange(nf, exosim, ALICE, extra=(*routes, "--graph-url", exosim.graph_url, *extra), code=code)


def test_lines(nf, *extra, code=0):
    """[(route, step, outcome, text, blame)] of target test."""
    out = nf.run("target", "test", "contoso", "--probe-size", 0, *extra, "--json", code=code).json()
    return [(x["route"], x["step"], x["outcome"], x["text"], x["blame"]) for x in out["lines"]]


test_lines.__test__ = False


def failures(lines):
    return [(route, step, blame) for route, step, outcome, _, blame in lines if outcome == "FAIL"]


def proofs(nf):
    return {p["route"]: p for p in nf.run("target", "show", "contoso", "--json").json()["proofs"]}


def folders(server, user=ALICE):
    c = RawImap(server.port)
    c.login(user, server.users[user])
    names = [x.split()[-1] for x, _ in c.command('LIST "" "*"') if x.startswith(b"* LIST")]
    c.close()
    return names


def left(server):
    return [x for x in folders(server) if b"probe" in x]


def inbox(server, user=ALICE):
    c = RawImap(server.port)
    c.login(user, server.users[user])
    n = c.examine(b"INBOX")["EXISTS"]
    c.close()
    return n


def test_both_routes(nightferry, exosim, dovecot_target):
    nf = nightferry
    dovecot_target.maildir(ALICE).add(b"Subject: theirs\r\n\r\nx\r\n")
    out = add(nf, exosim, routes=BOTH).out
    for step in ("token", "sign-in", "folder", "messages", "draft", "date", "flags", "sender", "content", "headers", "attachment",
                 "signature", "clean-up"):
        assert f"ok    imap  {step}" in out and (f"ok    mime  {step}" in out or step == "date"), out
    assert "note  mime  date        the received date is not kept" in out and "the date of the first Received field" in out
    kept = proofs(nf)
    assert kept["imap"]["passed"] and kept["imap"]["date_kept"] and kept["imap"]["content_kept"] and kept["imap"]["categories_kept"]
    assert kept["mime"]["passed"] and not kept["mime"]["date_kept"] and kept["mime"]["flags_kept"]
    shown = nf.run("target", "show", "contoso").out
    assert "Routes          mime,imap" in shown and "Route mime      passed, 20" in shown and "(0 min ago, mailbox alice@" in shown
    assert not left(dovecot_target) and inbox(dovecot_target) == 1
    doctor = nf.run("doctor", code=None).out
    assert "ok    target contoso, mime   a token is issued; proved on" in doctor and "ok    target contoso, imap   a token is issued" in doctor


def test_the_token_is_to_blame(nightferry, exosim_for, dovecot_target):
    nf = nightferry
    old = "99999999-2222-3333-4444-555555555555"
    exosim = exosim_for(dovecot_target, config={"apps": [
        {"id": CLIENT, "secret": "exosim-client-secret~1"}, {"id": old, "secret": "exosim-client-secret~1", "secret_expired": True}]})
    add(nf, exosim)
    for said, hint, *more in (("AADSTS7000215", "not its Secret ID", "--client-secret-file", nf.secret_file("wrong")),
                              ("AADSTS7000222", "expired", "--client-id", old),
                              ("AADSTS90002", "no such tenant", "--tenant", "fabrikam.example"),
                              ("AADSTS700016", "client id", "--client-id", "77777777-2222-3333-4444-555555555555")):
        out = nf.run("target", "set", "contoso", "--probe-size", 0, *more, code=77).out
        assert "FAIL  imap  token       token: " in out and said in out and hint in out and "skip  imap  sign-in" in out
    assert proofs(nf)["imap"]["passed"], "what was proved before stays"


def test_consent_is_to_blame(nightferry, exosim, dovecot_target):
    nf = nightferry
    add(nf, exosim, routes=BOTH)
    exosim.ask("/app", {"id": CLIENT, "roles": ["Mail.ReadWrite", "User.Read.All"]})
    lines = test_lines(nf, code=77)
    assert failures(lines) == [("mime", "messages", "consent"), ("imap", "sign-in", "consent")]
    texts = {(route, step): text for route, step, _, text, _ in lines}
    assert "does not name the permission Mail-Advanced.ReadWrite.All" in texts["mime", "token"]
    assert "does not name the permission IMAP.AccessAsApp" in texts["imap", "token"]
    assert "lacks the application permission Mail-Advanced.ReadWrite.All" in texts["mime", "messages"]
    assert not left(dovecot_target), "also after a failure nothing stays"
    assert not proofs(nf)["mime"]["passed"] and not proofs(nf)["imap"]["passed"]
    assert "its last test failed" in nf.run("doctor", "--offline", code=4).out


SETTINGS = [("permission", "imap", "sign-in", "rights, IMAP disabled or mailbox"), ("imap", "imap", "sign-in", "rights, IMAP disabled or mailbox"),
            ("graph_permission", "mime", "sign-in", "rights"), ("rest", "mime", "sign-in", "mailbox")]


def test_the_mailbox_is_to_blame(nightferry, exosim, dovecot_target):
    nf = nightferry
    add(nf, exosim, routes=BOTH)
    for setting, route, step, blame in SETTINGS:
        exosim.ask("/mailbox", {"address": ALICE, setting: False})
        lines = test_lines(nf, code=None)
        exosim.ask("/mailbox", {"address": ALICE, setting: True})
        assert failures(lines) == [(route, step, blame)], lines
        text = next(text for r, _, outcome, text, _ in lines if r == route and outcome == "FAIL")
        if route == "imap":
            assert "Get-CASMailbox: ImapEnabled" in text and "enterprise application" in text and "target setup contoso" in text
        kept = proofs(nf)
        assert not kept[route]["passed"] and kept["mime" if route == "imap" else "imap"]["passed"]
    exosim.ask("/profile", {"no_permission_connects": 1})  # seen: signed in, then "not connected"
    exosim.ask("/mailbox", {"address": ALICE, "permission": False})
    assert failures(test_lines(nf, code=None)) == [("imap", "folder", "rights, IMAP disabled or mailbox")]
    exosim.ask("/mailbox", {"address": ALICE, "permission": True, "quota": 10})
    assert ("imap", "messages", "mailbox is full, or the service is busy") in failures(test_lines(nf, code=None))
    exosim.ask("/mailbox", {"address": ALICE, "quota": -1})
    assert not failures(test_lines(nf))
    # another mailbox's failure is not the route's
    assert ("mime", "sign-in", "mailbox") in failures(test_lines(nf, "--user", "nobody@contoso.example", code=None))
    assert proofs(nf)["mime"]["passed"] and not left(dovecot_target)


def test_dates_that_are_not_kept(nightferry, exosim, dovecot_target):
    nf = nightferry
    add(nf, exosim, routes=BOTH)
    exosim.ask("/profile", {"received_kept": 0, "graph_received": 0})
    lines = test_lines(nf, code=None)
    assert failures(lines) == [("imap", "date", "route")]
    dates = {route: text for route, step, _, text, _ in lines if step == "date"}
    assert "the time of arrival" in dates["imap"] and "the time of arrival" in dates["mime"]
    assert proofs(nf)["mime"]["passed"] and not proofs(nf)["mime"]["date_kept"] and not proofs(nf)["imap"]["passed"]
    assert ("imap", "size") in [(r, s) for r, s, *_ in lines]
    assert not left(dovecot_target)
    exosim.ask("/profile", {"received_kept": 1})
    assert not failures(test_lines(nf)) and proofs(nf)["imap"]["passed"]


def test_sizes(nightferry, exosim, dovecot_target):
    """The limits are exosim's, to a sixty-fourth."""
    nf = nightferry
    exosim.ask("/mailbox", {"address": ALICE, "size_cap": 700_000})
    exosim.ask("/profile", {"graph_size_cap": 300_000})
    out = add(nf, exosim, "--probe-size", "1MB", routes=BOTH).out
    for route, cap in (("imap", 700_000), ("mime", 300_000)):
        p = proofs(nf)[route]
        assert p["passed"] and p["largest"] <= cap < p["refused"] <= p["largest"] + max(16384, p["refused"] // 64)
    assert "the limit lies between" in out and "Set-Mailbox -MaxReceiveSize" in out
    assert " arrive, " in nf.run("target", "show", "contoso").out and not left(dovecot_target)


def test_a_wait_is_told(nightferry, exosim, dovecot_target):
    """A size probe may be refused by a limit, and then waits for it: minutes that must not look like a hang."""
    add(nightferry, exosim)
    before = exosim.ask("/state")["totals"]["appended"]  # of a test without sizes
    waiting = exosim.fault("throttle", ms=5000, nth=before + 1, count=1, command="APPEND")
    result = nightferry.run("target", "test", "contoso", "--probe-size", "300kB")
    assert exosim.fired(waiting) == 1
    told = [line for line in result.err.splitlines() if "asked to wait: the test goes on by itself in" in line]
    assert len(told) == 1 and "Suggested Backoff Time: 5000" in told[0], result.err


def test_a_session_that_breaks(nightferry, exosim, dovecot_target):
    """Whatever breaks in the middle: it is said, the old proof stands, and the next session takes everything away."""
    nf = nightferry
    add(nf, exosim)
    faults = ({"kind": "drop", "command": "APPEND"}, {"kind": "drop_after_commit", "nth": 2}, {"kind": "drop", "command": "UID", "nth": 3})
    for i, fault in enumerate(faults):
        exosim.ask("/fault", fault)
        assert failures(test_lines(nf, code=None))
        assert exosim.ask("/state")["faults"][i]["fired"] == 1
        assert proofs(nf)["imap"]["passed"] and not left(dovecot_target)


def test_what_a_killed_test_left(nightferry, exosim, dovecot_target):
    nf = nightferry
    add(nf, exosim, routes=BOTH)
    for route in ("imap", "mime"):
        nf.run("target", "set", "contoso", "--routes", route, "--probe-size", 0)
        nf.run("target", "test", "contoso", "--probe-size", 0, binary=FP, code=-9,
               env={"NIGHTFERRY_FAILPOINT": "put-after-answer:2"})
        assert left(dovecot_target) == [b'probe"'], "it was killed with its messages in the folder"
        text = next(text for _, step, _, text, _ in test_lines(nf) if step == "folder")
        assert "that an interrupted test had left there are removed" in text
        assert not left(dovecot_target)


def test_a_folder_that_somebody_made(nightferry, exosim, dovecot_target):
    nf = nightferry
    dovecot_target.maildir(ALICE).add(b"Subject: nightferry probe\r\nMessage-ID: <theirs@example.org>\r\n\r\nx\r\n", ("nightferry probe",))
    out = add(nf, exosim, routes=BOTH).out
    assert out.count('"nightferry probe 2" is made') == 2
    assert left(dovecot_target) == [b'probe"']
    c = RawImap(dovecot_target.port)
    c.login(ALICE, dovecot_target.users[ALICE])
    assert c.examine(b"nightferry probe")["EXISTS"] == 1


def test_no_mail_without_a_proof(nightferry, dovecot_source, exosim):
    nf = nightferry
    ferry.add_endpoint(nf, dovecot_source, "alice")
    add(nf, exosim, "--skip-test")
    ferry.add_batch(nf, [("alice", "pw-alice", ALICE)])
    out = nf.run("batch", "start", "pilot", code=64).err
    assert "no route of target contoso is proved" in out and "nightferry target test contoso" in out
    assert "never proved, carries no mail" in nf.run("target", "show", "contoso").out
    test_lines(nf)
    nf.run("batch", "start", "pilot", "--wait")


def test_a_proof_in_doubt_is_made_again(nightferry, dovecot_source, exosim, dovecot_target):
    nf = nightferry
    ferry.add_endpoint(nf, dovecot_source, "alice")
    add(nf, exosim)
    ferry.add_batch(nf, [("alice", "pw-alice", ALICE)])
    # as the engine does when a run speaks against a proof (store_proof_suspect)
    subprocess.run(["/usr/bin/python3", "-c", "import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); d.execute(\"UPDATE proof SET suspect_at=1, "
                    "suspect_text='a message of 1 MB was refused'\"); d.commit()", nf.state], check=True)
    assert "in doubt since" in nf.run("target", "show", "contoso").out
    assert "in doubt: a message of 1 MB was refused" in nf.run("doctor", "--offline", code=4).out
    assert "a message of 1 MB was refused" in nf.run("batch", "status", "pilot").out
    out = nf.run("batch", "start", "pilot", "--wait").out
    assert "The route imap of target contoso is proved again: a message of 1 MB was refused" in out and "ok    imap  draft" in out
    assert "in doubt" not in nf.run("target", "show", "contoso").out and not left(dovecot_target)


def test_a_copy_proves_its_route(nightferry, dovecot_source, exosim, dovecot_target):
    """A copy makes a target of its own: no mail goes in before messages of ours came back from that very mailbox."""
    nf = nightferry
    dovecot_source.maildir("alice").add(b"Subject: one\r\n\r\nx\r\n")
    args = ("copy", "--source-host", "localhost", "--source-port", dovecot_source.tls_port, "--source-ca-file", dovecot_source.ca,
            "--source-user", "alice", "--source-password-file", nf.secret_file("pw-alice"), "--address", ALICE, "--tenant", exosim.tenant,
            "--client-id", CLIENT, "--client-secret-file", nf.secret_file(exosim.secret), "--login-url", exosim.login_url,
            "--target-host", "localhost", "--target-port", exosim.imaps, "--target-ca-file", exosim.ca, "--settle-after", "1s")
    exosim.ask("/profile", {"received_kept": 0})
    assert "FAIL  imap  date" in nf.run(*args, code=None).out and inbox(dovecot_target) == 0
    exosim.ask("/profile", {"received_kept": 1})
    assert "ok    imap  draft" in nf.run(*args).out and inbox(dovecot_target) == 1 and not left(dovecot_target)
    assert "draft" not in nf.run(*args).out, "once is enough"
