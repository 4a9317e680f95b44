"""Names and expressions that can be read, and the sentences for those that cannot."""

from contextlib import suppress

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jqc.errors import FunctionalError
from jqc.xc import Functional, functional
from jqc.xc import registry as registry_module
from jqc.xc.registry import names, register
from jqc.xc.semilocal import Semilocal


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("PBE", "pbe"),
        ("B3LYP", "b3lyp"),
        ("b3-lyp", "b3lyp"),
        ("CAM-B3LYP", "cam-b3lyp"),
        ("camb3lyp", "cam-b3lyp"),
        ("cam_b3lyp", "cam-b3lyp"),
        ("M06-L", "m06-l"),
        ("m06l", "m06-l"),
        ("ωB97X", "wb97x"),
        ("wB97X", "wb97x"),
        (" hse 06 ", "hse06"),
        ("svwn", "lda"),
        ("svwn5", "lda"),
        ("r2SCAN", "r2scan"),
    ],
)
def test_spellings(text, name):
    assert functional(text) is functional(name)
    assert functional(name).name == name


@pytest.mark.parametrize(
    ("expression", "terms", "exchange"),
    [
        ("lda,vwn", {"slater": 1, "vwn5": 1}, {}),
        ("slater, vwn5", {"slater": 1, "vwn5": 1}, {}),
        ("lda,pw", {"slater": 1, "pw92": 1}, {}),
        ("pbe,pbe", {"pbe_x": 1, "pbe_c": 1}, {}),
        ("b88,lyp", {"b88": 1, "lyp": 1}, {}),
        ("tpss,scan", {"tpss_x": 1, "scan_c": 1}, {}),
        ("m06-l,m06-l", {"m06l_x": 1, "m06l_c": 1}, {}),
        (",lyp", {"lyp": 1}, {}),
        ("pbe,", {"pbe_x": 1}, {}),
        ("hf", {}, {0.0: 1}),
        ("0.5*hf + 0.5*slater, lyp", {"slater": 0.5, "lyp": 1}, {0.0: 0.5}),
        (
            ".2*HF+.08*slater+.72*b88,.81*lyp+.19*vwn",
            {"slater": 0.08, "b88": 0.72, "lyp": 0.81, "vwn5": 0.19},
            {0.0: 0.2},
        ),
        ("0.5*pbe0 + 0.5*blyp", {"pbe_x": 0.375, "pbe_c": 0.5, "b88": 0.5, "lyp": 0.5}, {0.0: 0.125}),
        ("pbe - 1e-1*b88 + hf", {"pbe_x": 1, "pbe_c": 1, "b88": -0.1}, {0.0: 1}),
        (
            "0.5*cam-b3lyp-0.5*hf",
            {"b88": 0.175, "b88_sr033": 0.23, "vwn5": 0.095, "lyp": 0.405},
            {0.0: -0.405, 0.33: 0.23},
        ),
        ("b3lyp - 0.2*hf - 0.81*lyp", {"slater": 0.08, "b88": 0.72, "vwn_rpa": 0.19}, {}),
        ("hse06 + 0*pbe", {"wpbe_x": 1, "wpbe_sr011": -0.25, "pbe_c": 1}, {-0.11: 0.25}),
        ("pbe_x + 0.5*vwn_rpa", {"pbe_x": 1, "vwn_rpa": 0.5}, {}),
    ],
)
def test_expressions(expression, terms, exchange):
    got = functional(expression)
    assert dict(got.terms) == pytest.approx(terms)
    assert dict(got.exchange) == pytest.approx(exchange)


@pytest.mark.parametrize(
    ("name", "exchange"),
    [
        ("pbe", ()),
        ("b3lyp", ((0.0, 0.2),)),
        ("pbe0", ((0.0, 0.25),)),
        ("cam-b3lyp", ((0.0, 0.19), (0.33, 0.46))),
        ("hse06", ((-0.11, 0.25),)),
        ("wb97x", ((0.0, 0.157706), (0.3, 0.842294))),
    ],
)
def test_exchange_of_named_functionals(name, exchange):
    assert functional(name).exchange == exchange


@pytest.mark.parametrize(
    ("name", "ingredients"), [("hf", "none"), ("lda", "rho"), ("pbe0", "sigma"), ("0.1*r2scan + lda", "tau")]
)
def test_ingredients(name, ingredients):
    assert functional(name).ingredients == ingredients


@pytest.mark.parametrize(
    ("received", "says"),
    [
        ("pbee", "pbe"),
        ("b3lpy", "b3lyp"),
        ("b88, lyb", "lyp"),
        ("lyp,b88", "b88"),
        ("b3lyp,", "slater"),
        ("", "pbe"),
        ("  ", "pbe"),
        (",", "pbe"),
        ("pbe,,lyp", "exchange,correlation"),
        ("0.5*", "0.5*name"),
        ("pbe+", "0.5*name"),
        ("pbe++blyp", "0.5*name"),
        ("2pbe", "0.5*name"),
        ("pbe*0.5", "0.5*name"),
        ("nan*pbe", "finite"),
        ("inf*pbe", "finite"),
        ("1e999*pbe", "finite"),
        ("1.2.3*pbe", "finite"),
        (None, "NoneType"),
    ],
)
def test_one_sentence_says_what_was_received(received, says):
    with pytest.raises(FunctionalError) as caught:
        functional(received)
    message = str(caught.value)
    assert says in message
    assert message.endswith(".")
    assert "\n" not in message
    if received:
        assert received in message or received.split(",")[-1].strip() in message


@given(
    st.text(alphabet="pbe3ly*+-., 01ehf", max_size=14)
    | st.text(alphabet="pbe+-./~\0\n\udc80\ud800é jqcnz_", max_size=14)
    | st.text(alphabet="b/", min_size=250, max_size=5000)
)
def test_any_text_is_read_or_refused(text):
    with suppress(FunctionalError):
        assert isinstance(functional(text), Functional)


def test_static_pytree():
    pbe = functional("pbe")
    assert jax.tree.leaves(pbe) == []
    assert hash(pbe) == hash(functional("PBE"))
    assert isinstance(pbe, Functional)


def test_register(monkeypatch):
    monkeypatch.setattr(registry_module, "_registered", dict(registry_module._registered))
    mine = Semilocal("mine", (("pbe_x", 0.9), ("pbe_c", 1.0)))
    register("my-pbe", mine)
    assert functional("MyPBE") is mine
    assert "my-pbe" in names()
    assert dict(functional("0.5*my-pbe").terms) == {"pbe_x": 0.45, "pbe_c": 0.5}
    for taken in ("pbe", "PBE", "svwn", "lyp", "my_pbe"):
        with pytest.raises(FunctionalError, match="already names"):
            register(taken, mine)
    with pytest.raises(FunctionalError, match="letter"):
        register("0.5*pbe", mine)
    with pytest.raises(FunctionalError, match="needs a Functional"):
        register("other", "pbe")


def test_a_functional_that_is_no_closed_form_stands_alone(monkeypatch):
    class Constant:
        ingredients = "none"
        exchange = ()
        local = False

        def energy(self, density, quadrature):
            return 0.0

    monkeypatch.setattr(registry_module, "_registered", dict(registry_module._registered))
    constant = Constant()
    register("constant", constant)
    assert functional("constant") is constant
    with pytest.raises(FunctionalError, match="closed form"):
        functional("0.5*constant + 0.5*pbe")
