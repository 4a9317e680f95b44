"""What is written comes back; what is damaged, changed or foreign is refused with the file's name."""

import json
import os
import shutil
import string
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from jqc.data import Record, Store, open_store
from jqc.errors import InputError, StoreError
from jqc.files import ABANDONED

SETTINGS = {"functional": "b3lyp", "grid_level": 3, "fitted": True}
ARRAYS = {
    "dm": (np.arange(400.0).reshape(20, 20), "1"),
    "coords": (np.linspace(-1, 1, 9).reshape(3, 3), "bohr"),
    "energy": (np.array(-76.3), "hartree"),
}
ATTRIBUTES = {"charge": 0, "smiles": "O", "weight": 0.1, "converged": True}


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "store", SETTINGS, {"jqc": "0.1"})


@pytest.fixture
def water(store) -> Path:
    """The file of a record `water`."""
    store.write("water", ARRAYS, ATTRIBUTES)
    return store.folder / "water.h5"


def assert_same(record: Record, arrays: dict, attributes: dict) -> None:
    assert record.arrays.keys() == arrays.keys()
    for key, (array, unit) in arrays.items():
        assert record.arrays[key].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(record.arrays[key], array, strict=array.dtype.isnative)
        assert record.units[key] == unit
    assert json.dumps(record.attributes, sort_keys=True) == json.dumps(attributes, sort_keys=True)


# --- round trips ---

names = st.text(string.ascii_letters + string.digits + "_", max_size=20).map(lambda text: "a" + text)
dtypes = stn.boolean_dtypes() | stn.integer_dtypes() | stn.floating_dtypes() | stn.complex_number_dtypes()
arrays = dtypes.flatmap(lambda dtype: stn.arrays(dtype, stn.array_shapes(min_dims=0, min_side=0, max_side=4)))
units = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
values = units | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(names, st.tuples(arrays, units), max_size=4), st.dictionaries(names, values, max_size=4))
def test_records_come_back(store, arrays, attributes):
    store.write("any", arrays, attributes)
    assert_same(store.read("any"), arrays, attributes)


def test_some_arrays_alone(store, water):
    record = store.read("water", ["energy"])
    assert_same(record, {"energy": ARRAYS["energy"]}, ATTRIBUTES)
    with pytest.raises(StoreError, match=r"water.h5 has no array 'forces'; ask for one of coords, dm, energy"):
        store.read("water", ["forces"])


def test_large_attributes_and_many(store):
    attributes = {f"key{at}": "é" * 40_000 for at in range(20)}
    store.write("large", {}, attributes)
    assert store.read("large").attributes == attributes


def test_equal_records_make_equal_files(store, water):
    again = """
import sys, numpy as np
from jqc.data import open_store
open_store(sys.argv[1]).write(
    "water",
    {"energy": (np.array(-76.3), "hartree"), "coords": (np.linspace(-1, 1, 9).reshape(3, 3), "bohr"),
     "dm": (np.arange(400.0).reshape(20, 20).T.copy().T, "1")},
    {"converged": True, "weight": 0.1, "smiles": "O", "charge": 0})
"""
    before = water.read_bytes()
    time.sleep(1.1)  # times in HDF5 files are whole seconds
    subprocess.run([sys.executable, "-c", again, str(store.folder)], check=True)
    assert water.read_bytes() == before


@pytest.mark.parametrize(
    ("arrays", "attributes"),
    [
        ({"a": (np.array(["text"]), "1")}, {}),
        ({"a": (np.array([None]), "1")}, {}),
        ({"a": (np.zeros(2, np.longdouble), "1")}, {}),
        ({"a/b": (np.zeros(2), "1")}, {}),
        ({"": (np.zeros(2), "1")}, {}),
        ({"a": (np.zeros(2), "nul\0")}, {}),
        ({}, {"a": None}),
        ({}, {"a": 2**63}),
        ({}, {"a": "\ud800"}),
        ({}, {"_record": "ethanol"}),
        ({}, {"a": [1, 2]}),
    ],
)
def test_refuses_what_would_not_come_back(store, arrays, attributes):
    with pytest.raises(StoreError):
        store.write("bad", arrays, attributes)
    assert store.names() == []


@pytest.mark.parametrize("name", ["", ".", "../a", "a/b", ".hidden", "a b", "a\n", "x" * 201])
def test_refuses_names_that_are_no_file(store, name):
    with pytest.raises(StoreError, match="cannot name a record"):
        store.write(name, {})


# --- damage ---


def test_flipped_bytes_are_seen(store, water):
    content, generator = bytearray(water.read_bytes()), np.random.default_rng(0)
    for at in generator.choice(len(content), 300, replace=False):
        content[at] ^= (flip := int(generator.integers(1, 256)))
        water.write_bytes(content)
        content[at] ^= flip
        with pytest.raises(StoreError, match=r"water\.h5 is damaged .*delete it and run"):
            store.read("water")
    water.write_bytes(content)
    assert_same(store.read("water"), ARRAYS, ATTRIBUTES)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(store, water, part):
    content = water.read_bytes()
    water.write_bytes(content[: int(part * len(content))])
    with pytest.raises(StoreError, match=r"water\.h5 .*delete it and run"):
        store.read("water")


def replace_array(file: h5py.File) -> None:
    file["dm"][3, 4] = 0.0


def replace_dataset(file: h5py.File) -> None:
    kept = dict(file["energy"].attrs)
    del file["energy"]
    file.create_dataset("energy", data=-75.0).attrs.update(kept)


def edit_unit(file: h5py.File) -> None:
    file["coords"].attrs["unit"] = "angstrom"


def edit_attribute(file: h5py.File) -> None:
    file.attrs["charge"] = 1


def add_attribute(file: h5py.File) -> None:
    file.attrs["spin"] = 1


def delete_array(file: h5py.File) -> None:
    del file["dm"]


def add_group(file: h5py.File) -> None:
    file.create_group("more")


@pytest.mark.parametrize(
    "change", [replace_array, replace_dataset, edit_unit, edit_attribute, add_attribute, delete_array, add_group]
)
def test_changed_files_are_refused(store, water, change):
    with h5py.File(water, "r+") as file:
        change(file)
    with pytest.raises(StoreError, match=r"water\.h5 .*delete it and run"):
        store.read("water")


def test_missing_foreign_and_renamed_files_are_refused(store, water):
    with pytest.raises(StoreError, match=r"ethanol\.h5 cannot be read .no such file"):
        store.read("ethanol")
    shutil.copy(water, store.folder / "ethanol.h5")
    with h5py.File(store.folder / "foreign.h5", "w") as file:
        file["dm"] = np.eye(2)
    with pytest.raises(StoreError, match=r"ethanol\.h5 is the record 'water'"):
        store.read("ethanol")
    with pytest.raises(StoreError, match=r"foreign\.h5 .*delete it and run"):
        store.read("foreign")


def test_any_hdf5_reader_opens_a_record(water):
    with h5py.File(water) as file:
        assert (file["energy"][()], file["energy"].attrs["unit"], file.attrs["smiles"]) == (-76.3, "hartree", "O")


# --- the folder ---


def test_lists_records_and_failures(store, water):
    store.fail("benzene", "no convergence in 100 iterations")
    store.fail("water", "an earlier failure of what is there")
    assert (store.names(), store.done("water"), store.done("benzene")) == (["water"], True, False)
    assert store.failures() == {"benzene": "no convergence in 100 iterations"}
    store.write("benzene", {})
    assert (store.names(), store.failures()) == (["benzene", "water"], {})


def test_opens_with_the_same_settings_only(store):
    assert open_store(store.folder).settings == SETTINGS
    assert open_store(str(store.folder), dict(reversed(SETTINGS.items()))).settings == SETTINGS
    with pytest.raises(StoreError, match=r'store\.json was .*functional "b3lyp" there, "pbe" here; spin null there'):
        open_store(store.folder, SETTINGS | {"functional": "pbe", "spin": 0})
    with pytest.raises(StoreError, match=r"grid_level 3 there, true here"):
        open_store(store.folder, SETTINGS | {"grid_level": True})


def test_notes_versions(store):
    before = (store.folder / "store.json").read_bytes()
    assert open_store(store.folder, SETTINGS, {"jqc": "0.1"}).versions == {"jqc": ["0.1"]}
    assert (store.folder / "store.json").read_bytes() == before
    open_store(store.folder, SETTINGS, {"jqc": "0.2", "jax": "0.10"})
    assert open_store(store.folder).versions == {"jax": ["0.10"], "jqc": ["0.1", "0.2"]}


def test_refuses_folders_that_are_no_store(tmp_path, store):
    with pytest.raises(StoreError, match=r"no store\.json"):
        open_store(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file cannot be written"):
        open_store(tmp_path / "file", {})
    with pytest.raises(StoreError, match="JSON"):
        open_store(tmp_path / "new", {"bound": float("inf")})


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 2}', '{"format": 2, "settings": 3, "versions": {}}'])
def test_a_damaged_description_is_not_made_anew(store, water, content):
    """Deleting it would let other settings stand over records that are there."""
    path = store.folder / "store.json"
    path.write_text(content)
    for given_ in (None, SETTINGS):
        with pytest.raises(StoreError, match=r"store\.json is damaged; put a copy of it back, or give another folder"):
            open_store(store.folder, given_)
    path.unlink()
    for given_ in (None, SETTINGS, {"functional": "pbe"}):
        with pytest.raises(StoreError, match=r"store holds records but no store\.json; put its own back, or"):
            open_store(store.folder, given_)
    assert store.read("water").attributes == ATTRIBUTES


def test_edited_settings_are_refused(store):
    path = store.folder / "store.json"
    before = json.loads(path.read_text())
    for change in ({"settings": SETTINGS | {"functional": "pbe"}}, {"settings": {}}, {"seal": "0"}, {"seal": None}):
        path.write_text(json.dumps(before | change))
        with pytest.raises(StoreError, match=r"store\.json has been changed: its settings are not those of"):
            open_store(store.folder)
    path.write_text(json.dumps(before | {"format": 1}))
    with pytest.raises(StoreError, match=r"store\.json is not of format 2"):
        open_store(store.folder)
    path.write_text(json.dumps(before, indent=1, sort_keys=True))
    assert open_store(store.folder, SETTINGS).settings == SETTINGS


def test_what_cannot_be_read_is_not_called_damaged(store):
    store.fail("water", "no convergence")
    for name in ("water.failed.json", "store.json"):
        (store.folder / name).unlink()
        (store.folder / name).mkdir()
        with pytest.raises(StoreError, match=rf"{name} cannot be read \(is a directory\); make it readable"):
            open_store(store.folder).failures()


def test_damaged_notes_of_failures_may_be_deleted(store):
    store.fail("water", "no convergence")
    (store.folder / "water.failed.json").write_text("{")
    with pytest.raises(StoreError, match=r"water\.failed\.json is damaged; delete it and run the job that"):
        store.failures()


def test_leftovers_of_killed_writers_go_and_living_writers_keep_theirs(store):
    old, new = store.folder / ".jqc-00.tmp", store.folder / ".jqc-01.tmp"
    for path in (old, new):
        path.write_bytes(b"half a rec")
    os.utime(old, (time.time() - 2 * ABANDONED,) * 2)
    assert open_store(store.folder).names() == []
    assert (old.exists(), new.exists()) == (False, True)
