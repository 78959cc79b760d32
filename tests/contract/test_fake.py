"""imap/ against a server that misbehaves on purpose (fake_imap.h): each program brings its own."""
import os
import subprocess

import pytest

from servers import local

BUILD = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"))


@pytest.mark.parametrize("program", ["pull_test", "pull_refusal_test", "pull_list_test", "append_test", "folder_test"])
def test_fake(program):
    done = subprocess.run([os.path.join(BUILD, "contract", program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0 and "[  PASSED  ]" in text, text
