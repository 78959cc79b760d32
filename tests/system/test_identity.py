"""An address is resolved once to the mailbox that the destination knows by it: an alias is said to be one, and two rows never fill one mailbox."""
import ferry
import watch
from servers import corpus

ALICE, BOB, ALIAS = "alice@contoso.example", "bob@contoso.example", "ali@contoso.example"
MADE = 5


def world(nf, dovecot, exosim_for, rows):
    source, behind = dovecot(["alice", "bob"]), dovecot([ALICE, BOB], special_use=False)
    exosim = exosim_for(behind)
    exosim.mailbox(ALICE, aliases=[ALIAS])
    for user in ("alice", "bob"):
        box = source.maildir(user)
        for i in range(MADE):
            box.add(corpus.made(i + (100 if user == "bob" else 0)), flags=("\\Seen",))
    ferry.add_endpoint(nf, source, "alice")
    ferry.add_exchange(nf, exosim, ALICE, extra=("--settle-after", "300ms", "--routes", "mime", "--graph-url", exosim.graph_url, "--probe-size", "0"))
    ferry.add_batch(nf, [(user, source.users[user], address) for user, address in rows])
    return source, behind, exosim


def test_an_alias_is_said_to_be_one(nightferry, dovecot, exosim_for, compare_mailboxes):
    source, behind, _ = world(nightferry, dovecot, exosim_for, [("alice", ALIAS)])
    nightferry.run("batch", "start", "pilot", "--wait")
    user = nightferry.run("batch", "report", "pilot", "--json").json()["users"][0]
    notes = [n["text"] for n in user["notes"] if n["kind"] == "alias"]
    assert len(notes) == 1 and ALIAS in notes[0] and ALICE in notes[0], user
    compare_mailboxes((source, "alice"), (behind, ALICE), dates=False)


def test_two_rows_of_one_mailbox_are_refused(nightferry, dovecot, exosim_for, compare_mailboxes):
    """Whichever comes first has it; the other one fails before anything is put, and names it."""
    source, behind, _ = world(nightferry, dovecot, exosim_for, [("alice", ALICE), ("bob", ALIAS)])
    nightferry.run("batch", "start", "pilot", "--wait", code=None)
    rows = watch.users(nightferry)
    failed = [u for u in rows.values() if u["state"] == "Failed"]
    synced = [u for u in rows.values() if u["state"] == "Synced"]
    assert len(failed) == 1 and len(synced) == 1, rows
    assert failed[0]["counts"]["copied"] == 0 and synced[0]["counts"]["copied"] == MADE
    assert synced[0]["address"] in failed[0]["error"] and "alias" in failed[0]["error"], failed
    compare_mailboxes((source, synced[0]["source_user"]), (behind, ALICE), dates=False)
