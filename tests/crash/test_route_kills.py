"""A kill at every step of the crash protocol by Graph alone and with both routes in one folder, where some messages are too big for the first."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import test_failpoints as failpoints  # noqa: E402
from servers import corpus  # noqa: E402


def big_ones(box):
    """Too big for one request to Graph, twins among them."""
    for i in (1, 2, 2):
        box.add(corpus.made(7000 + i, size=4_300_000), flags=("\\Seen",))
    return 3


@pytest.mark.parametrize("routes", ["mime", "mime,imap"])
@pytest.mark.parametrize("point", failpoints.NAMES)
def test_killed_at(point, routes, nightferry, dovecot, exosim_for, compare_mailboxes):
    failpoints.kill_at(point, 1, routes, nightferry, dovecot, exosim_for, compare_mailboxes, big_ones if "," in routes else None)
