"""Fixtures for contract, system and crash tests: private servers, the program with a home of its own, and the comparison of mailboxes."""
import functools
import json
import os
import re
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import results  # noqa: E402
from servers import chaos, compare, local  # noqa: E402
from servers.courier import Courier  # noqa: E402
from servers.cyrus import Cyrus  # noqa: E402
from servers.dovecot import Dovecot  # noqa: E402
from servers.exosim import Exosim  # noqa: E402
from servers.nightferry import Nightferry  # noqa: E402
from servers.rawimap import RawImap  # noqa: E402


@pytest.fixture(scope="session")
def authority():
    """One test CA for a run; making keys takes time."""
    folder = local.make_folder("nf-ca-")
    yield local.Authority(folder)
    local.remove_folder(folder)


def _factory(kind, authority):
    """Makes servers of a kind for a test and stops them all after it."""
    running = []

    def make(*args, **kw):
        kw.setdefault("authority", authority)
        try:
            running.append(kind(*args, **kw))
        except local.NotAvailable as e:
            pytest.skip(f"NOT RUN: {e}")
        return running[-1]
    yield make
    complaints = [c for server in running if hasattr(server, "trace") for c in graph_complaints(server)]
    for server in running:
        server.stop()
    if complaints:
        pytest.fail(f"Graph traffic is not as Microsoft's metadata has it, {len(complaints)} times:\n" + "\n".join(complaints[:20]))


def graph_complaints(exosim):
    """All Graph traffic of a test is validated; servers/schema.py needs python3-jsonschema."""
    if not exosim.trace or not os.path.exists(exosim.trace) or not os.path.getsize(exosim.trace):
        return []
    from servers import schema
    return schema.Validator(checks_requests=exosim.checks_requests).check(exosim.trace)


@pytest.fixture
def dovecot(authority):
    """dovecot(users, separator=..., prefix=..., ...) starts a private Dovecot; see servers/dovecot.py."""
    yield from _factory(Dovecot, authority)


@pytest.fixture
def cyrus(authority):
    yield from _factory(Cyrus, authority)


@pytest.fixture
def courier(authority):
    yield from _factory(Courier, authority)


@pytest.fixture
def exosim_for(authority):
    """exosim_for(dovecot_target, config={...}) starts exosim in front of it. Its Graph traffic is validated at the test's end."""
    yield from _factory(functools.partial(Exosim, trace=True), authority)


@pytest.fixture
def dovecot_source(dovecot):
    return dovecot(["alice", "bob", "carol"])


@pytest.fixture
def dovecot_target(dovecot):
    """What is behind exosim, or a plain IMAP destination: mailboxes named by address."""
    return dovecot([f"{u}@contoso.example" for u in ("alice", "bob", "carol")], special_use=False)


@pytest.fixture
def exosim(exosim_for, dovecot_target):
    return exosim_for(dovecot_target)


@pytest.fixture
def nightferry():
    program = Nightferry()
    yield program
    program.close()


@pytest.fixture
def chaos_for():
    """chaos_for(port, faults) puts a breaking proxy before a port."""
    proxies = []

    def make(port, faults=None, seed=1):
        proxies.append(chaos.Chaos(port, faults, seed))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.stop()


@pytest.fixture
def compare_mailboxes():
    """compare_mailboxes((source server, user), (destination server, user), rename={...}): fails with a list of all that is missing, extra
    or altered. By default special-use folders are expected under Exchange's names."""
    def check(source, destination, rename=None, dates=True, flags=True, prefix=""):
        server, user = source
        c = RawImap(server.tls_port, tls=True, ca=server.ca)
        c.login(user, server.users[user])
        names = compare.special_names(c, prefix) if rename is None else rename
        wanted = compare.snapshot(c, dates, flags, prefix)
        c.close()
        server, user = destination
        c = RawImap(server.tls_port, tls=True, ca=server.ca)
        c.login(user, server.users[user])
        have = compare.snapshot(c, dates, flags)
        c.close()
        lines = compare.differences(wanted, have, names)
        assert not lines, "\n".join(lines[:40])
        return wanted
    return check


# ---- results for the summary; a test that was skipped is reported as NOT RUN, loudly

def pytest_addoption(parser):
    parser.addoption("--results", help="file for the counts of this run")


def pytest_collection_modifyitems(items):
    """What takes long comes first, so that at the end no worker is alone with it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_configure(config):
    config.nf_counts = {"passed": set(), "failed": set(), "not_run": {}}
    config.nf_start = time.monotonic()


def pytest_runtest_logreport(report):
    counts = _config.nf_counts
    name = re.sub(r"@\w+$", "", report.nodeid)  # xdist adds the group; alone it has none
    if report.failed:
        counts["failed"].add(name)
    elif report.skipped:
        counts["not_run"][name] = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    elif report.when == "call":
        counts["passed"].add(name)


_config = None


def pytest_sessionstart(session):
    global _config
    _config = session.config


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    config = session.config
    if config.getoption("--results") and not hasattr(config, "workerinput"):  # with -n: once, by the process that gathers
        counts = config.nf_counts
        failed = sorted(counts["failed"]) or ([] if exitstatus == 0 else [f"pytest ended with {int(exitstatus)}"])
        results.save(config.getoption("--results"), len(counts["passed"] - counts["failed"]), failed,
                     [f"{name} ({why})" for name, why in sorted(counts["not_run"].items())], time.monotonic() - config.nf_start)


def pytest_terminal_summary(terminalreporter, config):
    for name, why in sorted(config.nf_counts["not_run"].items()):
        terminalreporter.write_line(f"NOT RUN  {name}: {why}")
