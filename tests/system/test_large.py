"""Memory is flat: one message of 150 MB, four of 40 MB at once, or ten thousand small ones; the engine's process stays below 32 MB."""
import os
import shutil
import threading
import time

import pytest
import watch
from servers import corpus

pytestmark = pytest.mark.slow

MOST_KB = 32 * 1024


class Peak(threading.Thread):
    """VmHWM of the engine's process to its end."""

    def __init__(self, process):
        super().__init__()
        self.pid, self.kb, self.files = watch.worker(process), 0, 0

    def run(self):
        while os.path.exists(f"/proc/{self.pid}"):
            self.kb = max(self.kb, watch.status_field(self.pid, "VmHWM") or 0)
            time.sleep(0.02)


def moved(nf, *verb, timeout=300):
    """Runs the batch; returns its peak memory in kB."""
    process = nf.start(*(verb or ("batch", "start", "pilot", "--wait")))
    peak = Peak(process)
    peak.start()
    result = nf.finish(process, timeout)
    peak.join()
    assert result.code == 0, result
    assert 4000 < peak.kb, "the peak was measured"
    return peak.kb


def world(nf, dovecot, exosim_for, names, fill, target=(), batch=("--pilot",)):
    source, behind = dovecot(list(names)), dovecot([f"{u}@contoso.example" for u in names], special_use=False)
    exosim = exosim_for(behind, config={"switches": {"size_cap": 250_000_000}})
    for user in names:
        fill(source.maildir(user))
    watch.prepare(nf, source, exosim, names, target=("--max-message-size", "200MB", *target), batch=batch)
    return source, behind


def test_one_of_150_mb(nightferry, dovecot, exosim_for, compare_mailboxes):
    if shutil.disk_usage("/tmp").free < 2_000_000_000:
        pytest.skip("NOT RUN: less than 2 GB of room in /tmp")

    def fill(box):
        box.add(corpus.made(1))
        box.add(corpus.made(2, size=150_000_000), ("Large",))
        box.add(corpus.made(3), ("Large",))
    source, behind = world(nightferry, dovecot, exosim_for, ["alice"], fill)
    kb = moved(nightferry)
    compare_mailboxes((source, "alice"), (behind, "alice@contoso.example"))
    print(f"150 MB: {kb} kB")
    assert kb < MOST_KB


@pytest.mark.parametrize("how", ["four mailboxes", "one mailbox, four uploads"])
def test_four_of_40_mb_at_once(nightferry, dovecot, exosim_for, compare_mailboxes, how):
    names = ["alice", "bob", "carol", "dave"] if how == "four mailboxes" else ["alice"]

    def fill(box):
        for i in range(4 // len(names)):
            box.add(corpus.made(i, size=40_000_000))
        for i in range(10, 40):
            box.add(corpus.made(i, size=200_000))
    extra = ("--pilot", "--max-concurrent", "4") if len(names) == 4 else ("--pilot", "--uploads", "4")
    source, behind = world(nightferry, dovecot, exosim_for, names, fill, batch=extra)
    kb = moved(nightferry)
    for user in names:
        compare_mailboxes((source, user), (behind, f"{user}@contoso.example"))
    print(f"4 x 40 MB, {how}: {kb} kB")
    assert kb < MOST_KB


def test_ten_thousand_small_ones(nightferry, dovecot, exosim_for):
    def fill(box):
        for i in range(10_000):
            box.add(corpus.made(i, size=500 + i % 1500), () if i % 4 else ("Work",), ("\\Seen",), date=1_000_000_000 + i)
    world(nightferry, dovecot, exosim_for, ["alice"], fill)
    start = time.monotonic()
    kb = moved(nightferry)
    took = time.monotonic() - start
    counts = watch.users(nightferry)["alice"]["counts"]
    assert counts["copied"] == 10_000 and counts["in_doubt"] == 0, counts
    again = moved(nightferry, "batch", "sync", "pilot", "--wait")
    assert watch.users(nightferry)["alice"]["counts"] == counts
    print(f"10,000 small ones: {kb} kB, {took:.1f} s; a pass over them: {again} kB")
    assert kb < MOST_KB and again < MOST_KB
