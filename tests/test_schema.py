"""Options are the signature: what goes in at the command line comes out at the call, checked."""

import keyword
from typing import Any, Literal

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from omegaconf import OmegaConf
from pydantic import PositiveInt

from seqkit import schema
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
