"""Options are the signature: what goes in at the command line comes out at the call, checked."""

import keyword
import math
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from omegaconf import OmegaConf
from pydantic import PositiveInt
from torch import nn

from seqkit import registry, schema
from seqkit.errors import ConfigError, PluginError
from seqkit.schema import Probability

VALUES: dict[Any, st.SearchStrategy] = {
    int: st.integers(-(2**40), 2**40),
    PositiveInt: st.integers(1, 2**40),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Probability: st.floats(0, 1, exclude_max=True),
    bool: st.booleans(),
    str: st.text("abc xyz_-/.", max_size=8).filter(lambda text: text.strip() == text),
    Literal["red", "green"]: st.sampled_from(["red", "green"]),
    int | None: st.none() | st.integers(-99, 99),
    list[int]: st.lists(st.integers(-99, 99), max_size=3),
    list[float] | list[str]: st.lists(st.floats(-9, 9), max_size=3),
}
NAMES = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))


@st.composite
def components(draw):
    """Return a function with random options, and values for some of them."""
    names = draw(st.lists(NAMES.filter(lambda name: name not in ("name", "size")), unique=True, max_size=5))
    kinds = {name: draw(st.sampled_from(list(VALUES))) for name in names}
    defaults = {name: draw(VALUES[kinds[name]]) for name in names}
    text = ", ".join(f"{name}: kinds['{name}'] = defaults['{name}']" for name in names)
    scope: dict[str, Any] = {"kinds": kinds, "defaults": defaults}
    exec(f"def component(size: int{', *, ' + text if names else ''}): pass", scope)
    chosen = {name: draw(VALUES[kinds[name]]) for name in names if draw(st.booleans())}
    return scope["component"], defaults, chosen


@given(components())
@settings(max_examples=60, deadline=None)
def test_signature_to_node_to_overrides_to_call_gives_back_the_arguments(case):
    component, defaults, chosen = case
    node = OmegaConf.structured(schema.node("thing", component, {"name": "thing"}))
    composed = OmegaConf.to_container(OmegaConf.merge(node, chosen))
    assert composed.pop("name") == "thing"
    checked = schema.check(component, composed, "model=thing")
    assert checked == {**defaults, **chosen}
    assert list(checked) == [option.name for option in schema.options(component)]
    assert schema.check(component, schema.plain(component, checked), "model=thing") == checked


def component(
    size: int,
    *,
    needed: PositiveInt,
    share: Probability = 0.5,
    color: Literal["red", "green"] = "red",
    sizes: list[int] | None = None,
) -> None:
    """Do nothing."""


@pytest.mark.parametrize(("given", "line"), [
    ({}, "model=thing needs model.needed"),
    ({"needed": 1, "shar": 1}, "no option 'shar' in model=thing. Did you mean 'share'? Options: needed, share, color, sizes"),
    ({"needed": 1, "size": 1}, "no option 'size' in model=thing. Did you mean 'sizes'? Options: needed, share, color, sizes"),
    ({"needed": 0}, "model.needed=0: input should be greater than 0"),
    ({"needed": 1, "share": 1}, "model.share=1: input should be less than 1"),
    ({"needed": 1, "color": "blue"}, "model.color=blue: choose one of 'red', 'green'"),
    ({"needed": 1, "sizes": [1, "x"]}, "model.sizes=x (item 1): input should be a valid integer, unable to parse "
                                       "string as an integer"),
])  # fmt: skip
def test_refusals(given, line):
    with pytest.raises(ConfigError) as refusal:
        schema.check(component, given, "model=thing")
    assert str(refusal.value) == line


def test_what_could_not_be_checked_is_refused():
    def anything(size: int, **options: int) -> None: ...

    def bare(size: int, *, width=3) -> None: ...

    with pytest.raises(PluginError, match="parameter 'options' takes any argument; name each option"):
        schema.options(anything)
    with pytest.raises(PluginError, match="parameter 'width' has no annotation; give it a type"):
        schema.options(bare)


def test_a_default_list_is_not_shared():
    def listed(*, sizes: list[int] = [1]) -> None: ...  # noqa: B006

    node = schema.node("thing", listed)
    node().sizes.append(2)
    assert node().sizes == [1]


class Shade(Enum):
    DARK = "dark"


DEFAULTS = [
    (int, 3, True), (int, 0.5, False), (int, 1.0, False), (int, True, False), (int, None, False), (int, "3", False),
    (float, 1, True), (float, math.nan, False), (float, True, False), (PositiveInt, 0, False), (bool, 1, False),
    (str, "a", True), (str, 3, False), (str, Path("a"), False), (int | None, None, True), (int | None, 0.5, False),
    (Literal["a", "b"], "a", True), (Literal["a", "b"], "c", False), (Path, Path("a"), True), (Shade, Shade.DARK, True),
    (list[int], [1], True), (list[int], (1,), True), (list[int], ["a"], False), (tuple[int, int], (1, 2), True),
    (dict[str, int], {"a": 1}, True), (Any, object(), False), (Any, math.sqrt, False), (list[Any], [object()], False),
    (nn.Module, nn.ReLU(), False), (torch.Tensor | None, None, True),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "default", "right"), DEFAULTS, ids=map(str, range(len(DEFAULTS))))
def test_a_default_is_right_or_refused_before_it_breaks_every_config(kind, default, right):
    def component(size: int, *, needed: int, option: kind = default) -> None: ...  # type: ignore[valid-type]

    if right:
        schema.check_defaults(component, "model 'x'")
        assert "option" in OmegaConf.structured(schema.node("x", component))
        schema.check(component, {"needed": 1}, "model=x")
    else:
        with pytest.raises(PluginError, match=r"^model 'x': option 'option' has the default "):
            schema.check_defaults(component, "model 'x'")


@pytest.mark.parametrize("kind", [*registry.KINDS, *registry.SPEC_KINDS])
def test_defaults_of_the_built_in_components_are_right(kind):
    for name, component in registry.components(kind).items():
        schema.check_defaults(component.factory, f"{kind} '{name}'")


def test_an_annotation_that_cannot_be_read_is_refused():
    def component(size: int, *, option: "Nowhere" = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(PluginError, match="component: its annotations cannot be read: name 'Nowhere' is not defined"):
        schema.options(component)
