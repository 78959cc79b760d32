"""An ordinary user can do all of it, servers of the tests included; and the command line keeps its promises to scripts: JSON also for errors,
--help for everything, 64 for what is typed wrong."""
import json
import glob
import os
import re
import shutil
import subprocess
import sys

import ferry
import pytest
import watch
from servers import corpus, local


def build_file(name):
    return os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"), name)


def test_everything_as_an_ordinary_user(tmp_path):
    """The whole life of a pilot, with Dovecot, exosim and the program run by somebody without rights. Not root already: the other tests are that."""
    base = local.make_folder("nf-user-")
    shutil.copytree(os.path.join(local.ROOT, "tests"), base + "/tests", ignore=shutil.ignore_patterns("__pycache__", "corpus"))
    os.makedirs(base + "/build")
    for name in ("nightferry", "exosim"):
        shutil.copy(build_file(name), base + "/build/")
    command = [sys.executable, "-B", "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir=tests", "-p", "no:cacheprovider", "-q",
               "tests/system/test_move.py::test_pilot_into_exchange_and_everything_after"]
    if os.getuid() == 0:
        # nobody, who has an entry in passwd, but no home, no shell and no right to anything
        subprocess.run(["chown", "-R", "nobody", base], check=True)
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", *command]
    os.makedirs(base + "/tmp", mode=0o777)
    os.chmod(base + "/tmp", 0o777)
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NF_BUILD": "build", "TMPDIR": base + "/tmp"}
    done = subprocess.run(command, cwd=base, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120 * local.PATIENCE, check=False)
    local.remove_folder(base)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0 and "1 passed" in text or re.search(r"^\.\s+\[100%\]", text, re.M), text[-4000:]


def test_user_without_a_name(nightferry):
    """A uid that passwd does not know, as containers have it, and no HOME."""
    if os.getuid() == 0:
        prefix = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    else:
        prefix = []
    binary = shutil.copy(nightferry.binary, nightferry.folder + "/nightferry")
    for folder, _, _ in os.walk(nightferry.folder):
        os.chmod(folder, 0o777)
    secret = nightferry.secret_file("pw")
    if prefix:
        os.chown(secret, 54321, 54321)
    for name in ("state", "config"):
        os.makedirs(f"{nightferry.folder}/own-{name}", mode=0o777)
        os.chmod(f"{nightferry.folder}/own-{name}", 0o777)
    env = {"PATH": os.environ["PATH"]}
    args = [*prefix, binary, "endpoint", "create", "src", "--host", "127.0.0.1", "--port", "1", "--test-user", "a", "--password-file", secret, "--skip-test"]
    done = subprocess.run(args, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if prefix:
        assert done.returncode == 64 and b"no home folder" in done.stderr and b"--state" in done.stderr, done
    own = nightferry.folder + "/own-state/state.db"
    key = nightferry.folder + "/own-config/vault.key"
    done = subprocess.run([*args, "--state", own, "--key-file", key], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done
    assert os.stat(own).st_mode & 0o777 == 0o600 == os.stat(key).st_mode & 0o777


def commands(nf):
    """("endpoint", "create"), ...: every command that help lists."""
    text = nf.run("--help").out
    found = [tuple(m.group(1).split()) for m in re.finditer(r"^  ((?:endpoint|target|batch|user|copy|run|doctor)(?: [a-z]+)?)  +\S", text, re.M)]
    assert len(found) >= 28, found
    return found


def options_of(help_text):
    return re.findall(r"^\s+(?:-\w, )?--([a-z-]+)(=\S+)?", help_text, re.M)


def test_help_of_every_command(nightferry):
    for command in commands(nightferry):
        text = nightferry.run(*command, "--help").out
        assert text.startswith(f"Usage: nightferry {' '.join(command)}"), text
        assert nightferry.run(*command, "-h").out == text
        names = {name for name, _ in options_of(text)}
        assert {"state", "key-file", "json", "verbose", "help"} <= names, (command, names)
        assert max(map(len, text.splitlines())) <= 80, command
    for noun in ("endpoint", "target", "batch", "user"):
        assert nightferry.run(noun, "--help").out.startswith("Usage")
    assert nightferry.run("--version").out.startswith("nightferry ")
    # the options in the sources are in the help, all of them
    sources = "".join(local.read(path) for path in glob.glob(os.path.join(local.ROOT, "engine", "command", "*.c")))
    wanted = {m.group(1) for m in re.finditer(r'\{\.name = "([a-z-]+)"(?:[^}"]|"(?:[^"\\]|\\.)*")*\.help = "', sources)}
    shown = {name for c in commands(nightferry) for name, _ in options_of(nightferry.run(*c, "--help").out)}
    assert wanted and wanted <= shown, wanted - shown


def test_wrong_command_lines(nightferry):
    for command in commands(nightferry):
        for args in (("--no-such-option",), ("--json=yes",), ("--state",), ("a", "b", "c", "d", "e")):
            result = nightferry.run(*command, *args, code=64)
            assert result.err.startswith("nightferry: ") and len(result.err.splitlines()) <= 4, (command, args, result)
    for args in (("nonsense",), ("batch", "nonsense"), ("batch",), ("endpoint", "creat"), ()):
        assert "nightferry" in nightferry.run(*args, code=64).err
    for args in (("batch", "create", "x", "--max-concurrent", "0"), ("endpoint", "create", "x", "--port", "99999", "--host", "h", "--test-user", "u"),
                 ("endpoint", "create", "x", "--host", "h", "--test-user", "u", "--tls", "maybe"), ("target", "create", "x", "--kind", "ftp"),
                 ("endpoint", "create", "x/y", "--host", "h", "--test-user", "u"), ("endpoint", "create", "", "--host", "h"),
                 ("copy", "--source-host", "h"), ("target", "create", "x", "--max-message-size", "many")):
        result = nightferry.run(*args, code=64)
        assert "nightferry:" in result.err, result


def test_json_is_json_also_for_errors(nightferry, dovecot, exosim_for):
    # no state at all
    for command in commands(nightferry):
        operands = {"run": (), "doctor": (), "copy": ()}.get(command[0], () if command[-1] == "list" and command[0] != "user" else ("x",))
        if command[-1] == "create" or command[0] == "copy":
            continue
        more = ("y",) if command[0] == "user" and command[1] != "list" else ()
        result = nightferry.run(*command, *operands, *more, "--json", code=64)
        error = json.loads(result.out)["error"]
        assert error["kind"] == "not-found" and error["text"] and result.err == "", (command, result)
    result = nightferry.run("batch", "status", "--no-such", "--json", code=64)
    assert json.loads(result.out)["error"]["kind"] == "usage"
    # with one, and a mailbox of each kind
    source, behind = dovecot(["alice", "bob"]), dovecot(["alice@contoso.example", "bob@contoso.example"], special_use=False)
    exosim = exosim_for(behind)
    source.maildir("alice").add(corpus.made(1))
    source.maildir("alice").add(b"Subject: odd \xff \"quoted\\\" \x07\r\nFrom: \xc3\x28 <a@b>\r\n\r\n" + b"x" * 20000 + b"\r\n", ("Ünï\"cöde\\", "a b"))
    watch.prepare(nightferry, source, exosim, ("alice",))
    ferry.add_batch(nightferry, [("bob", "wrong", "bob@contoso.example")], name="failing")
    steps = [("endpoint", "list"), ("endpoint", "show", "src"), ("endpoint", "test", "src"), ("endpoint", "set", "src", "--max-mailboxes", "9"),
             ("target", "list"), ("target", "show", "contoso"), ("target", "test", "contoso", "--probe-size", "0"), ("target", "set", "contoso", "--max-mailboxes", "9", "--probe-size", "0"),
             ("batch", "list"), ("batch", "show", "pilot"), ("batch", "set", "pilot", "--max-concurrent", "3"), ("batch", "status", "pilot"),
             ("batch", "start", "pilot", "--wait"), ("batch", "start", "failing", "--wait"), ("batch", "sync", "pilot", "--wait"),
             ("batch", "verify", "pilot"), ("batch", "report", "pilot"), ("batch", "report", "failing"), ("batch", "status", "failing"), ("user", "list", "pilot"),
             ("user", "show", "pilot", "alice"), ("user", "start", "failing", "bob"), ("user", "stop", "failing", "bob"), ("batch", "stop", "pilot"),
             ("batch", "complete", "pilot", "--wait"), ("doctor",), ("doctor", "--offline"), ("run", "--once"), ("user", "delete", "failing", "bob"),
             ("batch", "delete", "failing"), ("endpoint", "delete", "src"), ("batch", "delete", "pilot"), ("target", "delete", "contoso"),
             ("endpoint", "delete", "src"), ("endpoint", "show", "gone"), ("batch", "start", "gone")]
    for step in steps:
        result = nightferry.run(*step, "--json", code=None)
        assert result.code in (0, 1, 2, 4, 64, 77), result
        if step == ("run", "--once") and result.out == "":
            continue
        try:
            json.loads(result.out)
        except ValueError as e:
            raise AssertionError(f"{step}: {e}: {result!r}") from e
