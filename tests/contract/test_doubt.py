"""Never twice, never lost, by the route mime: what it says of a message when something goes wrong while it is put, and what settling finds.
tests/contract/doubt_test.c puts and looks; here the faults are set."""
import os
import subprocess
import time

import pytest

PROGRAM = os.path.join(os.environ.get("NF_BUILD", "build"), "contract", "doubt_test")
PUT = "import"
# name: (fault, what put says, what settling finds)
CASES = {
    "nothing": (None, "placed none", "found, copies 1"),
    "dropped before": ({"kind": "graph_drop", "command": PUT}, "in-doubt lost", "absent, copies 0"),
    "dropped after": ({"kind": "graph_drop_after", "command": PUT}, "in-doubt lost", "found, copies 1"),
    "stored late": ({"kind": "graph_late", "command": PUT, "ms": 300}, "in-doubt lost", "found, copies 1"),
    "answer cut": ({"kind": "graph_cut", "command": PUT, "bytes": 10}, "in-doubt lost", "found, copies 1"),
    "answer garbage": ({"kind": "graph_garbage", "command": PUT}, "in-doubt protocol", "found, copies 1"),
    "answer huge": ({"kind": "graph_huge", "command": PUT, "bytes": 20000000}, "in-doubt protocol", "found, copies 1"),
    "200, nothing made": ({"kind": "graph_nothing", "command": PUT}, "in-doubt protocol", "absent, copies 0"),
    "503, no body": ({"kind": "graph_error", "command": PUT, "text": "503"}, "in-doubt busy", "absent, copies 0"),
    "504": ({"kind": "graph_error", "command": PUT, "text": "504 UnknownError x"}, "in-doubt busy", "absent, copies 0"),
    "busy": ({"kind": "graph_error", "command": PUT, "text": "503 ErrorServerBusy later"}, "not-sent busy", "absent, copies 0"),
    "bad MIME": ({"kind": "graph_error", "command": PUT, "text": "400 ErrorMimeContentInvalid x"}, "refused message", "absent, copies 0"),
    "throttled": ({"kind": "graph_throttle", "command": PUT, "ms": 1000}, "not-sent throttled", "absent, copies 0"),
    "quota": ({"kind": "graph_quota", "command": PUT}, "not-sent quota", "absent, copies 0"),
    "token revoked": ({"kind": "graph_revoked", "command": PUT}, "placed none", "found, copies 1"),
    "folder gone": ({"kind": "graph_folder_gone", "command": PUT}, "not-sent folder", "absent, copies 0"),
    "state throttled": ({"kind": "graph_throttle", "command": "patch", "ms": 1000}, "placed none", "found, copies 1"),
    "state lost": ({"kind": "graph_drop_after", "command": "patch"}, "placed none", "found, copies 1"),
    "slow": ({"kind": "graph_slow", "command": PUT, "ms": 300}, "placed none", "found, copies 1"),
    "list throttled": ({"kind": "graph_throttle", "command": "list", "ms": 1000}, "placed none", "found, copies 1"),
}


class Doubt:
    def __init__(self, server, folder, mailbox, name, with_id):
        self.process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "NF_SPOOL_DIR": str(folder), "NF_CA": server.ca, "NF_MAILBOX": mailbox, "NF_LOGIN_URL": server.login_url,
                 "NF_GRAPH_URL": server.graph_url, "NF_TENANT": server.tenant, "NF_CLIENT_ID": server.client, "NF_CLIENT_SECRET": server.secret,
                 "NF_FOLDER": name, "NF_WITH_ID": "1" if with_id else "", "NF_SAME_FOLDER": "1"})
        self.lines = []

    def until(self, word):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(word + " ") or line.strip() == word:
                return line.strip()[len(word) + 1:]
        pytest.fail("".join(self.lines))

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@pytest.mark.parametrize("profile", ["kind", "unkind"])
def test_doubt(profile, tmp_path, dovecot_target, exosim_for):
    server = exosim_for(dovecot_target, config={"profile": profile})
    mailbox, wrong = list(dovecot_target.users)[0], []
    for i, (name, (fault, said, found)) in enumerate(CASES.items()):
        run = Doubt(server, tmp_path, mailbox, name, with_id=i % 2)
        run.until("READY")
        number = server.fault(**fault) if fault else None
        run.go_on()
        put = run.until("PUT")
        end = time.monotonic() + 60
        while name == "stored late" and time.monotonic() < end and server.counts(mailbox)["late_pending"]:
            time.sleep(0.05)
        run.go_on()
        settled = run.until("SETTLE")
        run.process.communicate(timeout=60)
        fired = number is None or server.fired(number) == 1
        if not put.startswith(said + " ") and put != said or settled != found or not fired:
            wrong.append(f"{name}: put {put}; {settled}; fired: {fired}")
        server.clear_faults()
    assert not wrong, "\n".join(wrong)
