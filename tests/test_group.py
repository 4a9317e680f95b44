"""Groups that cannot be formed, and what a process by itself makes of agreement; tests/training has real groups."""

import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from jqc import devices
from jqc.errors import GroupError
from jqc.group import Membership, from_first, largest, leads, noticing_losses

JOIN = """
import sys
from jqc.group import Membership, member
with member(Membership(sys.argv[1], *map(int, sys.argv[2:])), patience=2):
    print("met")
"""


def joined(*arguments: str) -> tuple[int, str]:
    """Exit code and last words of a process that joins a group and leaves it again."""
    done = subprocess.run([sys.executable, "-c", JOIN, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("node1:1234", 2, 2), "process_id is 2 of 2; give 0 to 1"),
        (("node1:1234", 2, -1), "process_id is -1 of 2; give 0 to 1"),
        (("node1:1234", 0, 0), "processes is 0; give 1 or more"),
        (("node1:1234", 2), "process_id is missing; give coordinator, processes and process_id together"),
        (("node1:1234",), "processes is missing"),
        (("node1", 2, 0), "coordinator is 'node1'; give HOST:PORT"),
        ((":1234", 2, 0), "give HOST:PORT"),
        (("node1:port", 2, 0), "give HOST:PORT"),
        (("node1:65536", 2, 0), "give HOST:PORT"),
        (("auto", 2), "processes is given, and coordinator is auto"),
    ],
)
def test_places_that_are_none_are_refused(arguments, message):
    with pytest.raises(GroupError, match=message):
        Membership(*arguments)


@pytest.fixture
def port():
    """One that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("process_id", ["0", "1"])
def test_a_group_that_does_not_meet_in_time_ends_with_a_sentence(port, process_id):
    """The first process waits for the others, the others for the first."""
    code, words = joined(f"127.0.0.1:{port}", "2", process_id)
    assert code == 2
    assert f"no group of 2 processes has met at 127.0.0.1:{port} within 2 s; start all of them" in words


def test_a_port_that_is_taken_and_a_host_that_is_unknown_are_named():
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        port = listener.getsockname()[1]
        code, words = joined(f"127.0.0.1:{port}", "2", "0")
    assert (code, f"port {port} is taken" in words) == (2, True)
    code, words = joined("nowhere.invalid:1234", "2", "1")
    assert (code, "nowhere.invalid:1234 is no known host" in words) == (2, True)


def test_without_a_launcher_nothing_is_detected():
    code, words = joined("auto")
    assert code == 2
    assert "give coordinator, processes and process_id" in words


def test_a_group_of_one_is_one(port):
    assert joined(f"127.0.0.1:{port}", "1", "0") == (0, "met")


def test_a_process_by_itself_leads_and_agrees_with_itself():
    mesh = devices.mesh(jax.devices()[:1])
    assert leads(mesh)
    assert largest(0.5, mesh) == 0.5
    assert from_first(b"words", mesh) == b"words"


def test_other_errors_are_no_losses():
    with pytest.raises(ValueError, match="mine"), noticing_losses():
        raise ValueError("mine")
    with pytest.raises(GroupError, match="another process of the group has ended"), noticing_losses():
        raise ValueError("UNKNOWN: Gloo AllGather failed: Connection reset by peer")


def test_copies_on_a_mesh_are_copies():
    """A step is given its state's memory; whoever else holds the array must not see what becomes of it."""
    array = np.arange(4.0)
    on_mesh = devices.replicated({"a": array}, devices.one_device())["a"]
    array[0] = 7.0
    assert np.asarray(on_mesh).tolist() == [0.0, 1.0, 2.0, 3.0]
