"""`jqc label` on workers that die, in processes and on a Dask cluster: the store is that of an undisturbed run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from jqc.cli.main import run
from jqc.data import open_store

QUICK = ("--basis", "sto-3g", "--grid-level", "0", "--derivatives", "1", "--xc", "pbe0")

FRAMES = 12

PATIENCE = 120.0  # s; what has not happened by then never will


@pytest.fixture(scope="module")
def molecules(tmp_path_factory) -> Path:
    """Pairs of hydrogen, and one of an element that the basis has no functions for."""
    path = tmp_path_factory.mktemp("molecules") / "pairs.xyz"
    path.write_text(
        "".join(f"2\nname=pair\nH 0 0 0\nH 0 0 {0.7 + 0.05 * k}\n" for k in range(FRAMES)) + "2\n\nRn 0 0 0\nRn 0 0 2\n"
    )
    return path


@pytest.fixture(scope="module")
def undisturbed(molecules) -> dict[str, bytes]:
    """The store of one process that nothing happens to."""
    out = molecules.parent / "undisturbed"
    assert run(["label", str(molecules), "--out", str(out), *QUICK]) == 3
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def until(condition):
    """What the condition gives once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@contextmanager
def labelling(molecules: Path, folder: Path, *options: str):
    """`jqc label` at work, from a folder that is not its workers'."""
    command = [sys.executable, "-m", "jqc.cli.main", "label", str(molecules), "--out", "labels", *QUICK, *options]
    with (folder / "told").open("wb") as told:
        job = subprocess.Popen(command, cwd=folder, stderr=told)
        try:
            yield job
        finally:
            job.kill()
            job.wait()


def children(pid: int) -> list[int]:
    """Living processes that it has started to compute, the oldest first."""
    found = []
    for each in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):  # one may end while it is looked at
            if each.status() != psutil.STATUS_ZOMBIE and "spawn_main" in str(each.cmdline()):
                found.append(each)
    return [each.pid for each in sorted(found, key=psutil.Process.create_time)]


def test_three_processes_of_which_one_is_killed_twice(molecules, undisturbed, tmp_path):
    with labelling(molecules, tmp_path, "--workers", "3") as job:
        *others, victim = until(lambda: len(children(job.pid)) == 3 and children(job.pid))
        for other in others:
            os.kill(other, signal.SIGSTOP)  # else there may be nothing left to do when it is back
        for _ in range(2):
            time.sleep(0.5)
            os.kill(victim, signal.SIGKILL)
            victim = until(lambda killed=victim: next((pid for pid in children(job.pid)[2:] if pid != killed), None))
        for other in others:
            os.kill(other, signal.SIGCONT)
        assert job.wait(PATIENCE) == 3
    assert contents(tmp_path / "labels") == undisturbed


def test_devices_share_the_molecules(molecules, undisturbed, tmp_path, monkeypatch):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    monkeypatch.setenv("XLA_FLAGS", flags)
    with labelling(molecules, tmp_path) as job:
        assert job.wait(PATIENCE) == 3
    ours, theirs = open_store(tmp_path / "labels"), open_store(molecules.parent / "undisturbed")
    assert ours.names() == theirs.names()
    assert ours.failures() == theirs.failures()
    for name in theirs.names():
        one, other = ours.read(name).arrays, theirs.read(name).arrays
        for key in ("energy", "dm", "mo_energy"):
            np.testing.assert_allclose(one[key], other[key], rtol=0, atol=1e-10)


@pytest.mark.slow
def test_a_cluster_of_three_workers_of_which_one_is_killed_twice(dask, molecules, undisturbed, tmp_path):
    from distributed import Client

    nanny = dask.worker("--nanny", "--name", "victim")
    others = [dask.worker() for _ in range(2)]
    with Client(dask.address, set_as_default=False) as client:
        client.wait_for_workers(3, timeout=PATIENCE)

        def victim_at_work():
            workers = client.sync(client.scheduler.identity)["workers"]
            victims = {at for at, worker in workers.items() if worker["name"] == "victim"}
            return any(at in victims and str(keys).count("pairs-") for at, keys in client.processing().items())

        with labelling(molecules, tmp_path, "--scheduler", dask.address) as job:
            until(victim_at_work)
            for other in others:
                other.send_signal(signal.SIGSTOP)  # else there may be nothing left to do when it is back
            for _ in range(2):
                until(victim_at_work)
                os.kill(children(nanny.pid)[-1], signal.SIGKILL)
                until(lambda: not victim_at_work())
            for other in others:
                other.send_signal(signal.SIGCONT)
            assert job.wait(PATIENCE) == 3
    told = (tmp_path / "told").read_text()
    assert contents(tmp_path / "labels") == undisturbed
    assert len(re.findall(r"the worker at tcp://\S+ is gone, which was at pairs-\d+", told)) == 2
    assert f"pairs-{FRAMES:05d} failed: " in told
    assert f"labels: {FRAMES + 1}/{FRAMES + 1}" in told


@pytest.mark.slow
def test_an_interrupt_and_a_second_start(dask, molecules, undisturbed, tmp_path):
    dask.worker()
    out = tmp_path / "labels"
    with labelling(molecules, tmp_path, "--scheduler", str(dask.file)) as job:
        until(lambda: [*out.glob("*.h5")])
        job.send_signal(signal.SIGINT)
        assert job.wait(PATIENCE) == 130
    assert len([*out.glob("*.h5")]) < FRAMES
    with labelling(molecules, tmp_path, "--scheduler", str(dask.file)) as job:
        assert job.wait(PATIENCE) == 3
    assert contents(out) == undisturbed


def test_a_worker_with_another_version_of_jqc(dask, molecules, tmp_path, capsys):
    shutil.copytree(Path(__file__).parents[2] / "jqc", tmp_path / "other" / "jqc")
    package = tmp_path / "other" / "jqc" / "__init__.py"
    package.write_text(re.sub(r'__version__ = ".*"', '__version__ = "0.0.9"', package.read_text()))
    dask.worker(root=tmp_path / "other")
    from distributed import Client

    with Client(dask.address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=PATIENCE)
    out = tmp_path / "labels"
    assert run(["label", str(molecules), "--out", str(out), *QUICK, "--scheduler", dask.address]) == 2
    error = capsys.readouterr().err
    assert re.search(r"the worker at tcp://\S+ cannot be used: .*jqc 0\.0\.9 there, \S+ here", error)
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_bad_input(molecules, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jqc.data.scheduler.CONNECT", 0.5)
    out = tmp_path / "labels"
    bad = {
        "no Dask scheduler answers at 'tcp://127.0.0.1:1'": ["--scheduler", "tcp://127.0.0.1:1"],
        "give one of the two": ["--scheduler", "tcp://127.0.0.1:1", "--workers", "2"],
    }
    for words, arguments in bad.items():
        assert run(["label", str(molecules), "--out", str(out), *QUICK, *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert len(error.splitlines()) == 1
        assert not out.exists()
