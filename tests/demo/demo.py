#!/usr/bin/python3
"""`make demo`: a private Dovecot with three mailboxes of real messages, exosim (the local Exchange Online) with a second Dovecot behind it,
and nightferry between them: set up, start, killed in the middle, resumed, verified. Nothing leaves the machine; all is removed at the end."""
import itertools
import os
import random
import shlex
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from servers import compare, corpus, local  # noqa: E402
from servers.dovecot import Dovecot  # noqa: E402
from servers.exosim import CLIENT, SECRET, TENANT, Exosim  # noqa: E402
from servers.nightferry import Nightferry  # noqa: E402
from servers.rawimap import RawImap  # noqa: E402

USERS = {"aisha": [("INBOX",), ("Sent",), ("Archive", "2003"), ("Projekte", "Größe & Maß", "Entwürfe 2019"), ("فواتير", "لاہور")],
         "boris": [("INBOX",), ("Sent",), ("Trash",), ("Работа", "Счета", "2011"), ("Reise ✈", "🚢 Fähre")],
         "chiyo": [("INBOX",), ("受信", "議事録"), ("Junk",), ("Clients", "A", "B", "C", "D")]}
DOMAIN = "contoso.example"
SLOW = "250KB/s" # while somebody watches; the second start goes at full speed
COPIES = 3       # of each message of the corpus, in different mailboxes and folders
FLAGS = ([], ["\\Seen"], ["\\Seen", "\\Answered"], ["\\Seen", "\\Flagged"], ["\\Flagged"])


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def fill(source):
    r = random.Random(2026)
    messages = [m for m in corpus.messages() if corpus.is_plain(m)]
    places = itertools.cycle([(u, f) for f in range(5) for u in USERS if f < len(USERS[u])])
    boxes = {u: source.maildir(u) for u in USERS}
    count = 0
    for message in messages * COPIES:
        user, number = next(places)
        folder = USERS[user][number]
        boxes[user].add(message, () if folder == ("INBOX",) else folder, r.choice(FLAGS), r.randint(850_000_000, 1_790_000_000),
                        r.choice([(), (), ("$Forwarded",), ("Important",)]))
        count += 1
    return count


class Demo:
    def __init__(self):
        self.program = Nightferry(env={"PATH": os.environ["PATH"], "TERM": os.environ.get("TERM", "dumb")})
        self.program.env.pop("NO_COLOR")

    def show(self, *args):
        print("$ nightferry " + shlex.join(map(str, args)), flush=True)

    def run(self, *args, code=(0,)):
        """With its output where the person sees it."""
        self.show(*args)
        done = subprocess.run([self.program.binary, *map(str, args)], env=self.program.env, stdin=subprocess.DEVNULL,
                              cwd=self.program.folder, timeout=300, check=False)
        if done.returncode not in code:
            raise SystemExit(f"demo: that ended with {done.returncode}, expected {code}")

    def copied(self, batch):
        result = self.program.run("batch", "status", batch, "--json", code=None)
        try:
            counts = result.json()["counts"]
            return counts["copied"] + counts["adopted"]
        except (ValueError, KeyError):
            return 0

    def start_and_kill(self, batch, at):
        """Starts the engine with its progress in view, and kills it with all its processes when `at` messages have arrived."""
        self.show("batch", "start", batch, "--wait")
        process = subprocess.Popen([self.program.binary, "batch", "start", batch, "--wait"], env=self.program.env,
                                   stdin=subprocess.DEVNULL, cwd=self.program.folder, process_group=0)
        end = time.monotonic() + 120
        while self.copied(batch) < at:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("demo: the run was over before it could be killed")
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def prove(source, target):
    """Both sides read again by a client that shares no code with nightferry. Returns the number of differences."""
    bad = total = 0
    print(f"{'mailbox':8} {'folder at the source':32} {'there':>6} {'here':>6} {'missing':>8} {'extra':>6}")
    for user in USERS:
        clients = []
        for server, name in ((source, user), (target, f"{user}@{DOMAIN}")):
            client = RawImap(server.tls_port, tls=True, ca=server.ca)
            client.login(name, server.users[name])
            clients.append(client)
        names = compare.special_names(clients[0])
        there, here = (compare.snapshot(c) for c in clients)
        for folder, messages in sorted(there.items()):
            if not messages:
                continue
            place = names.get(folder, names.get(folder[:1], folder[:1]) + folder[1:])
            have = here.get(place, {})
            missing, extra = sum((messages - have).values()) if have else sum(messages.values()), sum((have - messages).values()) if have else 0
            bad += missing + extra
            total += sum(messages.values())
            print(f"{user:8} {'/'.join(folder):32} {sum(messages.values()):6} {sum(have.values()) if have else 0:6} {missing:8} {extra:6}")
        for client in clients:
            client.close()
    print(f"{total} messages compared by content, date and flags: {bad} differences")
    return bad


def main():
    start = time.monotonic()
    demo = Demo()
    folder = local.make_folder("nf-demo-")
    try:
        authority = local.Authority(folder)
        addresses = [f"{u}@{DOMAIN}" for u in USERS]
        with Dovecot(list(USERS), authority=authority) as source, \
                Dovecot(addresses, authority=authority, special_use=False) as target, Exosim(target, authority=authority) as exchange:
            say("A private IMAP host with three mailboxes, and exosim, a local Exchange Online")
            count = fill(source)
            print(f"{count} messages in {sum(len(f) for f in USERS.values())} folders, nested and in six scripts, dated 1996 to 2026")

            say("1. Where the mail is, and where it goes: both are tested before they are saved")
            password = demo.program.secret_file(source.users["aisha"], "aisha.password")
            secret = demo.program.secret_file(SECRET, "client.secret")
            demo.run("endpoint", "create", "old-host", "--host", "localhost", "--port", source.tls_port, "--ca-file", authority.ca,
                     "--test-user", "aisha", "--password-file", password)
            demo.run("target", "create", "contoso", "--tenant", TENANT, "--client-id", CLIENT, "--client-secret-file", secret, "--login-url",
                     exchange.login_url, "--imap-host", "localhost", "--imap-port", exchange.imaps, "--ca-file", authority.ca,
                     "--settle-after", "1s", "--probe-size", "2MB", "--test-user", addresses[0])

            say("2. A batch of three mailboxes")
            csv = demo.program.file("users.csv", "EmailAddress,UserName,Password\n" +
                                    "".join(f"{u}@{DOMAIN},{u},{source.users[u]}\n" for u in USERS))
            demo.run("batch", "create", "pilot", "--pilot", "--endpoint", "old-host", "--target", "contoso", "--csv", csv, "--rate", SLOW)

            say("3. It starts, and is killed in the middle (SIGKILL)")
            demo.start_and_kill("pilot", count * 2 // 5)
            print(f"\nkilled after {demo.copied('pilot')} of {count} messages")

            say("4. It goes on where it stopped, at full speed")
            demo.run("batch", "set", "pilot", "--rate", "1GB/s")
            demo.run("batch", "start", "pilot", "--wait")

            say("5. The report")
            demo.run("batch", "report", "pilot")

            say("6. The proof: nightferry compares both sides")
            demo.run("batch", "verify", "pilot")

            say("7. The proof again, by a separate client that reads both servers")
            bad = prove(source, target)
    finally:
        demo.program.close()
        local.remove_folder(folder)
    if bad:
        raise SystemExit("demo: FAILED")
    say(f"Done in {time.monotonic() - start:.0f} s. Every message arrived once, unaltered, although the engine was killed.")


main()
