"""Folders of runs: what they refuse to go on with, what is deleted in them, and disks that are full."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import regression
from regression import SHORT as SETTINGS
from regression import run

from jqc.errors import InputError, TrainingError
from jqc.files import ABANDONED
from jqc.training import checkpoint as checkpoints
from jqc.training.records import append, settle

ABOUT = {"model": "xcdiff", "weights": (1.0, 0.5), "options": {"width": 8}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run(folder, about=ABOUT)
    return folder


@pytest.fixture
def held(finished, tmp_path):
    """The folder of a run, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"about": ABOUT | {"model": "eg-xc"}}, "run model = xcdiff, and eg-xc is given"),
        ({"about": ABOUT | {"model": "eg-xc"}, "parameters_": regression.parameters(np.float32)}, "run model = xcdiff"),
        ({"about": {}}, "run model = xcdiff, and none is given"),
        ({"settings": replace(SETTINGS, learning_rate=0.5)}, "setting learning_rate = 0.01, and 0.5 is given"),
        ({"settings": replace(SETTINGS, seconds=60.0)}, "setting seconds = none, and 60.0 is given"),
        ({"data_": regression.data()[:1]}, r"examples training = \[10, 5\], and \[10\] is given"),
        (
            {"parameters_": regression.parameters(np.float32)},
            r"parameter \['in'\] = float64\[2, 8\], and float32\[2, 8\] is given",
        ),
        (
            {"parameters_": regression.parameters() | {"more": np.zeros(3)}},
            r"parameter \['more'\] = none, and float64\[3\] is given",
        ),
    ],
)
def test_another_run_is_refused(held, change, message):
    with pytest.raises(TrainingError, match=rf"settings\.json is of a run with {message}.*; give the same, or another"):
        run(held, **({"about": ABOUT} | change))


def test_what_is_told_may_be_anything_that_json_holds(held):
    """Tuples come back as lists, which are the same."""
    assert run(held, about=ABOUT | {"weights": [1.0, 0.5]}).stopped == "steps"


@pytest.mark.parametrize("value", [float("nan"), Path("labels"), {"rates": [float("inf")]}, {("a",): 1}])
def test_what_json_cannot_hold_is_refused_by_name(tmp_path, value):
    with pytest.raises(TrainingError, match=r"about\['data'\] is .*, which JSON cannot hold; give text, finite"):
        run(tmp_path / "run", about=ABOUT | {"data": value})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("left", ["metrics.jsonl", "checkpoints/0000000039", "checkpoints/mine"])
def test_a_folder_without_settings_must_be_empty(held, left):
    """A new run would drop the records and delete the checkpoints of whoever was there."""
    (held / "checkpoints" / "mine").mkdir()
    for path in (held / "settings.json", held / "metrics.jsonl", *(held / "checkpoints").iterdir()):
        if path != held / left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(TrainingError, match=rf"copy holds {left} but no settings\.json; put its own back, or give"):
        run(held)
    assert (held / left).exists()
    assert not (held / "settings.json").exists()


def test_what_is_no_checkpoint_is_left_alone(held):
    mine = [held / "checkpoints" / name for name in ("notes", "best.tmp", "0000000039 copy", "40", ".hidden")]
    for path in mine:
        path.mkdir()
        (path / "kept").write_text("by me")
    half = [held / "checkpoints" / f"0000000030{end}" for end in (".tmp", ".orbax-checkpoint-tmp-170000")]
    for path in half:
        path.mkdir()
    run(held, about=ABOUT)
    assert all((path / "kept").exists() for path in mine)
    assert not any(path.exists() for path in half)


def test_temporary_files_of_killed_writers_go(held):
    (held / ".jqc-00.tmp").write_text("half a rec")
    os.utime(held / ".jqc-00.tmp", (time.time() - 2 * ABANDONED,) * 2)
    before = (held / "metrics.jsonl").stat()
    run(held, about=ABOUT)
    assert sorted(path.name for path in held.iterdir()) == ["checkpoints", "metrics.jsonl", "settings.json"]
    after = (held / "metrics.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_checkpoint_of_other_arrays_is_refused(tmp_path):
    checkpoints.save(tmp_path, 1, {"a": np.zeros(3)})
    with pytest.raises(TrainingError, match=r"0000000001 holds \['a'\] as float64\[3\], and float64\[4\] is needed"):
        checkpoints.restore(tmp_path / "0000000001", {"a": np.zeros(4)})
    with pytest.raises(TrainingError, match=r"holds \['a'\] as float64\[3\], and missing is needed"):
        checkpoints.restore(tmp_path / "0000000001", {"b": np.zeros(3)})


def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged(tmp_path):
    checkpoints.save(tmp_path, 1, {"a": np.zeros(3)})
    (tmp_path / "0000000001" / "_METADATA").unlink()
    with pytest.raises(TrainingError, match=r"0000000001 is damaged; delete it, and the run begins anew"):
        checkpoints.restore(tmp_path / "0000000001", {"a": np.zeros(3)})
    (tmp_path / "0000000001" / "_METADATA").mkdir()
    with pytest.raises(TrainingError, match=r"0000000001 cannot be read \(is a directory\); make it readable"):
        checkpoints.restore(tmp_path / "0000000001", {"a": np.zeros(3)})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax's threads end after their loop
@pytest.mark.parametrize("room", [10, 1000])
def test_a_checkpoint_without_room(tmp_path, full_disk, room):
    """The first limit is met by a file that orbax writes, the second by one of tensorstore, with its own errors."""
    with (
        full_disk(room),
        pytest.raises(TrainingError, match=r"0000000001 cannot be written \(file too large\); free it, and the run"),
    ):
        checkpoints.save(tmp_path, 1, {"a": np.random.default_rng(0).normal(size=1000)})
    assert checkpoints.complete(tmp_path) == []


def test_records_without_room(tmp_path, full_disk):
    path = tmp_path / "metrics.jsonl"
    with (
        full_disk(10),
        pytest.raises(TrainingError, match=r"metrics\.jsonl cannot be written \(file too large\); free"),
    ):
        append(path, {"kind": "validation", "step": 20})
    path.unlink()
    path.mkdir()
    with pytest.raises(TrainingError, match=r"metrics\.jsonl cannot be written \(is a directory\); free"):
        settle(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"setting": 1}'])
def test_damaged_settings_are_named(held, content):
    (held / "settings.json").write_text(content)
    with pytest.raises(TrainingError, match=r"settings\.json is damaged; give another folder, or delete .*copy to"):
        run(held, about=ABOUT)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"file cannot hold a run \(.*\); free it"):
        run(tmp_path / "file")


def test_settings_without_room_are_not_called_damaged(tmp_path, full_disk):
    with full_disk(room=10), pytest.raises(InputError, match=r"settings\.json cannot be written \(file too large\)"):
        run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_refused_stays_as_it_was(tmp_path):
    (tmp_path / "settings.json").write_text('{"setting": {}, "examples": {}, "parameter": {}}')
    with pytest.raises(TrainingError, match="is of a run with setting"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
