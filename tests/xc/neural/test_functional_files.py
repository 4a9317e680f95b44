"""Files of learned functionals: what is written is read, and what is not whole is refused with a sentence."""

import json
import os
from contextlib import suppress

import flax.linen as nn
import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jqc.errors import FunctionalError, InputError
from jqc.files import seal
from jqc.xc import functional
from jqc.xc import registry as registry_module
from jqc.xc.neural import stored as stored_module
from jqc.xc.neural.architectures import ARCHITECTURES, create
from jqc.xc.neural.files import load, read_provenance, save
from jqc.xc.neural.learned import Learned
from jqc.xc.registry import names, register


@pytest.fixture
def xc(randomised) -> Learned:
    return randomised("xcdiff", 0.1, width=4)


@pytest.fixture
def path(xc, tmp_path):
    save(tmp_path / "mine.npz", xc, {"data": "none", "steps": 3})
    return tmp_path / "mine.npz"


def rewrite(path, change, sealed: bool = True) -> None:
    """Write a file again with its header and arrays changed; its seal made anew, unless it is what changes."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(str(arrays.pop("header")))
    seal_before = header["seal"]
    change(header, arrays)
    if sealed and header["seal"] == seal_before:
        header["seal"] = seal({name: value for name, value in header.items() if name != "seal"})
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def refused(action, *says: object) -> None:
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    for words in says:
        assert str(words) in message


def test_round_trip(xc, path):
    again = load(path)
    assert again.model == xc.model
    for left, right in zip(jax.tree.leaves(again), jax.tree.leaves(xc), strict=True):
        np.testing.assert_array_equal(left, right)
    assert read_provenance(path) == {"data": "none", "steps": 3}


def test_writing_leaves_nothing_behind_and_replaces(xc, path):
    save(path, xc, {"steps": 4})
    assert os.listdir(path.parent) == ["mine.npz"]
    assert read_provenance(path) == {"steps": 4}


def test_a_failure_keeps_the_older_file(xc, path):
    before = path.read_bytes()
    refused(lambda: save(path, xc, {"when": object()}), "JSON")
    refused(lambda: save(path, xc, {"loss": float("nan")}), "JSON")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["mine.npz"]


def test_what_cannot_be_written(xc, tmp_path):
    class Own(nn.Module):
        pass

    refused(lambda: save(tmp_path / "mine.npz", Learned({}, Own()), {}), "Own", "xcdiff")
    refused(lambda: save(tmp_path / "mine.txt", xc, {}), "mine.txt", ".npz")
    refused(lambda: save(tmp_path / "nowhere" / "mine.npz", xc, {}), "nowhere", "cannot be written")


def test_missing_and_foreign_files(tmp_path):
    refused(lambda: load(tmp_path / "none.npz"), "none.npz", "no such file")
    (tmp_path / "text.npz").write_text("pbe")
    refused(lambda: load(tmp_path / "text.npz"), "text.npz", "damaged")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    refused(lambda: load(tmp_path / "other.npz"), "other.npz", "no learned functional")
    np.savez(tmp_path / "objects.npz", header=np.array({"format": 1}, dtype=object))
    refused(lambda: load(tmp_path / "objects.npz"), "objects.npz")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda header, arrays: header.update(format=3), ("format 3", "use the jqc")),
        (lambda header, arrays: arrays["params/exchange_net/Dense_0/bias"].__iadd__(1e-6), ("hash",)),
        (lambda header, arrays: arrays.pop("params/exchange_net/Dense_0/bias"), ("hash",)),
        (lambda header, arrays: header.update(sha256="0"), ("hash",)),
        (lambda header, arrays: header.pop("sha256"), ("lacks its sha256",)),
        (lambda header, arrays: header.update(seal="0"), ("hash",)),
        (lambda header, arrays: header.update(architecture="skala-mgga"), ("no array", "skala-mgga")),
        (lambda header, arrays: header.update(architecture="resnet"), ("resnet", "another version")),
        (lambda header, arrays: header["options"].update(width=5), ("shape (4,)", "shape (5,)")),
        (lambda header, arrays: header["options"].update(depth=2), ("shape (4,)", "shape (1,)")),
        (lambda header, arrays: header["options"].update(colour="red"), ("colour", "another version")),
        (lambda header, arrays: header["options"].update(width="four"), ("width is 'four'", "another version")),
        (lambda header, arrays: header["options"].update(depth=-1), ("depth is -1", "another version")),
        (lambda header, arrays: header.pop("options"), ("lacks its options",)),
    ],
)
def test_what_does_not_fit_is_named(path, change, says):
    rewrite(path, change)
    refused(lambda: load(path), "mine.npz", *says)


@pytest.mark.parametrize(
    ("name", "part", "edit"),
    [
        ("eg-xc", "options", {"cutoff": 5.0}),
        ("skala-mgga", "options", {"floor": 1e-3}),
        ("xcdiff", "provenance", {"steps": 4}),
        ("xcdiff", "provenance", {"by": "nobody"}),
    ],
)
def test_a_header_that_was_edited_is_refused(name, part, edit, randomised, path):
    """Shapes tell nothing of such edits."""
    save(path, randomised(name), {"data": "none", "steps": 3})
    load(path)
    rewrite(path, lambda header, arrays: header[part].update(edit), sealed=False)
    for read in (load, read_provenance):
        refused(lambda read=read: read(path), "mine.npz", "does not hold what was saved")


def test_provenance_comes_back_as_json_has_it(xc, path):
    save(path, xc, {"sizes": (1, 2), 3: "é\ud800", "rate": 0.1})
    assert read_provenance(path) == {"sizes": [1, 2], "3": "é\ud800", "rate": 0.1}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.floats(0, 1), flipped=st.floats(0, 1), at=st.integers(1, 255))
def test_cut_or_flipped_bytes_are_refused_or_harmless(path, length, flipped, at):
    """A truncated file is refused; where a byte is other than written, what is read is what was saved, or nothing."""
    whole = path.read_bytes()
    broken = path.with_name("broken.npz")
    broken.write_bytes(whole[: int(length * (len(whole) - 1))])
    refused(lambda: load(broken), "broken.npz")
    changed = bytearray(whole)
    changed[int(flipped * (len(whole) - 1))] ^= at
    broken.write_bytes(bytes(changed))
    with suppress(FunctionalError):
        for left, right in zip(jax.tree.leaves(load(broken)), jax.tree.leaves(load(path)), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("xcdif", {}, ("xcdif", "xcdiff")),
        ("resnet50", {}, ("resnet50", "eg-xc")),
        ("xcdiff", {"widht": 3}, ("widht", "width")),
        ("eg-xc", {"parent": None}, ("parent", "features")),
        ("xcdiff", {"width": "four"}, ("width is 'four'", "an int from 1 to")),
        ("xcdiff", {"width": 2.5}, ("width is 2.5", "an int from 1 to")),
        ("nn-mgga", {"width": True}, ("width is True", "an int from 1 to")),
        ("xcdiff", {"width": 0}, ("width is 0", "an int from 1 to")),
        ("skala-mgga", {"depth": -1}, ("depth is -1", "an int from 1 to")),
        ("skala-mgga", {"floor": -1}, ("floor is -1", "a positive number")),
        ("skala-mgga", {"floor": "1e-5"}, ("floor is '1e-5'", "a positive number")),
        ("eg-xc", {"cutoff": 0}, ("cutoff is 0", "a positive number")),
        ("eg-xc", {"cutoff": True}, ("cutoff is True", "a positive number")),
        ("eg-xc", {"cutoff": float("nan")}, ("cutoff is nan", "a positive number")),
        ("eg-xc", {"cutoff": 10**400}, ("cutoff is 1000", "a positive number")),
    ],
)
def test_architectures_and_options_that_there_are_not(name, options, says):
    refused(lambda: create(name, jax.random.key(0), **options), *says)


def test_a_whole_number_may_stand_for_a_length():
    cutoff = create("eg-xc", jax.random.key(0), cutoff=9).model.cutoff
    assert (cutoff, type(cutoff)) == (9.0, float)


def test_a_path_is_a_name(path):
    found = functional(str(path))
    assert isinstance(found, Learned)
    assert functional(str(path)) is found
    folder = path.parent / "run"
    folder.mkdir()
    refused(lambda: functional(str(folder)), "run", "functional.npz")
    path.rename(folder / "functional.npz")
    assert functional(str(folder)).model == found.model


def test_a_file_that_changed_is_read_again(randomised, path):
    before = functional(str(path))
    save(path, randomised("xcdiff", 0.2, width=5), {})
    assert functional(str(path)).model != before.model


def test_a_path_behind_which_is_nothing():
    refused(lambda: functional("runs/none.npz"), "runs/none.npz", "no such file")
    refused(lambda: functional("runs/none"), "runs/none", "no such file")
    refused(lambda: functional("~nobody-of-that-name/none.npz"), "none.npz", "no such file")
    refused(lambda: functional("./" + 300 * "b"), "bbb", "file name too long")
    refused(lambda: functional("a\0/none.npz"), "none.npz", "cannot be read")


@pytest.mark.parametrize("text", ["", " ", "~nobody-of-that-name", 300 * "b"])
def test_texts_that_are_no_paths(text, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    path.rename(path.with_name("functional.npz"))
    assert stored_module.stored(text) is None
    refused(lambda: functional(text))
    assert isinstance(functional("."), Learned)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_that_are_not_shipped(architecture, monkeypatch, tmp_path):
    monkeypatch.setattr(stored_module, "WEIGHTS", tmp_path)
    refused(lambda: functional(f"jqc-{architecture}"), f"jqc-{architecture}", "ships no weights")
    assert f"jqc-{architecture}" not in names()


def test_shipped_weights(monkeypatch, tmp_path, xc):
    monkeypatch.setattr(stored_module, "WEIGHTS", tmp_path)
    monkeypatch.setattr(registry_module, "_registered", dict(registry_module._registered))
    save(tmp_path / "xcdiff.npz", xc, {})
    assert "jqc-xcdiff" in names()
    assert functional("jqc-xcdiff") is functional("JQC_XCDiff")
    refused(lambda: functional("jqc-eg-xc"), "jqc-eg-xc", "jqc-xcdiff")
    refused(lambda: functional("0.5*jqc-xcdiff + 0.5*pbe"), "no closed form")
    refused(lambda: register("jqc-xcdiff", xc), "already names")
