"""What can go wrong with the state file, the vault's key and the disk: one clear error or a cure, nothing lost and nothing doubled."""
import os
import random
import shutil
import sqlite3
import subprocess

import ferry
import pytest
import watch
from servers import corpus, local

STORE, USAGE = 74, 64


def small_state(nf):
    """A state with an endpoint and no server behind it."""
    nf.run("endpoint", "create", "src", "--host", "127.0.0.1", "--port", "1", "--test-user", "a", "--password-file", nf.secret_file("pw"),
           "--skip-test")


def one_error(result, code, *words):
    """One error in at most three lines, with these words, and nothing that looks like a crash."""
    assert result.code == code, result
    assert result.err.count("nightferry:") == 1 and len(result.err.strip().splitlines()) <= 3, result
    for word in words:
        assert word in result.err, result


def as_ordinary(nf):
    """Rights mean something only to somebody who is not root: the program runs as another user from here on."""
    if os.getuid() != 0:
        return
    binary = os.path.join(nf.folder, "nightferry")
    shutil.copy(nf.binary, binary)
    nf.binary = os.path.join(nf.folder, "as-user")
    with open(nf.binary, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups {binary} "$@"\n')
    os.chmod(nf.binary, 0o755)
    for folder, _, files in os.walk(nf.folder):
        for path in [folder] + [os.path.join(folder, f) for f in files]:
            os.chown(path, 65534, 65534)


def test_not_found_says_where_it_looked(nightferry):
    del nightferry.env["NIGHTFERRY_STATE"]
    for args in (("batch", "list"), ("batch", "start", "x"), ("run", "--once"), ("endpoint", "list")):
        result = nightferry.run(*args, code=USAGE)
        one_error(result, USAGE, "/var/lib/nightferry/state.db", nightferry.env["XDG_STATE_HOME"] + "/nightferry/state.db", "--state")
    result = nightferry.run("batch", "list", "--state", "/nowhere/x.db", code=USAGE)
    one_error(result, USAGE, "/nowhere/x.db", "--state")
    error = nightferry.run("batch", "list", "--json", code=USAGE).json()["error"]
    assert error["kind"] == "not-found"
    assert not os.path.exists(nightferry.env["XDG_STATE_HOME"])


def test_read_only_state(nightferry):
    as_ordinary(nightferry)
    folder = os.path.dirname(nightferry.state)
    secret = nightferry.secret_file("pw")
    os.chmod(secret, 0o600)
    if os.getuid() == 0:
        os.chown(secret, 65534, 65534)
    nightferry.run("endpoint", "create", "src", "--host", "127.0.0.1", "--port", "1", "--test-user", "a", "--password-file", secret, "--skip-test")
    os.chmod(nightferry.state, 0o400)
    for args in (("endpoint", "list"), ("run", "--once"), ("endpoint", "set", "src", "--max-mailboxes", "3")):
        one_error(nightferry.run(*args, code=STORE), STORE, nightferry.state)
    os.chmod(nightferry.state, 0o600)
    for name in os.listdir(folder):
        if name != "state.db":
            os.remove(os.path.join(folder, name))
    os.chmod(folder, 0o500)
    one_error(nightferry.run("endpoint", "list", code=STORE), STORE, nightferry.state, "writable")
    one_error(nightferry.run("run", "--once", code=STORE), STORE, nightferry.state)
    os.chmod(folder, 0o700)
    assert "src" in nightferry.run("endpoint", "list").out


@pytest.mark.parametrize("name", ["cut at 0", "cut at 1", "cut at 100", "cut at 5000", "cut at half", "random", "text", "header only", "pages overwritten",
                                  "folder", "fifo"])
def test_damaged_state(nightferry, name):
    small_state(nightferry)
    path, size = nightferry.state, os.path.getsize(nightferry.state)
    for suffix in ("-wal", "-shm"):
        assert not os.path.exists(path + suffix), "the last connection leaves one file"
    if name.startswith("cut"):
        os.truncate(path, {"0": 0, "1": 1, "100": 100, "5000": 5000, "half": size // 2}[name.split()[-1]])
    elif name == "random":
        with open(path, "wb") as f:
            f.write(random.Random(1).randbytes(size))
    elif name == "text":
        with open(path, "w", encoding="ascii") as f:
            f.write("EmailAddress,UserName,Password\n" * 100)
    elif name == "header only":
        with open(path, "r+b") as f:
            f.seek(100)
            f.write(bytes(size - 100))
    elif name == "pages overwritten":
        with open(path, "r+b") as f:
            f.seek(4096 * 3)
            f.write(random.Random(2).randbytes(size - 4096 * 3))
    else:
        os.remove(path)
        (os.mkdir if name == "folder" else os.mkfifo)(path)
    before = open(path, "rb").read() if os.path.isfile(path) else None
    for args in (("endpoint", "list"), ("endpoint", "show", "src"), ("batch", "start", "x"), ("run", "--once")):
        one_error(nightferry.run(*args, code=STORE, timeout=20), STORE, path)
    assert nightferry.run("endpoint", "list", "--json", code=STORE).json()["error"]["kind"] == "store"
    assert before is None or open(path, "rb").read() == before, "a damaged file is evidence: it is not touched"


def test_foreign_and_newer_files(nightferry):
    small_state(nightferry)
    good = open(nightferry.state, "rb").read()
    # somebody else's SQLite file, with and without an application id
    for setup in ("CREATE TABLE bookmark (url TEXT)", "PRAGMA application_id = 1; CREATE TABLE endpoint (id INTEGER, name TEXT)",
                  "PRAGMA user_version = 1"):
        os.remove(nightferry.state)
        db = sqlite3.connect(nightferry.state)
        db.executescript(setup)
        db.close()
        before = open(nightferry.state, "rb").read()
        one_error(nightferry.run("endpoint", "list", code=STORE), STORE, "not a nightferry state file")
        one_error(nightferry.run("endpoint", "create", "x", "--host", "127.0.0.1", "--test-user", "a", "--password-file",
                                 nightferry.secret_file("x"), "--skip-test", code=STORE), STORE, "not a nightferry state file")
        assert open(nightferry.state, "rb").read() == before
    # of a later version of this program
    with open(nightferry.state, "wb") as f:
        f.write(good)
    db = sqlite3.connect(nightferry.state)
    db.execute("PRAGMA user_version = 9999")
    db.close()
    before = open(nightferry.state, "rb").read()
    one_error(nightferry.run("endpoint", "list", code=STORE), STORE, "newer")
    one_error(nightferry.run("run", "--once", code=STORE), STORE, "newer")
    assert open(nightferry.state, "rb").read() == before


def test_vault_key(nightferry, dovecot, exosim_for):
    """Lost, wrong, open to others, garbage: each is said with the file's name, nothing is moved, and the right key cures it."""
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    source.maildir("alice").add(corpus.made(1))
    watch.prepare(nightferry, source, exosim)
    key = os.path.join(nightferry.env["XDG_CONFIG_HOME"], "nightferry", "vault.key")
    right = open(key, encoding="ascii").read()
    assert os.stat(key).st_mode & 0o777 == 0o600

    def put(text, mode=0o600):
        with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(key, mode)
    os.remove(key)
    for damage, word in ((lambda: None, "is not at"), (lambda: put("0" * 64 + "\n"), "sealed with another key"), (lambda: put(right, 0o644), "chmod 600"),
                         (lambda: put("hello\n"), "does not hold a key"), (lambda: put(""), "does not hold a key")):
        damage()
        one_error(nightferry.run("endpoint", "test", "src", code=STORE), STORE, word)
        assert word in nightferry.run("target", "test", "contoso", code=STORE).out
        assert word in nightferry.run("batch", "start", "pilot", "--wait", code=STORE).err
        row = watch.users(nightferry)["alice"]
        assert row["error_kind"] == "vault" and word in row["error"], row
        assert row["counts"]["copied"] == 0
        assert word in nightferry.run("doctor", "--offline", code=None).out
    put(right)
    nightferry.run("batch", "start", "pilot", "--wait")
    watch.perfect(nightferry)


def test_second_engine(nightferry, dovecot, exosim_for):
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    for i in range(60):
        source.maildir("alice").add(corpus.made(i))
    watch.prepare(nightferry, source, exosim)
    first = nightferry.start("run")
    watch.worker(first)
    watch.wait_for(lambda: os.path.exists(nightferry.state + ".lock") and local.read(nightferry.state + ".lock").strip() not in ("", "0"))
    second = nightferry.run("run", code=USAGE, timeout=30)
    assert "another engine" in second.err and second.err.count("error") <= 1 and "Traceback" not in second.err, second
    exosim.ask("/fault", {"kind": "slow", "ms": 100, "count": 20})
    looking = nightferry.run("batch", "start", "pilot", "--wait")
    assert "looking on" in looking.out and first.poll() is None
    first.terminate()
    assert nightferry.finish(first, 20).code == 0
    watch.perfect(nightferry)


def test_lost_wal(nightferry, dovecot, exosim_for, compare_mailboxes):
    """The program is killed, and the file beside the state that holds its last writes is lost: what arrived is not copied again."""
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    for i in range(450):   # more than is intended ahead
        source.maildir("alice").add(corpus.made(i, message_id=i % 4 != 0, size=40_000), date=1_000_000_000 + i)
    watch.prepare(nightferry, source, exosim)
    nearly_still = exosim.fault("slow", ms=500, nth=16, count=0)
    process = nightferry.start("batch", "start", "pilot", "--wait")
    watch.wait_for(lambda: exosim.fired(nearly_still))
    db = sqlite3.connect(nightferry.state)   # from here on nothing more of the log reaches the file itself
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM item").fetchall()
    count = watch.appended(exosim)
    exosim.clear_faults()
    exosim.fault("slow", ms=8, count=0)
    watch.wait_for(lambda: watch.appended(exosim) > count + 270)
    process.kill()
    nightferry.finish(process)
    assert os.path.getsize(nightferry.state + "-wal") > 0
    with open(nightferry.state, "rb") as f:
        lost = f.read()
    db.close()                               # (it would take the log into the file)
    with open(nightferry.state, "wb") as f:
        f.write(lost)
    assert not os.path.exists(nightferry.state + "-wal")
    known = watch.users(nightferry)["alice"]["counts"]
    assert known["copied"] + known["in_doubt"] + 50 < watch.appended(exosim), known
    exosim.clear_faults()
    nightferry.run("batch", "start", "pilot", "--wait")
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(octets): a folder on a file system of that size, or None where mounts are not allowed."""
    mounted = []

    def make(size):
        folder = str(tmp_path / f"disk{len(mounted)}")
        os.mkdir(folder)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            return None
        mounted.append(folder)
        return folder
    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False)


def limited(nf, blocks):
    """The program under a limit on the size of files: another disk that is full, for where nothing can be mounted."""
    path = os.path.join(nf.folder, "limited")
    with open(path, "w", encoding="ascii") as f:
        f.write(f'#!/bin/bash\nulimit -f {blocks}\nexec {nf.binary} "$@"\n')
    os.chmod(path, 0o755)
    return path


@pytest.mark.parametrize("what", ["store", "spool"])
@pytest.mark.parametrize("how", ["disk", "limit"])
def test_disk_full(nightferry, dovecot, exosim_for, compare_mailboxes, small_disk, what, how):
    source, behind = dovecot(["alice", "bob"]), dovecot(["alice@contoso.example", "bob@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    for user in ("alice", "bob"):
        if what == "store":
            for i in range(700):
                source.maildir(user).add(corpus.made(i, size=600), date=1_000_000_000 + i)
        else:
            for i in range(20):
                source.maildir(user).add(corpus.made(i))
            source.maildir(user).add(corpus.made(99, size=9_000_000))
    folder, binary = os.path.dirname(nightferry.state), nightferry.binary
    if how == "disk":
        folder = small_disk("600k" if what == "store" else "6m")
        if folder is None:
            pytest.skip("NOT RUN: nothing can be mounted here; the test with a limit on files covers it")
        nightferry.env["NIGHTFERRY_STATE"] = nightferry.state = folder + "/state.db"
    watch.prepare(nightferry, source, exosim, names=("alice", "bob"))
    if how == "limit":
        binary = limited(nightferry, 600 if what == "store" else 6000)
    result = nightferry.run("batch", "start", "pilot", "--wait", code=STORE, binary=binary, timeout=60)
    assert result.err.count("nightferry:") == 1 and ("room" in result.err or "ulimit" in result.err), result
    error = nightferry.run("batch", "start", "pilot", "--wait", "--json", code=STORE, binary=binary, timeout=60).json()["error"]
    assert error["kind"] == "disk", error
    # there is room again
    if how == "disk":
        subprocess.run(["mount", "-o", "remount,size=60m", folder], check=True)
    nightferry.run("batch", "start", "pilot", "--wait")
    for user in ("alice", "bob"):
        compare_mailboxes((source, user), (behind, f"{user}@contoso.example"))
    watch.perfect(nightferry)
