"""Arrays in files: what is written is read, and a file that is not whole is refused with a sentence."""

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from jqc.archive import as_tree, named_leaves, read_arrays, read_sealed, write_arrays, write_sealed
from jqc.errors import InputError, StoreError

SOME = {"b": np.arange(6.0).reshape(2, 3), "a": np.zeros((0, 4), np.int32)}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.from_regex("[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True), arrays_of.arrays(float, (2, 3))))
def test_what_is_written_is_read(tmp_path, given_):
    write_arrays(tmp_path / "some.npz", given_)
    found = read_arrays(tmp_path / "some.npz")
    assert found.keys() == given_.keys()
    for name, array in given_.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_header_comes_back(tmp_path):
    write_sealed(tmp_path / "some.npz", 1, {"kind": "x"}, SOME)
    header, found = read_sealed(tmp_path / "some.npz", 1, ["kind"], "thing", StoreError)
    assert (header["kind"], header["format"]) == ("x", 1)
    assert all(np.array_equal(found[name], SOME[name]) for name in SOME)


def test_refusals(tmp_path):
    path = tmp_path / "some.npz"
    with pytest.raises(StoreError, match=r"no such file or directory\); give a thing"):
        read_arrays(path, "thing")
    write_sealed(path, 1, {"kind": "x"}, SOME)
    for form, keys, says in [(2, [], "format 1, but 2 is read"), (1, ["name"], "lacks its name")]:
        with pytest.raises(StoreError, match=says):
            read_sealed(path, form, keys, "thing", StoreError)
    for header in ("nothing", "[]", "[" * 100_000):
        write_arrays(path, {"header": np.array(header)})
        with pytest.raises(StoreError, match="holds no thing"):
            read_sealed(path, 1, [], "thing", StoreError)
    write_sealed(path, 1, {"kind": "x"}, SOME)
    before = path.read_bytes()
    with pytest.raises(InputError, match="JSON"):
        write_sealed(path, 1, {"kind": float("nan")}, SOME)
    assert path.read_bytes() == before
    for damaged in (before[: len(before) // 2], b"", b"nothing"):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged"):
            read_arrays(path)


def test_trees_come_back_by_name(tmp_path):
    tree = {"net": {"w": np.ones((2, 3)), "b": np.zeros(3)}, "scale": np.float32(2.0)}
    arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}
    assert list(arrays) == ["net/b", "net/w", "scale"]
    again = as_tree(tmp_path, arrays, tree, "a net", StoreError)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, tree))
    with pytest.raises(StoreError, match=r"no array for net/b, but a net has shape \(3,\)"):
        as_tree(tmp_path, {name: arrays[name] for name in ("net/w", "scale")}, tree, "a net", StoreError)
