"""batch assess: what it finds, that nothing changes at either side, that the sign-in breaker holds; forecast and fact."""
import csv
import os

import ferry
import pytest
from servers import compare, corpus
from servers.rawimap import RawImap


pytestmark = pytest.mark.san


def mail_files(server):
    """{path: what it is} of every message, UID list and subscription file of a Dovecot; its indexes are its own business, and it writes
    the UID lists of empty folders again now and then, with the same content."""
    found = {}
    for folder, _, names in os.walk(server.folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.basename(folder) in ("cur", "new", "tmp") or name in ("dovecot-uidlist", "subscriptions"):
                st = os.stat(path)
                with open(path, "rb") as f:
                    found[path] = f.read() if name == "dovecot-uidlist" else (st.st_size, st.st_mtime_ns)
    return found


def folders_of(server):
    return sorted(f for f, _, _ in os.walk(server.folder) if os.path.basename(f) == "cur")


def touch_all(server, users):
    """Every folder is opened once, so that the server has given its UIDs."""
    for user in users:
        c = RawImap(server.tls_port, tls=True, ca=server.ca)
        c.login(user, server.users[user])
        for raw, _, _ in c.folders():
            c.examine(raw)
        c.close()


WELL_KNOWN = {"Sent Items", "Drafts", "Deleted Items", "Junk Email", "Archive", "Outbox", "Calendar", "Contacts", "Conversation History", "Journal", "Notes",
              "Tasks", "RSS Feeds", "Sync Issues"}


def assess(nf, *args, batch="wave", code=0):
    return nf.run("batch", "assess", batch, "--json", *args, code=code).json()


def kinds(out, user):
    """{kind of finding: finding} of a mailbox."""
    for u in out["users"]:
        if u["source_user"] == user:
            return {f["kind"]: f for f in u["findings"]}
    raise AssertionError(f"no user {user}")


def test_what_is_found_and_nothing_changes(nightferry, dovecot, exosim_for):
    people = ["alice", "bob", "carol"]
    source = dovecot(people)
    behind = dovecot([f"{u}@contoso.example" for u in people], special_use=False)
    exosim = exosim_for(behind)
    box = source.maildir("alice")
    for i in range(30):
        box.add(corpus.made(i), date=1_000_000_000 + i * 86400)
    box.add(corpus.made(40, size=3_000_000), ("Projekte",), date=1_100_000_000)
    box.add(corpus.made(41), ("Projekte",), flags=("\\Deleted",))
    box.add(corpus.made(42), ("Drafts",), flags=("\\Draft",))
    box.add(corpus.made(43), ("Calendar",))
    box.add(corpus.made(44), (" spaced ",))
    box.add(corpus.made(45), ("Sent Items",))
    box.add(corpus.made(46), ("Sent",))
    bobs = source.maildir("bob")
    for i in range(1100):
        bobs.add(corpus.made(i % 40), ("Archiv",), date=1_300_000_000)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example", extra=("--max-message-size", "2MB"))
    rows = [("alice", "pw-alice", "alice@contoso.example"), ("bob", "pw-bob", "bob@contoso.example"),
            ("carol", "wrong", "carol@contoso.example")]
    ferry.add_batch(nightferry, rows, name="wave", extra=())
    touch_all(source, people)
    before, status = mail_files(source), nightferry.run("batch", "status", "wave", "--json").json()["users"]

    out = assess(nightferry, code=77)  # carol's password
    assert mail_files(source) == before
    assert nightferry.run("batch", "status", "wave", "--json").json()["users"] == status
    # exosim makes a mailbox's well-known folders at its first sign-in, as Exchange does: nothing else is there
    assert not {f.split("Maildir/.")[1].split("/")[0] for f in folders_of(behind) if "Maildir/." in f} - WELL_KNOWN
    assert not [p for p in mail_files(behind) if os.path.basename(os.path.dirname(p)) in ("cur", "new", "tmp")]

    alice = next(u for u in out["users"] if u["source_user"] == "alice")
    assert (alice["messages"], alice["deleted"], alice["drafts"], alice["too_big"]) == (35, 1, 1, 1), alice
    found = kinds(out, "alice")
    assert "UID " in found["too-big"]["text"] and "Projekte" in found["too-big"]["text"]
    assert "MaxReceiveSize" in found["too-big"]["remedy"] and found["too-big"]["weight"] == "left-out"
    assert "Calendar" in found["not-mail"]["text"] and "--copy-deleted" in found["deleted"]["remedy"]
    assert "spaced" in found["renamed"]["text"] and "Sent" in found["several-of-one-role"]["text"]
    assert set(kinds(out, "bob")) >= {"clustered-dates"} and "same-folder-twice" not in kinds(out, "bob")
    carol = next(u for u in out["users"] if u["source_user"] == "carol")
    assert carol["error_kind"] == "credentials" and out["failed"] == 1 and out["known"] == 2
    assert out["pilot"]["source_user"] in ("alice", "bob")

    # the forecast: every message that will be moved, once; bob's at the assumed pace
    forecast = out["forecast"]
    assert forecast["mailboxes"] == 2 and forecast["messages"] == 34 + 1100
    assert sum(n["messages"] for n in forecast["nights"]) == forecast["messages"] and forecast["largest"] == "bob"
    bob = next(u for u in out["users"] if u["source_user"] == "bob")["forecast"]
    assert 275 <= bob["active_s"] <= 300 and "4 messages a second" in bob["binds"], bob
    assert any(limit["origin"] == "assumed" for limit in forecast["basis"]["limits"])

    # for people: the largest first, the worst first
    text = nightferry.run("batch", "assess", "wave", "--stored", code=77).out
    assert text.index("alice ") < text.index("bob ") and "carol: source src" in text and "It goes by:" in text
    # a right password, and only that mailbox again
    nightferry.run("batch", "set", "wave", "--csv", nightferry.secret_file("EmailAddress,UserName,Password\ncarol@contoso.example,carol,pw-carol\n"))
    out = assess(nightferry, "--user", "carol", code=2)
    assert out["looked_at"] == 1 and out["known"] == 3 and out["failed"] == 0
    for line in nightferry.output:
        assert exosim.secret not in line and "pw-alice" not in line


def test_new_mail_stays_recent(nightferry, dovecot):
    """Messages that no client has seen are still \\Recent afterwards, and unread."""
    source, target = dovecot(["alice"]), dovecot(["a@x.example"])
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example")], name="wave", target="other", extra=())
    box = source.maildir("alice")
    for i in range(5):
        box.add(corpus.made(i))
    folder = box.folder()
    for name in os.listdir(folder + "/cur"):  # as a delivery leaves them
        os.rename(f"{folder}/cur/{name}", f"{folder}/new/{name.split(':')[0]}")
    out = assess(nightferry)
    assert out["users"][0]["messages"] == 5
    assert len(os.listdir(folder + "/new")) == 5 and not os.listdir(folder + "/cur")
    c = RawImap(source.tls_port, tls=True, ca=source.ca)
    c.login("alice", source.users["alice"])
    lines = c.command("EXAMINE INBOX")
    assert any(b"5 RECENT" in line[0] for line in lines), lines
    assert not any("\\Seen" in m["flags"] for m in c.fetch())
    c.close()


def test_the_sign_in_breaker_holds(nightferry, dovecot):
    people = [f"u{i}" for i in range(8)]
    source, target = dovecot(people), dovecot([f"{u}@x.example" for u in people])
    ferry.add_endpoint(nightferry, source, "u0")
    ferry.add_imap_target(nightferry, target, "u0@x.example")
    ferry.add_batch(nightferry, [(u, "wrong", f"{u}@x.example") for u in people], name="wave", target="other", extra=())
    out = assess(nightferry, "--concurrency", "8", "--source-only", code=77)
    assert [u["error_kind"] for u in out["users"]].count("credentials") == 3 and out["not_looked_at"] == 5
    assert "paused" in out["ended"]
    # while it is paused nobody is tried
    out = assess(nightferry, "--source-only", code=77)
    assert out["looked_at"] == 0
    assert "endpoint test" in nightferry.run("batch", "assess", "wave", "--source-only", code=77).out


def test_a_host_that_is_down_is_not_asked_for_everybody(nightferry, dovecot):
    people = [f"u{i}" for i in range(20)]
    source, target = dovecot(people), dovecot([f"{u}@x.example" for u in people])
    ferry.add_endpoint(nightferry, source, "u0", extra=("--retry-delay", "1ms"))
    ferry.add_imap_target(nightferry, target, "u0@x.example")
    ferry.add_batch(nightferry, [(u, f"pw-{u}", f"{u}@x.example") for u in people], name="wave", target="other", extra=())
    source.stop()
    out = assess(nightferry, "--source-only", code=69)
    assert "could not be reached" in out["ended"] and out["not_looked_at"] > 10


def test_the_destination_is_checked_too(nightferry, dovecot):
    source, target = dovecot(["alice", "bob"]), dovecot(["a@x.example"])
    box = source.maildir("bob")
    for i in range(4):
        box.add(corpus.made(i))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example"), ("bob", "pw-bob", "nobody@x.example")], name="wave", target="other", extra=())
    out = assess(nightferry, code=4)
    assert "destination" not in kinds(out, "alice") and kinds(out, "bob")["destination"]["weight"] == "problem"
    assert next(u for u in out["users"] if u["source_user"] == "bob")["messages"] == 4
    assess(nightferry, "--source-only")


def test_include_and_exclude_count(nightferry, dovecot):
    source, target = dovecot(["alice"]), dovecot(["a@x.example"])
    box = source.maildir("alice")
    for i in range(6):
        box.add(corpus.made(i))
        box.add(corpus.made(10 + i), ("Old", "2001"))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example")], name="wave", target="other", extra=("--exclude", "Old/*"))
    out = assess(nightferry)
    assert out["messages"] == 6 and "Old" in kinds(out, "alice")["excluded"]["text"]
    nightferry.run("batch", "start", "wave", "--wait", "--without-pilot")
    assert ferry.user_counts(nightferry, "wave")["alice"]["copied"] == 6  # as it was counted


HEAD = ("EmailAddress,UserPrincipalName,ObjectId,Type,ProxyAddresses,Licensed,QuotaBytes,UsedBytes,ImapEnabled,MaxReceiveSizeBytes,"
        "LitigationHold,RetentionHold,RecoverableItemsQuotaBytes,RecoverableItemsUsedBytes,ArchiveStatus")


def test_the_inventory_and_what_is_written(nightferry, dovecot):
    people = ["alice", "=1+calc", "carol"]
    source, target = dovecot(people), dovecot([f"u{i}@x.example" for i in range(3)])
    for person in people:
        box = source.maildir(person)
        for i in range(10):
            box.add(corpus.made(i, size=20_000))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "u0@x.example")
    ferry.add_batch(nightferry, [(p, source.users[p], f"u{i}@x.example") for i, p in enumerate(people)], name="wave", target="other", extra=())
    assess(nightferry)
    rows = [HEAD, 'u0@x.example,,,UserMailbox,"smtp:u2@x.example","True","50 GB (53,687,091,200 bytes)",0,True,,False,True,,,',
            "u1@x.example,,,UserMailbox,,False,100000,0,False,15000,False,True,,,"]
    path = nightferry.file("inventory.csv", "\ufeff" + "\r\n".join(rows) + "\r\n")
    table = os.path.join(nightferry.folder, "assessment.csv")
    out = assess(nightferry, "--stored", "--inventory", path, "--csv", table, code=4)
    assert {"inventory-licence", "inventory-room", "inventory-imap", "inventory-message-size"} <= set(kinds(out, people[1]))
    assert {"inventory-alias", "inventory-same"} <= set(kinds(out, "carol")) and set(kinds(out, "alice")) == {"inventory-same"}
    # a better inventory takes the place of the worse one
    path = nightferry.file("inventory.csv", "\n".join(["EmailAddress"] + [f"u{i}@x.example" for i in range(3)]))
    out = assess(nightferry, "--stored", "--inventory", path)
    assert not any(u["findings"] for u in out["users"])
    err = nightferry.run("batch", "assess", "wave", "--stored", "--inventory", nightferry.file("bad.csv", "EmailAddress,QuotaBytes\na@b,lots\n"),
                         code=64).err
    assert "line 2, QuotaBytes" in err and "target inventory" in err
    with open(table, encoding="utf-8-sig", newline="") as f:
        cells = list(csv.DictReader(f))
    assert len(cells) == 3 and all(not v.startswith(("=", "+", "-", "@")) for row in cells for v in row.values() if v)
    assert os.stat(table).st_mode & 0o777 == 0o600
    assert "Set-CASMailbox" in next(r for r in cells if "calc" in r["UserName"])["WhatToDo"]


def test_stored_needs_no_server(nightferry, dovecot):
    source, target = dovecot(["alice", "bob"]), dovecot(["a@x.example", "b@x.example"])
    for box in (source.maildir("alice"), source.maildir("bob")):
        for i in range(40):
            box.add(corpus.made(i))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example"), ("bob", "pw-bob", "b@x.example")], name="wave", target="other",
                    extra=("--max-concurrent", "1"))
    assert nightferry.run("batch", "assess", "wave", "--stored", code=1).out  # nothing is known yet
    first = assess(nightferry)
    source.stop()
    target.stop()
    again = assess(nightferry, "--stored")
    assert again["messages"] == 80 and again["looked_at"] == 0
    one, two = again["forecast"], assess(nightferry, "--stored", "--max-concurrent", "2")["forecast"]
    takes_one, takes_two = (f["ends_at"] - f["nights"][0]["begins_at"] for f in (one, two))  # each began at its own moment
    assert takes_two < takes_one and first["forecast"]["with_more_at_once"]["at_once"] == 2
    assert "--stored looks at no mailbox" in nightferry.run("batch", "assess", "wave", "--stored", "--user", "bob", code=64).err


@pytest.mark.parametrize("kind", ["cyrus", "courier"])
def test_other_servers(nightferry, kind, request, dovecot):
    source, target = request.getfixturevalue(kind)(["alice"]), dovecot(["a@x.example"])
    c = RawImap(source.tls_port, tls=True, ca=source.ca)
    c.login("alice", source.users["alice"])
    for i in range(12):
        body = corpus.made(i)
        c.append(b"INBOX", body, "\\Seen" if i % 2 else "")
    before = compare.snapshot(c)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", source.users["alice"], "a@x.example")], name="wave", target="other", extra=())
    out = assess(nightferry)
    assert out["messages"] == 12 and "same-folder-twice" not in kinds(out, "alice")
    assert compare.snapshot(c) == before
    c.close()


def test_windows_and_budgets_are_reckoned_with(nightferry, dovecot):
    source, target = dovecot(["alice", "bob"]), dovecot(["a@x.example", "b@x.example"])
    for name in ("alice", "bob"):
        box = source.maildir(name)
        for i in range(50):
            box.add(corpus.made(i, size=100_000))
    ferry.add_endpoint(nightferry, source, "alice", extra=("--daily-bytes", "2MB"))
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example"), ("bob", "pw-bob", "b@x.example")], name="wave", target="other",
                    extra=("--window", "daily 20:00-21:00", "--time-zone", "Asia/Karachi", "--start-after", "2090-06-01T00:00Z"))
    out = assess(nightferry)
    nights = out["forecast"]["nights"]
    # five megabytes of each, two a day, an hour a day: three nights, each an hour from eight in Karachi
    assert [n["finished"] for n in nights] == [0, 0, 2], nights
    assert all(n["begins_at"] % 86400 == 15 * 3600 and n["ends_at"] - n["begins_at"] == 3600 for n in nights)
    assert all(n["bytes"] <= 4_000_001 for n in nights)
    assert "daily budget" in out["forecast"]["binds"] and "daily-budget" in kinds(out, "alice")
    text = nightferry.run("batch", "assess", "wave", "--stored").out
    assert "night by night, in Asia/Karachi" in text and "Thu 2090-06-01 20:00-21:00" in text and "2 done: alice, bob" in text
    # a deadline that is too near
    nightferry.run("batch", "set", "wave", "--until", "2090-06-01T01:00Z")
    out = assess(nightferry, "--stored")
    assert out["forecast"]["not_done"] == 2 and out["forecast"]["ends_at"] is None
    assert "2 of 2 mailboxes" in nightferry.run("batch", "assess", "wave", "--stored").out


def test_forecast_and_fact(nightferry, dovecot):
    source, target = dovecot(["alice", "bob", "dora"]), dovecot(["a@x.example", "b@x.example", "d@x.example"])
    box = source.maildir("alice")
    for i in range(200):
        box.add(corpus.made(i, size=5_000))
    source.maildir("bob").add(corpus.made(1))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", "pw-alice", "a@x.example"), ("bob", "pw-bob", "b@x.example")], target="other")
    nothing = nightferry.run("batch", "report", "pilot", "--json").json()
    assert nothing["forecast_and_fact"] == {"forecast": None, "fact": None}
    said = assess(nightferry, batch="pilot")
    nightferry.run("batch", "start", "pilot", "--wait")
    folder = os.path.join(nightferry.folder, "report")
    report = nightferry.run("batch", "report", "pilot", "--json", "--output-dir", folder).json()
    alice = next(u for u in report["users"] if u["source_user"] == "alice")["forecast_and_fact"]
    assert alice["forecast_active_s"] == next(u for u in said["users"] if u["source_user"] == "alice")["forecast"]["active_s"]
    assert alice["done"] and alice["messages"] == 200 and 0 <= alice["active_s"] <= alice["elapsed_s"] and alice["messages_per_s"] > 0
    assert abs(alice["deviation"] - (alice["active_s"] / alice["forecast_active_s"] - 1)) < 1e-6
    whole = report["forecast_and_fact"]
    assert whole["forecast"]["mailboxes"] == 2 and whole["fact"]["messages"] == 201 and len(whole["forecast"]["nights"]) in (1, 2)  # UTC's midnight may come
    text = nightferry.run("batch", "report", "pilot").out
    assert "Forecast of " in text and "Fact: 2 mailboxes moved" in text and "forecast " in text.split("alice", 1)[1]
    assert "forecast of " in nightferry.run("batch", "status", "pilot").out
    with open(os.path.join(folder, "users.csv"), encoding="utf-8-sig", newline="") as f:
        rows = {r["UserName"]: r for r in csv.DictReader(f)}
    assert float(rows["alice"]["ForecastSeconds"]) == alice["forecast_active_s"] and rows["alice"]["MessagesPerSecond"]

    # what is moved is not forecast again, and its forecast stays to be compared; others are reckoned with what was measured, if it was enough
    again = assess(nightferry, batch="pilot")
    assert again["forecast"] is None
    report = nightferry.run("batch", "report", "pilot", "--json").json()
    assert next(u for u in report["users"] if u["source_user"] == "alice")["forecast_and_fact"]["forecast_active_s"] == alice["forecast_active_s"]
    ferry.add_batch(nightferry, [("dora", "pw-dora", "d@x.example")], name="wave", target="other", extra=())
    origins = {limit["origin"] for limit in assess(nightferry)["forecast"]["basis"]["limits"]}
    assert origins == ({"measured"} if whole["fact"]["active_s"] >= 5 else {"assumed"})


def test_what_one_route_refuses_another_takes(nightferry, dovecot, exosim_for):
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    box = source.maildir("alice")
    for i in range(20):
        box.add(corpus.made(i))
    box.add(corpus.made(99, size=5_000_000))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example",
                       extra=("--routes", "mime,imap", "--graph-url", exosim.graph_url, "--max-message-size", "36MB"))
    ferry.add_batch(nightferry, [("alice", "pw-alice", "alice@contoso.example")], name="wave", extra=())
    out = assess(nightferry)
    assert out["users"][0]["too_big"] == 0 and out["messages"] == 21, out
    limits = out["forecast"]["basis"]["limits"]
    assert any("150 MB per 5 minutes" in limit["text"] and limit["origin"] == "published" for limit in limits)
    nightferry.run("target", "set", "contoso", "--routes", "mime", "--probe-size", 0)
    out = assess(nightferry, code=2)
    assert out["users"][0]["too_big"] == 1 and "imap" in kinds(out, "alice")["too-big"]["remedy"]
    # the destination is asked by every route
    exosim.stop()
    out = assess(nightferry, code=4)
    assert kinds(out, "alice")["destination"]["weight"] == "problem" and "route mime" in kinds(out, "alice")["destination"]["text"]


GERMAN = {"Sent": "Gesendete Elemente", "Drafts": "Entwürfe", "Trash": "Gelöschte Elemente", "Junk": "Junk-E-Mail", "Archive": "Archiv"}


@pytest.mark.parametrize("routes", ["imap", "mime", "imap,mime"])
def test_it_maps_as_the_run_does(nightferry, dovecot, exosim_for, routes):
    """A destination in German: the assessment names the folders that the run then fills."""
    source = dovecot(["alice"])
    exosim = exosim_for(dovecot(["alice@contoso.example"], special_use=False), options=("--language", "de"))
    for i, name in enumerate(GERMAN):
        source.maildir("alice").add(corpus.made(i), (name,))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example", extra=("--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", source.users["alice"], "alice@contoso.example")], name="wave", extra=("--pilot",))
    told = kinds(assess(nightferry), "alice")["own-names"]["text"]
    nightferry.run("batch", "start", "wave", "--wait")
    verified = nightferry.run("batch", "verify", "wave", "--json").json()
    arrived = {f["source_folder"]: f["destination_folder"] for f in verified["users"][0]["folders"] if f["source_folder"] in GERMAN}
    assert arrived == GERMAN, verified
    for name, there in GERMAN.items():
        assert f"{name} as {there}" in told.replace('"', ""), told


@pytest.mark.parametrize("prefix, separator", [("", "/"), ("INBOX.", ".")])
def test_another_host_names_its_own_folders(nightferry, dovecot, prefix, separator):
    """A destination that shows special-use gets the mail into those folders, as the assessment says; a name alone means nothing there."""
    own = {"Sent Items": "Gesendete Objekte", "Trash": "Papierkorb", "Junk": "Spam"}
    source = dovecot(["alice"], special_use=(("Sent Items", "\\Sent"), ("Trash", "\\Trash"), ("Junk", "\\Junk"), ("Drafts", "\\Drafts")))
    target = dovecot(["a@x.example"], prefix=prefix, separator=separator,
                     special_use=(("Gesendete Objekte", "\\Sent"), ("Papierkorb", "\\Trash"), ("Spam", "\\Junk")))
    for i, name in enumerate((*own, "Drafts")):
        source.maildir("alice").add(corpus.made(i), (name,))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, target, "a@x.example")
    ferry.add_batch(nightferry, [("alice", source.users["alice"], "a@x.example")], target="other")
    told = kinds(assess(nightferry, batch="pilot"), "alice")["own-names"]["text"]
    assert all(f'"{name}" as "{there}"' in told for name, there in own.items()) and "Drafts" not in told, told
    nightferry.run("batch", "start", "pilot", "--wait")
    verified = nightferry.run("batch", "verify", "pilot", "--json").json()
    arrived = {f["source_folder"]: f["destination_folder"] for f in verified["users"][0]["folders"]}
    assert arrived == {"INBOX": "INBOX", "Drafts": "Drafts", **own}, arrived
    nightferry.run("batch", "sync", "pilot", "--wait")
    assert ferry.verify(nightferry)[0] == "Perfect"
