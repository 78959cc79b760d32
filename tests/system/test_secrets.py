"""No secret is ever where it does not belong: after runs with failures, wrong passwords, -v and --json every file that was written, all that was
printed, and what other processes could see of ours meanwhile are searched for each of them, in clear and as base64. And nothing unexpected is
opened or contacted."""
import base64
import os
import re
import shutil
import subprocess
import threading
import time

import ferry
import pytest
import watch
from servers import corpus, local

PASSWORDS = {"alice": "Q7!alice-Zx9~source", "bob": "Q7!bob-Zx9~source", "carol": "Q7!carol-Zx9~source"}
WRONG = "Q7!wrong-Zx9~typed"
CLIENT_SECRET = "Q7~client-Zx9.secret_value"
CLIENT = "99999999-8888-7777-6666-555555555555"


def forms(secret):
    """A secret in clear, in hexadecimal and at each of base64's three alignments."""
    data = secret if isinstance(secret, bytes) else secret.encode()
    found = [data, data.hex().encode()]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data)
        found.append(text[{0: 0, 1: 2, 2: 3}[shift]:len(text) - 4])
    return found


def search(data, needles, where):
    for name, secret in needles.items():
        for form in forms(secret):
            assert form not in data, f"{name} is in {where}: ...{data[max(0, data.index(form) - 60):data.index(form)]!r}"
    # access tokens (JWT), and SASL answers that hold one
    token = re.search(rb"eyJ[A-Za-z0-9_-]{16,}\.|dXNlcj[0-9A-Za-z+/]{24,}|Bearer [A-Za-z0-9]", data)
    assert not token, f"a token is in {where}: {token.group(0)[:40]!r}"


class Watcher(threading.Thread):
    """Looks at all processes below one, as a neighbour on the machine could."""

    def __init__(self, process):
        super().__init__()
        self.process, self.seen, self.bad, self.pids, self.young = process, b"", [], set(), {}

    def run(self):
        while self.process.poll() is None:
            todo = [self.process.pid]
            while todo:
                pid = todo.pop()
                try:
                    todo += watch.children(pid)
                    for name in ("cmdline", "environ"):
                        with open(f"/proc/{pid}/{name}", "rb") as f:
                            self.seen += f.read() + b"\n"
                    if "nightferry" not in local.read(f"/proc/{pid}/cmdline").split("\0")[0]:
                        continue
                    self.pids.add(pid)
                    limits = re.search(r"Max core file size\s+(\S+)\s+(\S+)", local.read(f"/proc/{pid}/limits"))
                    # not dumpable: its files in /proc belong to root whoever it runs as (proc(5)); a fresh process is so soon, if slowly
                    if (limits and limits.groups() != ("0", "0")) or os.stat(f"/proc/{pid}/maps").st_uid != 0:
                        self.young[pid] = self.young.get(pid, time.monotonic())
                        self.pids.discard(pid)
                        if time.monotonic() - self.young[pid] > 10:
                            self.bad.append(pid)
                except OSError:
                    pass
            time.sleep(0.02)


def written_files(nf):
    """All below the program's home but what the test itself put there."""
    for folder, _, files in os.walk(nf.folder):
        for name in files:
            if not re.match(r"secret\d+$|nightferry$|as-user$|strace|app\.", name):
                yield os.path.join(folder, name)


@pytest.fixture
def application(tmp_path):
    """(certificate, private key) of an application."""
    cert, key = str(tmp_path / "app.pem"), str(tmp_path / "app.key")
    local.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=app", "-keyout", key, "-out", cert)
    return cert, key


def chown_all(nf):
    if os.getuid() == 0:
        for folder, _, files in os.walk(nf.folder):
            for path in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(path, 65534, 65534)


def ordinary(nf):
    """As somebody whose /proc files are not root's anyway."""
    if os.getuid() == 0:
        shutil.copy(nf.binary, os.path.join(nf.folder, "nightferry"))
        with open(os.path.join(nf.folder, "as-user"), "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups {nf.folder}/nightferry "$@"\n')
        os.chmod(os.path.join(nf.folder, "as-user"), 0o755)
        nf.binary = os.path.join(nf.folder, "as-user")
        make = nf.secret_file

        def secret_file(*args, **kw):
            path = make(*args, **kw)
            os.chown(path, 65534, 65534)
            return path
        nf.secret_file = secret_file
        chown_all(nf)


def watched(nf, *args, code=0):
    process = nf.start(*args)
    watcher = Watcher(process)
    watcher.start()
    result = nf.finish(process)
    watcher.join()
    wanted = code if isinstance(code, tuple) else (code,)
    assert result.code in wanted, result
    assert watcher.pids and not watcher.bad, f"these could be dumped: {watcher.bad} of {watcher.pids}"
    return watcher.seen


def test_secrets_stay_where_they_belong(nightferry, dovecot, exosim_for, application):
    ordinary(nightferry)
    cert, key = application
    source = dovecot(PASSWORDS)
    behind = dovecot([f"{u}@contoso.example" for u in PASSWORDS], special_use=False)
    exosim = exosim_for(behind, config={"apps": [{"id": CLIENT, "secret": CLIENT_SECRET, "certificate": cert}]})
    exosim.client, exosim.secret = CLIENT, CLIENT_SECRET
    for user in PASSWORDS:
        for i in range(60):
            source.maildir(user).add(corpus.made(i, size=40_000 if i % 20 == 0 else None), date=1_000_000_000 + i)
    needles = {**PASSWORDS, "wrong": WRONG, "client secret": CLIENT_SECRET,
               **{f"line {i} of the private key": line for i, line in enumerate(local.read(key).splitlines()[1:-1])}}
    seen = b""
    # typed wrong at first, in each place
    nightferry.run("endpoint", "create", "src", "--host", "localhost", "--port", source.tls_port, "--ca-file", source.ca, "--test-user", "alice",
                   "--password-file", nightferry.secret_file(WRONG), "-v", code=77)
    exosim.secret = WRONG
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example", code=77, extra=("-v", "--json"))
    exosim.secret = CLIENT_SECRET
    bad_csv = nightferry.secret_file(f'EmailAddress,UserName,Password\na@contoso.example,"alice,{PASSWORDS["alice"]}\nnot-an-address,b,{WRONG}\n')
    for method in ("scram-sha-256", "plain", "login"):
        ferry.add_endpoint(nightferry, source, "alice", name=method, extra=("-v", "--auth", method))
    ferry.add_endpoint(nightferry, source, "alice", extra=("-v", "--json"))
    ferry.add_exchange(nightferry, exosim, "alice@contoso.example", extra=("-v", "--json", "--settle-after", "300ms"))
    nightferry.run("batch", "create", "bad", "--endpoint", "src", "--target", "contoso", "--csv", bad_csv, "-v", code=64)
    key_file = nightferry.secret_file(local.read(key))
    with open(os.path.join(nightferry.folder, "app.pem"), "w", encoding="ascii") as f:
        f.write(local.read(cert))
    chown_all(nightferry)
    nightferry.run("target", "create", "by-certificate", "--tenant", exosim.tenant, "--client-id", CLIENT, "--certificate",
                   os.path.join(nightferry.folder, "app.pem"), "--private-key", key_file, "--login-url", exosim.login_url, "--imap-host", "localhost",
                   "--imap-port", exosim.imaps, "--ca-file", exosim.ca, "--test-user", "alice@contoso.example", "--settle-after", "300ms",
                   "--probe-size", 0, "-v")
    rows = [("alice", PASSWORDS["alice"], "alice@contoso.example"), ("bob", WRONG, "bob@contoso.example")]
    ferry.add_batch(nightferry, rows)
    ferry.add_batch(nightferry, [("carol", PASSWORDS["carol"], "carol@contoso.example")], name="two", target="by-certificate")
    exosim.ask("/fault", {"kind": "slow", "ms": 10, "count": 0})
    exosim.ask("/fault", {"kind": "drop_after_commit", "nth": 20, "mailbox": "alice@contoso.example"})
    exosim.ask("/fault", {"kind": "refuse_message", "nth": 30, "text": "NO something odd", "mailbox": "alice@contoso.example"})
    exosim.ask("/fault", {"kind": "refuse_signin", "nth": 2, "mailbox": "carol@contoso.example"})
    seen += watched(nightferry, "batch", "start", "pilot", "--wait", "-v", code=(1, 77))
    seen += watched(nightferry, "batch", "start", "two", "--wait", "--json", "-v", code=(0, 1, 2, 77))
    for args in (("batch", "status", "pilot", "--json"), ("batch", "status", "pilot", "-v"), ("endpoint", "show", "src", "--json"), ("endpoint", "show", "src"),
                 ("target", "show", "contoso", "--json"), ("target", "show", "by-certificate"), ("batch", "show", "pilot"), ("endpoint", "list"),
                 ("user", "list", "pilot", "--json"), ("user", "show", "pilot", "bob"), ("doctor", "--json"), ("endpoint", "test", "src", "-v", "--json"),
                 ("target", "test", "contoso", "--probe-size", 0, "-v"), ("batch", "verify", "pilot", "-v"),
                 ("batch", "report", "pilot", "--output-dir", nightferry.folder + "/report"), ("batch", "report", "pilot", "--json")):
        seen += nightferry.run(*args, code=None).out.encode()
    assert watch.users(nightferry)["alice"]["counts"]["copied"] > 50, watch.users(nightferry)
    search(seen, needles, "what processes show")
    search("".join(nightferry.output).encode(), needles, "what was printed")
    needles["vault key"] = local.read(nightferry.env["XDG_CONFIG_HOME"] + "/nightferry/vault.key").strip()
    files = list(written_files(nightferry))
    for path in files:
        assert os.stat(path).st_mode & 0o077 == 0 or "/report/" in path or path.endswith("app.pem"), f"{path} can be read by others"
        if not path.endswith("vault.key"):
            with open(path, "rb") as f:
                search(f.read(), needles, path)
    state = {os.path.basename(p) for p in files if p.startswith(os.path.dirname(nightferry.state))}
    assert state <= {"state.db", "state.db-wal", "state.db-shm", "state.db.lock", "state.db.log"}, state
    # completed: the password is gone from the state, not only from sight
    assert len(files) >= 4


def test_the_search_itself_finds(tmp_path):
    """The checker, provoked."""
    for text in (b"x" + PASSWORDS["bob"].encode(), base64.b64encode(b"\0bob\0" + PASSWORDS["bob"].encode()), base64.b64encode(b"bob" + PASSWORDS["bob"].encode()),
                 base64.b64encode(b"ab\0bob\0" + PASSWORDS["bob"].encode() + b"zz"), b"eyJhbGciOiJIUzI1NiIsInR5cCI6.xx",
                 base64.b64encode(b"user=alice\1auth=Bearer eyJhbGciOiJIUzI1")):
        with pytest.raises(AssertionError):
            search(text, PASSWORDS, "a text")


ALLOWED_READ = re.compile(r"/lib|/usr/lib|/usr/share/(zoneinfo|locale|ssl|ca-certificates|p11-kit)|/etc/(ld\.so|ssl|hosts|resolv\.conf|nsswitch|gai\.conf|"
                          r"host\.conf|localtime|passwd|services|protocols|crypto-policies|pkcs11|locale)|/proc/self|/proc/\d+/|/dev/(null|u?random)|"
                          r"/sys/devices/system/cpu|/sys/fs/cgroup|/proc/(filesystems|meminfo|stat|cpuinfo|sys)|/usr/local/(lib|share/(locale|zoneinfo))|/run/(nscd|systemd)|/var/run/nscd|"
                          r"/etc/(nightferry|openssl)|/var/lib/nightferry|/sys/kernel/mm")


def test_nothing_unexpected_is_opened_or_contacted(nightferry, dovecot, exosim_for):
    source, behind = dovecot(["alice"]), dovecot(["alice@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    for i in range(30):
        source.maildir("alice").add(corpus.made(i, size=400_000 if i == 7 else None))
    watch.prepare(nightferry, source, exosim)
    trace, wrapper = os.path.join(nightferry.folder, "strace.out"), os.path.join(nightferry.folder, "strace.sh")
    with open(wrapper, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec strace -f -o {trace} -e trace=open,openat,creat,connect,bind,execve,rename,unlink,mkdir,symlink {nightferry.binary} "$@"\n')
    os.chmod(wrapper, 0o755)
    nightferry.run("batch", "start", "pilot", "--wait", binary=wrapper)
    text = local.read(trace)
    ours = (os.path.dirname(nightferry.state), nightferry.env["XDG_CONFIG_HOME"], source.ca, *nightferry.env.get("LD_PRELOAD", "").split())
    odd, hosts = set(), set()
    for line in text.splitlines():
        opened = re.search(r'(?:openat\(AT_FDCWD, |open\(|creat\(|rename\(|unlink\(|mkdir\(|symlink\()"([^"]*)"(.*)', line)
        if opened:
            path, rest = opened.groups()
            writes = bool(re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest)) or not re.search(r"open", line)
            if not path.startswith(ours) and (writes and path != "/dev/null" or not ALLOWED_READ.match(path)):
                odd.add(line)
        if "execve(" in line and "nightferry" not in line and "/proc/self/exe" not in line:
            odd.add(line)
        contacted = re.search(r'connect\(.*?sa_family=(\w+)(.*)', line)
        if contacted:
            family, rest = contacted.groups()
            port = re.search(r"sin6?_port=htons\((\d+)\)", rest)
            if family == "AF_UNIX":
                if "nscd" not in rest and "systemd" not in rest:
                    odd.add(line)
            elif family in ("AF_INET", "AF_INET6"):
                if not re.search(r'"127\.0\.0\.1"|"::1"', rest):
                    odd.add(line)
                hosts.add(int(port.group(1)))
    assert not odd, "\n".join(sorted(odd))
    assert hosts - {0} <= {source.tls_port, exosim.imaps, exosim.https, 53}, hosts
    assert {source.tls_port, exosim.imaps, exosim.https} <= hosts and "state.db" in text
