"""Looks at the program from outside while it runs: its processes, their memory, what a batch is doing, and steps that several tests share."""
import os
import re
import time

import ferry
from servers import local


def children(pid):
    return [int(p) for task in os.listdir(f"/proc/{pid}/task") for p in local.read(f"/proc/{pid}/task/{task}/children").split()]


def worker(process, seconds=60):
    """The pid of the engine's own process below a `batch start --wait` or a `run`."""
    end = time.monotonic() + seconds * local.SLOWER
    while time.monotonic() < end:
        try:
            for pid in children(process.pid):
                if "--worker" in local.read(f"/proc/{pid}/cmdline").split("\0"):
                    return pid
        except OSError:
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no engine process came up")


def engine(nf):
    """Waits until an engine holds the state's lock, as `doctor` sees it."""
    wait_for(lambda: "no engine runs" not in nf.run("doctor", code=None).out, 60)


def status_field(pid, name):
    found = re.search(rf"^{name}:\s*(\d+)", local.read(f"/proc/{pid}/status"), re.M)
    return int(found.group(1)) if found else None


def wait_for(what, seconds=90, pause=0.05):
    """Polls until what() is true; returns it."""
    end = time.monotonic() + seconds * local.SLOWER
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(pause)
    raise AssertionError("it did not come to pass in time")


def status(nf, batch="pilot"):
    return nf.run("batch", "status", batch, "--json").json()


def users(nf, batch="pilot"):
    """{source user: its row of status}"""
    return {u["source_user"]: u for u in status(nf, batch)["users"]}


def appended(exosim):
    return exosim.ask("/state")["totals"]["appended"]


def prepare(nf, source, exosim, names=("alice",), settle="300ms", target=(), batch=("--pilot",), endpoint=()):
    """Endpoint, target and a pilot of these users; their passwords are the source's."""
    ferry.add_endpoint(nf, source, names[0], extra=endpoint)
    ferry.add_exchange(nf, exosim, f"{names[0]}@contoso.example", extra=("--settle-after", settle, *target))
    ferry.add_batch(nf, [(u, source.users[u], f"{u}@contoso.example") for u in names], extra=batch)


def perfect(nf, batch="pilot"):
    verdict, total = ferry.verify(nf, batch)
    assert verdict == "Perfect", (verdict, total)
    return total
