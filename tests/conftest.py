"""What all tests share: double precision, and the molecules of examples/molecules."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path

import jax
import pytest

from jqc.system import Molecule

jax.config.update("jax_enable_x64", True)

ROOT = Path(__file__).parents[1]

MOLECULES = ROOT / "examples" / "molecules"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file run on one worker, where they share fixtures, unless they name a group of their own."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Compiled programs are dropped after every file: each holds memory maps, of which a process has 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def interrupts_arrive():
    """A shell's background job ignores SIGINT, and so would what tests interrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def full_disk() -> Callable[..., AbstractContextManager[None]]:
    """Files of this process may not exceed `room` bytes, so that writes fail, half-way, as on a full disk."""

    @contextmanager
    def limited(room: int):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


class DaskProcesses:
    """A Dask scheduler of its own and workers, as their command lines start them, on 127.0.0.1."""

    def __init__(self, folder: Path):
        self.file, self.folder = folder / "scheduler.json", folder
        self.processes: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(self.file))
        while not self.file.exists():
            assert self.scheduler.poll() is None
            time.sleep(0.02)
        self.address = json.loads(self.file.read_text())["address"]

    def worker(self, *options: str, root: Path = ROOT, **environment: str) -> subprocess.Popen:
        """A worker that finds jqc and the tests under `root`; without a nanny it is the process itself."""
        options = options or ("--no-nanny",)
        threads = () if "--nthreads" in options else ("--nthreads", "1")
        return self._start(
            "worker", self.address, "--local-directory", ".", *threads, *options, root=root, **environment
        )

    def _start(self, *arguments: str, root: Path = ROOT, **environment: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        variables = os.environ | {"PYTHONPATH": str(root), "NPROC": "1"} | environment
        with (self.folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=variables, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End all of them, and what nannies have started."""
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def dask(tmp_path) -> Iterator[DaskProcesses]:
    """A cluster without workers."""
    processes = DaskProcesses(tmp_path)
    yield processes
    processes.stop()


@cache
def _read(name: str) -> Molecule:
    return Molecule.from_xyz(MOLECULES / f"{name}.xyz")


@pytest.fixture(scope="session")
def example() -> Callable[[str], Molecule]:
    """A molecule of examples/molecules by its file's name: `example("benzene")`."""
    return _read


@pytest.fixture(scope="session")
def water() -> Molecule:
    """Closed shell, 24 orbitals in def2-SVP."""
    return _read("water")


@pytest.fixture(scope="session")
def hydroxyl() -> Molecule:
    """One unpaired electron, 19 orbitals in def2-SVP."""
    return _read("oh")


HYDROGEN_PEROXIDES = """\
4
name=HOOH kind=minimum
O  0.000  0.720  0.000
O  0.000 -0.720  0.000
H  0.780  0.890  0.520
H -0.780 -0.890  0.520
4
name=HOOH kind=displaced
O  0.000  0.740  0.000
O  0.000 -0.720  0.000
H  0.760  0.920  0.500
H -0.790 -0.880  0.560
4
name=HOOH kind=conformer
O  0.000  0.720  0.000
O  0.000 -0.720  0.000
H  0.950  0.890  0.000
H -0.950 -0.890  0.000
4
name=HHOO kind=minimum
O  0.000  0.000  0.000
O  0.000  0.000  1.500
H  0.920  0.000 -0.250
H -0.250  0.890 -0.250
"""
"""A minimum, geometries beside it, and an isomer: all of one size class."""


TEACHER = "0.2*hf + 0.8*slater + vwn5"
"""A hybrid whose derivatives are compiled in half the time of B3LYP's."""


@pytest.fixture(scope="session")
def teacher() -> str:
    """The functional of the labels in `evaluated`."""
    return TEACHER


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory) -> Path:
    """A folder with `labels` of four molecules in a small basis, and what their teacher and PBE make of them beside."""
    from jqc.data import open_store
    from jqc.distill.evaluate import evaluate
    from jqc.distill.labelling import frames_in, plan, run_task
    from jqc.distill.labels import LabelSettings

    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "h2o2.xyz").write_text(HYDROGEN_PEROXIDES)
    settings = LabelSettings(TEACHER, "sto-3g", grid_level=0, derivatives=0)
    open_store(folder / "labels", settings.as_dict())
    for task in plan(frames_in([folder / "h2o2.xyz"]), folder / "labels", settings):
        run_task(task)
    evaluate("pbe", folder / "labels", [])
    return folder
