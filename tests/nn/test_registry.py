"""Registry: names, options, and what every architecture must keep to."""

from __future__ import annotations

import pytest
import torch

from bihrnet.errors import BihrnetError
from bihrnet.nn import architectures, build, latent_parameters
from bihrnet.nn.registry import find, register

NAMES = {
    "binary-hrnet-w16",
    "binary-hrnet-w32",
    "bihrnet-w16",
    "bihrnet-w16-noir",
    "bihrnet-w16-unpruned",
    "bihrnet-w18",
    "bihrnet-w32",
    "bihrnet-w32-noir",
    "bihrnet-w32-unpruned",
    "dite-hrnet-18",
    "dite-hrnet-30",
    "edite-hrnet-l",
    "edite-hrnet-s",
    "hrnet-w16",
    "hrnet-w18",
    "hrnet-w32",
    "hrnet-w48",
    "lite-hrnet-18",
    "lite-hrnet-30",
    "mobilenet-v2",
    "simplebaseline-r50",
    "small-hrnet-w16",
}


def test_all_architectures_are_there_in_order() -> None:
    assert set(architectures()) >= NAMES
    assert list(architectures()) == sorted(architectures())
    assert all(entry.description for entry in architectures().values())


@pytest.mark.parametrize("name", sorted(architectures()))
def test_every_network_can_be_traced_and_gives_a_quarter_of_the_size(name: str) -> None:
    width = 64 + architectures()[name].multiple
    with torch.device("meta"):
        traced = torch.fx.symbolic_trace(build(name, 5).eval())
        assert traced(torch.empty(2, 3, 64, width)).shape == (2, 5, 16, width // 4)


@pytest.mark.parametrize("name", sorted(architectures()))
def test_binary_is_said_of_those_with_binary_convolutions(name: str) -> None:
    with torch.device("meta"):
        model = build(name, 5)
    assert bool(latent_parameters(model)) == architectures()[name].binary


@pytest.mark.parametrize("name", ["bihrnet-w16", "binary-hrnet-w16", "small-hrnet-w16"])
def test_a_traced_network_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, 5).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.fx.symbolic_trace(model)(x), model(x))


def test_options_are_the_builders_keywords() -> None:
    options = architectures()["bihrnet-w32"].options
    assert options == {
        "se_on": "input",
        "unit_act": "rprelu",
        "sign_input": "shift",
        "unit_shortcut": "outside",
        "real_act": "prelu",
        "gradient": "approx",
    }
    assert "se_on" not in architectures()["bihrnet-w32-noir"].options
    assert architectures()["hrnet-w32"].options == {}


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (("bihrnet-w31", 17), {}, "bihrnet-w32"),
        (("resnext", 17), {}, "hrnet-w32"),
        (("bihrnet-w32", 17), {"unit_ct": "prelu"}, "unit_act"),
        (("hrnet-w32", 17), {"gradient": "ste"}, "none"),
        (("bihrnet-w32", 17), {"unit_act": "relu"}, "'rprelu' or 'prelu'"),
        (("bihrnet-w32", 17), {"width": 16}, "width"),
        (("hrnet-w32", 0), {}, "joint"),
    ],
)
def test_what_does_not_fit_is_refused_by_a_sentence(arguments, options, sentence: str) -> None:
    with pytest.raises(BihrnetError, match=sentence):
        build(*arguments, **options)


def test_an_unknown_name_gets_similar_ones_or_else_the_whole_list() -> None:
    with pytest.raises(BihrnetError, match=r"^no architecture 'hrnet-w33'; did you mean .*\?$"):
        find("hrnet-w33")
    with pytest.raises(BihrnetError, match=r"^no architecture 'x'; known: .*bihrnet-w32, "):
        find("x")
    sentence = (
        r"^no architecture, bundled model or model file 'mine@own'; did you mean mine@home\?$"
    )
    with pytest.raises(BihrnetError, match=sentence):
        find("mine@own", ["mine@home"])


@pytest.mark.parametrize(
    ("name", "fits", "does_not"),
    [("bihrnet-w16", (64, 96), (64, 100)), ("binary-hourglass-1", (64, 128), (64, 96))],
)
def test_a_network_says_which_inputs_it_takes(name, fits, does_not) -> None:
    architecture = find(name)
    architecture.check_size(fits)
    sentence = f"{name} takes .* multiples of {architecture.multiple}, not 64x{does_not[1]}"
    with pytest.raises(BihrnetError, match=sentence):
        architecture.check_size(does_not)
    with pytest.raises(BihrnetError, match="not 0x64"):
        architecture.check_size((0, 64))


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        register("hrnet-w32", "again")(lambda joints: torch.nn.Identity())
