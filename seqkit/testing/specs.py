"""Specs to check the ends of a network with: that of the data named, or made-up ones of the built-in kinds."""

from collections.abc import Callable, Iterator
from typing import Any

from seqkit import registry
from seqkit.contracts.spec import DataSpec
from seqkit.data.loading import set_up
from seqkit.errors import ConfigError
from seqkit.faults import said
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.inputs.waveform.spec import Waveform
from seqkit.inputs.words.spec import SpelledWords
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.regress.spec import Numbers
from seqkit.tasks.tag.spec import Tags
from seqkit.tasks.transcribe.spec import Transcript
from seqkit.testing.line import Chosen


def specs() -> Iterator[DataSpec]:
    """Yield specs in which each built-in input kind and each built-in task stands at least once."""
    frames = Frames(("a", "b", "c"), mean=(0.5, -1.0, 0.0), scale=(1.0, 2.0, 0.5))
    classes = Classes(("one", "two", "three"), (1, 1, 1))
    tokenizer: Any = Characters.fit(Characters.pieces("abcdefgh"), None)
    tokens = Tokens(tokenizer)
    yield DataSpec(frames, Series(horizon=2, names=("a", "c"), mean=(0.5, 0.0), scale=(1.0, 0.5)))
    yield DataSpec(frames, classes)
    yield DataSpec(frames, Numbers(("speed",), (1.0,), (0.5,)))
    yield DataSpec(tokens, NextToken())
    yield DataSpec(tokens, classes)
    yield DataSpec(SpelledWords.fit("lower_word", ["one", "two", "three"], None), Tags(("A", "B", "C")))
    yield DataSpec(Waveform(1000), Transcript(("a", "b", " ")))


def spec_for(chosen: Chosen, build: Callable[[DataSpec], Any]) -> DataSpec:
    """Return the spec of the data on a line; without data, the first made-up one that a component can be built for.

    Args:
        chosen: Components of the line.
        build: Builds the component for a spec.

    Raises:
        ConfigError: It can be built for none of them; the message is that of the last.
    """
    if "data" in chosen:
        data = registry.build("data", chosen["data"])
        set_up(data)
        return data.spec
    reason = ""
    for spec in specs():
        try:
            build(spec)
        except ConfigError as refusal:
            reason = str(refusal)
        except Exception as error:  # its author thought of one kind only
            reason = said(error)
        else:
            return spec
    raise ConfigError(f"{reason}; name data that fit it: data=NAME")
