"""Folders whose names meet others: at the destination beforehand, or at the source later."""
import ferry
import pytest
from servers import corpus
from servers.rawimap import RawImap, decoded
from test_routes import ALICE


def subjects(server, user):
    """{folder's path: the subjects in it, sorted} of the folders that hold mail."""
    c = RawImap(server.tls_port, tls=True, ca=server.ca)
    c.login(user, server.users[user])
    found = {}
    for raw, separator, _ in c.folders():
        c.examine(raw)
        messages = c.fetch()
        if messages:
            found["/".join(decoded(raw, separator))] = sorted(m["body"].split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode() for m in messages)
    c.close()
    return found


def note(text):
    return f"From: a@example.org\r\nSubject: {text}\r\nMessage-ID: <{text}@folders.example>\r\n\r\n{text}\r\n".encode()


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_a_folder_that_is_there_in_another_case(nightferry, dovecot, exosim_for, routes):
    """Exchange compares names without case, beyond ASCII too: CREATE of "ärger" says that it exists, as "Ärger"."""
    source, behind = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    for i, name in enumerate((("ärger",), ("Strasse",), ("ПРИВЕТ", "x"))):
        source.maildir("alice").add(note(f"new{i}"), name)
    for i, name in enumerate((("Ärger",), ("Straße",), ("привет",))):
        behind.maildir(ALICE).add(note(f"old{i}"), name)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    nightferry.run("batch", "start", "pilot", "--wait")
    assert subjects(behind, ALICE) == {"Ärger": ["new0", "old0"], "Straße": ["new1", "old1"], "привет": ["old2"], "привет/x": ["new2"]}
    nightferry.run("batch", "sync", "pilot", "--wait")
    assert sum(len(v) for v in subjects(behind, ALICE).values()) == 6


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_names_that_only_the_destination_holds_for_one(nightferry, dovecot, exosim_for, routes):
    """Two source folders never meet in one there unseen, and none fails for ever."""
    source, behind = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    behind.maildir(ALICE).add(note("old"), ("Oﬃce",))
    for i, name in enumerate(("ﬁx", "FIX", "office", "ΟΔΟΣ", "οδος", "a\uf02fb", "µ", "ısı")):
        source.maildir("alice").add(note(f"m{i}"), (name,))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    for verb in ("start", "sync"):
        nightferry.run("batch", verb, "pilot", "--wait")
        found = subjects(behind, ALICE)
        assert {k: v for k, v in found.items() if "(2)" not in k and k.lower() not in ("fix", "ﬁx", "οδος", "οδοσ")} == {
            "Oﬃce": ["m2", "old"], "a_b": ["m5"], "µ": ["m6"], "ısı": ["m7"]}, found
        assert sorted(v for k, v in found.items() if k.lower() not in ("oﬃce", "a_b", "µ", "ısı")) == [["m0"], ["m1"], ["m3"], ["m4"]], found
    assert ferry.verify(nightferry)[0] == "Perfect"


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_a_comparison_that_we_do_not_know(nightferry, dovecot, exosim_for, routes):
    """The destination says that a name is taken, and nobody here knows by which folder: that one is told with what to do, all others move."""
    source, behind = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    for i, name in enumerate(("\U00010c80", "\U00010cc0", "z")):  # a letter of Old Hungarian, large and small
        source.maildir("alice").add(note(f"m{i}"), (name,))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    out = nightferry.run("batch", "start", "pilot", "--wait", code=1).out
    assert "rename the folder at the source" in out, out
    found = subjects(behind, ALICE)
    assert found.pop("z") == ["m2"] and list(found.values()) in ([["m0"]], [["m1"]]), found


@pytest.mark.parametrize("special_use, sent, other", [(None, "Sent Items", "Gesendet"), ((("Gesendet", "\\Sent"),), "Gesendet", "Sent Items")])
@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_two_folders_of_sent_mail(nightferry, dovecot, exosim_for, routes, special_use, sent, other):
    """The one with the attribute goes into Exchange's own, else the one of the very name; the other keeps its own, and that is told."""
    source, behind = dovecot(["alice"], special_use=special_use), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    source.maildir("alice").add(note("taken"), (sent,))
    source.maildir("alice").add(note("beside"), (other,))
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    own = "Sent Items (2)" if other == "Sent Items" else other
    for verb in ("start", "sync"):
        nightferry.run("batch", verb, "pilot", "--wait")
        assert subjects(behind, ALICE) == {"Sent Items": ["taken"], own: ["beside"]}
        notes = [n["text"] for n in nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["notes"] if n["kind"] == "folder-role"]
        assert notes == [f'folder "{other}" arrives as "{own}": the destination\'s "Sent Items" is for one folder, and "{sent}" goes there'], notes
    assert ferry.verify(nightferry)[0] == "Perfect"


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_a_folder_keeps_its_place_when_others_come(nightferry, dovecot, exosim_for, routes):
    """What comes to the source later takes neither the name nor the role of a folder that went there."""
    source, behind = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    box = source.maildir("alice")
    for i, name in enumerate((("work",), ("work", "Sub"), ("Sent Messages",))):
        box.add(note(f"a{i}"), name)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    nightferry.run("batch", "start", "pilot", "--wait")
    for i, name in enumerate((("WORK",), ("WORK", "Sub"), ("Sent",), ("work",), ("work", "Sub"), ("Sent Messages",))):
        box.add(note(f"b{i}"), name)
    for _ in range(2):
        nightferry.run("batch", "sync", "pilot", "--wait")
        assert subjects(behind, ALICE) == {"work": ["a0", "b3"], "work/Sub": ["a1", "b4"], "Sent Items": ["a2", "b5"],
                                           "WORK (2)": ["b0"], "WORK (2)/Sub": ["b1"], "Sent": ["b2"]}
    assert ferry.verify(nightferry)[0] == "Perfect"


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_long_names_in_long_names(nightferry, dovecot, exosim_for, routes):
    """A whole path may be longer than any one name."""
    source, behind = dovecot(["alice"], special_use=False, layout="fs"), dovecot([ALICE], special_use=False, layout="fs")
    exosim = exosim_for(behind)
    longest = tuple("ж" * 89 + str(i) for i in range(8)) # 1,447 octets, and 1,943 as IMAP has it
    wanted = {}
    for n in (1, 5, 6, 8):
        source.maildir("alice").add(note(f"deep{n}"), longest[:n])
        wanted["/".join(longest[:n])] = [f"deep{n}"]
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    for verb in ("start", "sync"):
        nightferry.run("batch", verb, "pilot", "--wait")
        assert subjects(behind, ALICE) == wanted
    assert ferry.verify(nightferry)[0] == "Perfect"


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_mail_in_a_folder_whose_name_says_otherwise(nightferry, dovecot, exosim_for, routes):
    """It stays behind, as a calendar would, but never unnoticed: a person hears of it everywhere, and can have it moved."""
    source, behind = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    box = source.maildir("alice")
    for i, name in enumerate(((), ("Taken",), ("Notes", "2014"), ("Notes", "2014"))):
        box.add(note(f"m{i}"), name)
    box.folder("Tasks")
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])
    out = nightferry.run("batch", "start", "pilot", "--wait", code=2).out
    assert "left out: nightferry batch report" in out, out
    assert subjects(behind, ALICE) == {"INBOX": ["m0"]}
    assert "2 folders with messages not moved" in nightferry.run("batch", "status", "pilot").out
    notes = {n["text"].split('"')[1]: n for n in nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["notes"]}
    assert {name: n["kind"] for name, n in notes.items()} == {"Taken": "folder-left", "Notes/2014": "folder-left", "Tasks": "folder-skipped"}
    assert "holds 2 messages" in notes["Notes/2014"]["text"] and "--include" in notes["Taken"]["text"], notes
    assert ferry.verify(nightferry)[0] == "Good"
    assert "Next: nightferry batch report pilot, then nightferry batch set pilot --acknowledge-skips" in nightferry.run("batch", "status", "pilot").out
    ferry.add_batch(nightferry, [("alice", "pw-alice", "other@contoso.example")], name="rest", extra=())
    assert "acknowledge" in nightferry.run("batch", "start", "rest", code=None).err  # no clean pilot yet
    nightferry.run("batch", "set", "pilot", "--include", "*")
    nightferry.run("batch", "sync", "pilot", "--wait")
    assert subjects(behind, ALICE) == {"INBOX": ["m0"], "Taken": ["m1"], "Notes_/2014": ["m2", "m3"]}
    kinds = {n["kind"] for n in nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["notes"]}
    assert kinds == {"folder-renamed"}, kinds
    assert ferry.verify(nightferry)[0] == "Perfect"


def test_a_pattern_that_matches_no_folder(nightferry, dovecot):
    """A slip of the pen in --include would move nothing and look done."""
    source, other = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    box = source.maildir("alice")
    for i, name in enumerate(((), ("Reports",), ("Work", "Reports"))):
        box.add(note(f"m{i}"), name)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_imap_target(nightferry, other, ALICE)
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)], target="other", extra=("--pilot", "--include", "INBOX,Reprots", "--exclude", "Spam"))
    assert 'no folder matches "Reprots" of --include: nothing is moved for it; names that look like it: "Reports"' in nightferry.run("batch", "assess", "pilot", code=2).out
    out = nightferry.run("batch", "start", "pilot", "--wait", code=2).out
    assert "left out: nightferry batch report" in out, out
    assert subjects(other, ALICE) == {"INBOX": ["m0"]}
    assert "a pattern of --include matches no folder: nightferry batch report pilot" in nightferry.run("batch", "status", "pilot").out

    def told():
        notes = nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["notes"]
        return {n["kind"]: n["text"] for n in notes if "unmatched" in n["kind"]}
    assert '"Reports"' in told()["include-unmatched"] and '"Spam"' in told()["exclude-unmatched"], told()
    assert ferry.verify(nightferry)[0] == "Good"
    nightferry.run("batch", "set", "pilot", "--include", "INBOX,*Reports")
    nightferry.run("batch", "sync", "pilot", "--wait")
    assert subjects(other, ALICE) == {"INBOX": ["m0"], "Reports": ["m1"], "Work/Reports": ["m2"]}
    assert set(told()) == {"exclude-unmatched"}  # no reason for less than Perfect
    assert ferry.verify(nightferry)[0] == "Perfect"


@pytest.mark.parametrize("routes", ["imap", "mime"])
def test_a_folder_that_is_renamed_between_passes(nightferry, dovecot, exosim_for, routes):
    """Its mail arrives again under the new name, and that is told; not so where the person renamed it at the destination too."""
    source, behind = dovecot(["alice"], special_use=False), dovecot([ALICE], special_use=False)
    exosim = exosim_for(behind)
    box = source.maildir("alice")
    for i, name in enumerate((("Old",), ("Old",), ("Both",), ("Stays",), ("Gone",))):
        box.add(note(f"m{i}"), name)
    ferry.add_endpoint(nightferry, source, "alice")
    ferry.add_exchange(nightferry, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", routes, "--graph-url", exosim.graph_url))
    ferry.add_batch(nightferry, [("alice", "pw-alice", ALICE)])

    def told():
        notes = nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]["notes"]
        return [n["text"] for n in notes if n["kind"] == "folder-renamed-at-source"]
    nightferry.run("batch", "start", "pilot", "--wait")
    assert told() == []
    for server, user, renames in ((source, "alice", ("RENAME Old New", "RENAME Both Two", "DELETE Gone")), (behind, ALICE, ("RENAME Both Two",))):
        c = RawImap(server.tls_port, tls=True, ca=server.ca)
        c.login(user, server.users[user])
        for command in renames:
            c.command(command)
        c.close()
    for _ in range(2):
        nightferry.run("batch", "sync", "pilot", "--wait")
        assert subjects(behind, ALICE) == {"Old": ["m0", "m1"], "New": ["m0", "m1"], "Two": ["m2"], "Stays": ["m3"], "Gone": ["m4"]}
        texts = told()
        assert len(texts) == 1 and texts[0].startswith('folder "New" was renamed') and 'in "Old" from before and in "New"' in texts[0], texts
