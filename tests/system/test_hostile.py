"""`nightferry copy` from each hostile source of hostile_scenarios.py into a real Dovecot. All are run once, some at a time (many wait for a
time limit), and each test looks at its own: the end, the exit code, the memory, and what arrived, byte for byte."""
import collections
import concurrent.futures
import hashlib
import json
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hostile import HostileServer  # noqa: E402
from hostile_scenarios import MAILBOX, MOVED, SCENARIOS, TYPED  # noqa: E402
from servers import local  # noqa: E402
from servers.dovecot import Dovecot  # noqa: E402
from servers.nightferry import Nightferry, PeakMemory  # noqa: E402
from servers.rawimap import RawImap  # noqa: E402

AT_A_TIME = 8
pytestmark = [pytest.mark.xdist_group("hostile"), pytest.mark.slow]  # one process runs them all: the copies are made once
LONGEST_S = 90          # no scenario may take longer: a hang
MOST_MEMORY_KB = 96 * 1024
DONE, FAILED, SKIPPED, CHANGED, NETWORK, SIGN_IN, DEFERRED = 0, 1, 2, 3, 69, 77, 75
# Shorter patience, so that the tests of silence end soon.
PATIENCE = ("--timeout", "1500ms", "--retry-delay", "20ms")


def copy_options(source_port, tls, ca, target, address, secrets):
    """The command line of one copy, in one place."""
    return ["copy", "--json", *PATIENCE, "--source-host", "localhost", "--source-port", source_port, "--source-tls", tls, "--source-user", "alice",
            "--source-password-file", secrets[0], *(["--source-ca-file", ca] if tls != "none" else []),
            "--target-host", "localhost", "--target-port", target.tls_port, "--target-ca-file", target.ca,
            "--address", address, "--target-password-file", secrets[1]]


Outcome = collections.namedtuple("Outcome", "result seconds arrived truth faults peak_kb error")


def arrived(target, address):
    """{folder: Counter of sha256} at the destination."""
    client = RawImap(target.tls_port, tls=True, ca=target.ca)
    client.login(address, target.users[address])
    found = {}
    for raw, _, attributes in client.folders():
        if "\\Noselect" in attributes:
            continue
        client.examine(raw)
        found[raw] = collections.Counter(hashlib.sha256(m["body"] or b"").hexdigest() for m in client.fetch())
    client.close()
    return found


def run_one(scenario, number, target, certificates, ca):
    server = HostileServer(scenario, certificates.get(scenario.certificate))
    truth = {f.name: [(m.uid, m.body) for m in f.messages] for f in server.world.folders}
    program = Nightferry()
    address = f"h{number}@contoso.example"
    start = time.monotonic()
    try:
        secrets = program.secret_file("pw-alice"), program.secret_file(target.users[address])
        process = program.start(*copy_options(server.port, scenario.tls, ca, target, address, secrets))
        watch = PeakMemory(process)
        try:
            result, error = program.finish(process, LONGEST_S), None
        except AssertionError as e:
            result, error = None, str(e)
        watch.join(5)
        return Outcome(result, time.monotonic() - start, arrived(target, address), truth, list(server.faults), watch.kb, error)
    finally:
        server.stop()
        program.close()


@pytest.fixture(scope="module")
def outcomes(authority, request):
    """All scenarios that this run selected, by name."""
    chosen = {item.callspec.params["scenario"].name for item in request.session.items if item.fspath == request.node.fspath
              and hasattr(item, "callspec")}
    other = local.Authority(local.make_folder("nf-ca-"))
    certificates = {"good": authority.certificate(), "wrong-name": authority.certificate("wrong", ("DNS:other.example.org",)),
                    "expired": authority.certificate("expired", days=-1), "unknown-ca": other.certificate()}
    run = [(i, s) for i, s in enumerate(SCENARIOS) if s.name in chosen]
    run.sort(key=lambda pair: not pair[1].slow) # the long ones first
    with Dovecot([f"h{i}@contoso.example" for i, _ in run], authority=authority, special_use=False) as target:
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            jobs = {s.name: pool.submit(run_one, s, i, target, certificates, authority.ca) for i, s in run}
            yield {name: job.result() for name, job in jobs.items()}
    local.remove_folder(other.folder)


def error_kind(outcome):
    for text in (outcome.result.out, outcome.result.err):
        try:
            value = json.loads(text)
        except ValueError:
            continue
        users = value.get("users", [])
        return users[0].get("error_kind", "") if users else value.get("error", {}).get("kind", "")
    return ""


@pytest.mark.san
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_hostile(outcomes, scenario):
    o = outcomes[scenario.name]
    assert not o.faults, f"the scenario itself is wrong: {o.faults}"
    assert o.error is None, o.error
    words = f"{o.result!r}\narrived: { {n.decode('utf-8', 'replace'): sum(c.values()) for n, c in o.arrived.items()} }"
    assert o.result.code in (DONE, FAILED, SKIPPED, CHANGED, NETWORK, SIGN_IN, DEFERRED), words
    assert "Sanitizer" not in o.result.err and "assert" not in o.result.err.lower(), words
    assert o.peak_kb < MOST_MEMORY_KB or local.SLOWER > 1, f"{o.peak_kb} KB\n{words}"

    assert ": ;" not in o.result.out, f"an error without its cause\n{words}"
    have = collections.Counter()
    for counts in o.arrived.values():
        have += counts
    truth = collections.Counter(hashlib.sha256(b).hexdigest() for messages in o.truth.values() for _, b in messages)
    doubled = {h for h, n in have.items() if n > max(1, truth[h])}
    assert not doubled, f"doubled: {doubled}\n{words}"

    if scenario.outcome == MAILBOX:
        assert o.result.code in (FAILED, NETWORK, SIGN_IN, DEFERRED), words
        if scenario.kinds:
            assert error_kind(o) in scenario.kinds, words
        return
    if scenario.outcome == TYPED and (o.result.code != DONE or scenario.hides):
        return
    # with exit code 0 nothing may be missing, whatever the source did, unless the source never showed it
    lost = set(scenario.lost)
    wanted = collections.Counter(hashlib.sha256(b).hexdigest() for name, messages in o.truth.items() for uid, b in messages
                                 if uid not in lost and name not in lost)
    missing = wanted - have
    assert not missing, f"{sum(missing.values())} missing\n{words}"
    if scenario.outcome in (MOVED, TYPED):
        assert o.result.code == DONE, words
    else:
        assert o.result.code in (SKIPPED, CHANGED, FAILED), words


def test_there_are_more_than_a_hundred():
    assert len(SCENARIOS) > 120 and len({s.name for s in SCENARIOS}) == len(SCENARIOS)
