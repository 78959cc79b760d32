"""The manual pages and --help name the same commands and the same options; the pages are well-formed."""
import os
import re
import shutil
import subprocess

import pytest
from servers import local

NOUNS = ("endpoint", "target", "batch", "user", "copy", "run", "doctor")


def page(name):
    with open(os.path.join(local.ROOT, name), encoding="utf-8") as f:
        return f.read().replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")


def commands(nightferry):
    """"batch create" and the like, as --help lists them."""
    text = nightferry.run("--help").out
    return [m.strip() for m in re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", text, re.M)]


def options_of(text):
    return set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M))


def sections():
    """{command: options under the headings that name it}, and the common ones under "Common options"."""
    found = {}
    text = page("engine/command/nightferry.1").split(".SH COMMANDS", 1)[1].split("\n.SH ", 1)[0]
    for part in text.split("\n.SS ")[1:]:
        head, body = part.split("\n", 1)
        names = set(re.findall(r"^\.T[PQ]\n(?:-\w, )?--([a-z-]+)", body, re.M))
        for command in head.split(", "):
            found.setdefault(command, set()).update(names)
    return found


def test_every_option_of_every_command_is_in_the_manual_and_the_other_way_round(nightferry):
    manual, listed = sections(), commands(nightferry)
    common = manual.pop("Common options")
    assert {c.split()[0] for c in listed} == set(NOUNS) and len(listed) > 25
    assert set(listed) == set(manual)
    for command in listed:
        told = options_of(nightferry.run(*command.split(), "--help").out)
        assert common <= told
        assert told - common == manual[command], command


def test_exosims_options_are_in_its_manual(exosim):
    text = subprocess.run([exosim.binary, "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
    told = set(re.findall(r"--([a-z-]+)", text.split("\nadmin:", 1)[0]))
    manual = page("upload/exosim/exosim.1")
    assert told | {"help"} == set(re.findall(r"(?<![\w-])--([a-z-]+)", manual.split(".SH OPTIONS", 1)[1].split(".SH ADMIN", 1)[0]))
    for name in re.findall(r"^  ([a-z_]+)(?: +\S+/\S+  |: )", text.split("\nswitches", 1)[1], re.M):
        assert f"\n{name}" in manual, name


@pytest.mark.parametrize("name", ["engine/command/nightferry.1", "upload/exosim/exosim.1"])
def test_the_pages_are_well_formed(name):
    if shutil.which("groff") is None:
        pytest.skip("NOT RUN: groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", os.path.join(local.ROOT, name)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()


def test_a_command_that_does_not_exist_is_named_with_those_that_do(nightferry):
    assert 'no command "batch crate"' in (err := nightferry.run("batch", "crate", code=64).err) and "batch create" in err
    assert nightferry.run("btach", "create", "--json", code=64).json()["error"]["kind"] == "usage"
    assert "endpoint what?" in nightferry.run("endpoint", code=64).err
