"""A stream says of a sequence in chunks what the network says of the whole of it, and holds no more the longer it is."""

import math
import resource

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError, DataError
from seqkit.inference.predict import predict_sequence
from seqkit.inference.stream import Stream
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters, Words
from seqkit.inputs.waveform.spec import Waveform
from seqkit.network import Network, agree, assemble
from seqkit.registry import load_built_in
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series
from seqkit.tasks.next_token.spec import NextToken
from seqkit.tasks.transcribe.spec import Transcript
from seqkit.trained import Trained

TOKENS = Tokens(Characters(tuple("abcdefg")))
WORDS = Tokens(Words(("<unk>", "<eos>", "the", "end")))
FRAMES = Frames(("x", "y"), (1.0, -2.0), (2.0, 0.5))
SOUND = Waveform(1000)
CLASSES = Classes(("no", "yes", "maybe"), (3, 4, 2))
SERIES = Series(3, ("y",), (-2.0,), (0.5,), 5, None)
TRANSCRIPT = Transcript(("a", "b", "lo"))
LOGMEL = {"name": "logmel", "n_mels": 4, "window": 0.032, "hop": 0.012, "normalise": "none"}
APART = {"frontend": {"name": "frames", "channels": "apart"}, "head": {"name": "forecast"}}


def made(inputs, targets, seed=0, **chosen) -> tuple[Network, DataSpec]:
    load_built_in()
    torch.manual_seed(seed)
    spec = DataSpec(inputs, targets)
    config = {"frontend": None, "model": {"name": "lstm", "hidden_size": 6, "num_layers": 2}, "head": None, **chosen}
    network = assemble(config, spec)
    for weight in network.parameters():  # large, so that the outputs move
        nn.init.normal_(weight)
    return network.eval(), spec


def stream(inputs, targets, **chosen) -> Stream:
    return Stream(*made(inputs, targets, **chosen))


def draw(kind, steps: int) -> Tensor:
    source = torch.Generator().manual_seed(1)
    if isinstance(kind, Tokens):
        return torch.randint(len(kind.vocabulary), (steps,), generator=source)
    return torch.randn(*((steps, 2) if isinstance(kind, Frames) else (steps * 8,)), generator=source)


def same(got, expected) -> None:
    """Compare plain JSON: floats to the rounding of float32."""
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        got, expected = list(got.values()), list(expected.values())
    if isinstance(expected, list):
        for one, other in zip(got, expected, strict=True):
            same(one, other)
    else:
        assert got == (pytest.approx(expected, rel=1e-5, abs=1e-5) if isinstance(expected, float) else expected)


CASES = [
    (TOKENS, NextToken(), {}),
    (TOKENS, NextToken(), {"model": {"name": "peephole_lstm", "hidden_size": 6, "learned_state": True}}),
    (WORDS, NextToken(), {"model": {"name": "elman", "hidden_size": 6, "residual": True, "zoneout": 0.2}}),
    (TOKENS, CLASSES, {"model": {"name": "gru", "hidden_size": 6, "num_layers": 2, "layer_norm": True}}),
    *(
        (FRAMES, CLASSES, {"head": {"name": "classify", "pooling": how}})
        for how in ("last", "mean", "max", "attention")
    ),
    (FRAMES, SERIES, {}),
    (FRAMES, SERIES, {"head": {"name": "forecast", "anchor": "zero"}, "frontend": {"name": "frames", "project": 3}}),
    (FRAMES, SERIES, APART),
    (FRAMES, TRANSCRIPT, {"model": {"name": "cifg_lstm", "hidden_size": 6, "projection_size": 3}}),
    (SOUND, CLASSES, {"frontend": LOGMEL}),
    (SOUND, CLASSES, {"frontend": {**LOGMEL, "stack": 3}, "head": {"name": "classify", "pooling": "max"}}),
    (SOUND, TRANSCRIPT, {"frontend": LOGMEL}),
    (SOUND, TRANSCRIPT, {"frontend": {**LOGMEL, "stack": 2, "hop": 0.02}}),
]


@pytest.mark.parametrize("size", [1, 3, (7, 1, 12, 40), 1000], ids=str)
@pytest.mark.parametrize(("inputs", "targets", "chosen"), CASES)
@torch.no_grad()
def test_chunks_give_what_the_whole_gives(inputs, targets, chosen, size):
    network, spec = made(inputs, targets, **chosen)
    values = draw(inputs, 60)
    batch = Batch(values[None])
    whole, _, _ = network(batch)
    expected = predict_sequence(network, spec, values)

    one = Stream(network, spec)
    for _ in range(2):  # the second time after a reset
        answers, outputs = [], []
        chunks = values.split(size) if isinstance(size, int) else values.split([*size, len(values) - sum(size)])
        for give in (*(lambda chunk=chunk: one.feed(chunk) for chunk in chunks), one.finish):
            answer = give()
            if answer is not None:
                answers.append(answer)
                outputs.append(one.outputs)
        every_step = isinstance(targets, NextToken | Transcript)
        torch.testing.assert_close(torch.cat(outputs, 1) if every_step else outputs[-1], whole, rtol=1e-4, atol=1e-5)
        if isinstance(targets, Transcript):
            assert len(expected["text"]) > 3
            assert "".join(answer["text"] for answer in answers) == expected["text"]
        else:
            same(answers[-1], {name: expected[name] for name in answers[-1]})
        one.reset()
        assert one.outputs is None


@pytest.mark.parametrize("samples", [1, 31, 32, 33, 43, 44, 45, 32 + 2 * 12 + 11, 32 + 3 * 12])
@pytest.mark.parametrize("stack", [1, 3])
def test_the_ends_of_a_waveform(samples, stack):
    """Shorter than a window, samples after the last frame, frames that do not fill a step: as the frontend has it."""
    network, spec = made(SOUND, TRANSCRIPT, frontend={**LOGMEL, "stack": stack})
    waveform = draw(SOUND, 20)[:samples]
    whole, _, _ = network(Batch(waveform[None]))
    one, outputs = Stream(network, spec), []
    for give in (*(lambda sample=sample: one.feed(sample) for sample in waveform), one.finish):
        if give() is not None:
            outputs.append(one.outputs)
    torch.testing.assert_close(torch.cat(outputs, 1), whole.detach(), rtol=1e-4, atol=1e-5)


def test_every_kind_of_chunk_of_text_is_taken():
    network, spec = made(TOKENS, NextToken())
    expected = Stream(network, spec).feed("abcag")
    for chunks in (["ab", "c", "", "ag"], [0, 1, [2, 0], np.array([6])], [np.int64(0), torch.tensor([1, 2]), (0, 6)]):
        one = Stream(network, spec)
        answers = [one.feed(chunk) for chunk in chunks]
        same(answers[-1], expected)
    assert Stream(network, spec).feed("") is None
    words = stream(WORDS, NextToken())
    words.feed("the end\nnobody")
    assert words.outputs.shape == (1, 4, 4)


def test_every_kind_of_chunk_of_numbers_is_taken():
    one, other = stream(FRAMES, SERIES), stream(FRAMES, SERIES)
    rows = draw(FRAMES, 4).double()
    expected = one.feed(rows)
    assert other.feed(rows[0]) is not None
    assert other.feed([]) is None
    other.feed(rows[1:2].numpy())
    same(other.feed(rows[2:].tolist()), expected)
    single = Frames(("x",), (0.0,), (1.0,)), Series(2, ("x",), (0.0,), (1.0,), 5, None)
    one, other = stream(*single), stream(*single)
    expected = one.feed([[1.0], [2.0], [3.0]])
    other.feed(1.0)
    same(other.feed([2, 3]), expected)


def test_what_predict_says_of_the_whole_text():
    network, spec = made(TOKENS, NextToken())
    trained = Trained(network, spec, {"data": {}}, None, {})
    (expected,) = trained.predict("abcabcgfedaab")
    one = trained.stream()
    for chunk in ("abc", "a", "bcgfedaa", "b"):
        answer = one.feed(chunk)
    same(answer["next"], expected["next"])
    assert answer["bits_per_character"] == pytest.approx(expected["bits_per_character"], rel=1e-5)
    assert set(Stream(network, spec).feed("a")) == {"next"}  # nothing was predicted yet


def test_a_finished_stream_takes_nothing_until_it_is_reset():
    one = stream(SOUND, TRANSCRIPT, frontend=LOGMEL)
    assert one.finish() is None
    with pytest.raises(ConfigError) as error:
        one.feed([0.0])
    assert str(error.value) == "the stream is finished; reset() starts another"
    one.reset()
    assert one.feed(torch.randn(31)) is None  # no frame yet
    assert one.feed(0.5) is not None
    assert one.finish() is one.finish() is None


def test_an_input_kind_need_not_read_an_empty_chunk_to_be_finished(monkeypatch):
    one = stream(FRAMES, CLASSES)
    one.feed([[0.0] * len(FRAMES.names)])
    monkeypatch.setattr(Frames, "chunk", None)
    assert one.finish() is None


@pytest.mark.parametrize("infinite", [torch.inf, -torch.inf])
def test_an_infinite_output_hides_no_difference_in_others(infinite):
    whole = torch.tensor([[[infinite, 1.0, 2.0]]])
    assert agree([whole.clone()], whole)
    assert not agree([torch.tensor([[[infinite, 1.0, 2.1]]])], whole)


def test_a_refused_chunk_leaves_the_stream_as_it_was():
    one, other = stream(TOKENS, NextToken()), stream(TOKENS, NextToken())
    one.feed("abc")
    with pytest.raises(ConfigError):
        one.feed("a§")
    same(one.feed("fg"), other.feed("abcfg"))


@pytest.mark.parametrize(("inputs", "chunk", "message"), [
    (TOKENS, 7, "a chunk must be text, or token ids (tokens,) from 0 to 6; this one holds 7"),
    (TOKENS, [0, -1], "a chunk must be text, or token ids (tokens,) from 0 to 6; this one holds 0, -1"),
    (TOKENS, [0.5], "a chunk must be text, or token ids (tokens,) from 0 to 6; this one holds 0.5"),
    (TOKENS, [[1]], "a chunk must be text, or token ids (tokens,) from 0 to 6; this one has shape (1, 1)"),
    (TOKENS, None, "a chunk must be text, or token ids (tokens,) from 0 to 6; this one is of type NoneType"),
    (FRAMES, [1.0, 2.0, 3.0], "a chunk must be rows (rows, 2): x, y; this one has shape (3,)"),
    (FRAMES, 1.0, "a chunk must be rows (rows, 2): x, y; this one has shape ()"),
    (FRAMES, "1, 2", "a chunk must be rows (rows, 2): x, y; this one is of type str"),
    (FRAMES, [[1.0, math.nan]], "the chunk holds values that are not numbers (NaN or infinity)"),
    (SOUND, [[1.0]], "a chunk must be samples (samples,), 1000 a second; this one has shape (1, 1)"),
    (SOUND, b"12", "a chunk must be samples (samples,), 1000 a second; this one is of type bytes"),
])  # fmt: skip
def test_bad_chunks_are_refused(inputs, chunk, message):
    one = stream(inputs, CLASSES, **({"frontend": LOGMEL} if inputs is SOUND else {}))
    with pytest.raises(DataError) as error:
        one.feed(chunk)
    assert str(error.value) == message


def test_unknown_characters_are_refused():
    with pytest.raises(ConfigError) as error:
        stream(TOKENS, NextToken()).feed("a§")
    assert str(error.value) == "unknown to the model: '§'; its training text had none, leave that out"


@pytest.mark.parametrize(("inputs", "chosen", "message"), [
    (FRAMES, {"model": {"name": "gru", "bidirectional": True}},
     "stream: the model also reads each sequence from its end; train with model.bidirectional=false"),
    (FRAMES, {"frontend": {"name": "frames", "center": "last"}},
     "stream: frontend.center=last needs the last frame of the whole sequence; train with frontend.center=none"),
    (FRAMES, {"frontend": {"name": "frames", "patch": 4}},
     "stream: frontend.patch=4 folds from the end of the whole sequence; train with frontend.patch=1"),
    (SOUND, {"frontend": {**LOGMEL, "normalise": "band"}},
     "stream: frontend.normalise=band needs the whole waveform; train with frontend.normalise=none"),
])  # fmt: skip
def test_what_needs_the_whole_sequence_is_refused(inputs, chosen, message):
    with pytest.raises(ConfigError) as error:
        stream(inputs, CLASSES, **chosen)
    assert str(error.value) == message


class Mine(nn.Module):
    pass


@pytest.mark.parametrize(("part", "needed"), [("frontend", "looks_ahead"), ("head", "stream")])
def test_a_plugins_part_that_cannot_be_streamed_is_named(part, needed):
    network, spec = made(FRAMES, CLASSES)
    setattr(network, part, Mine())
    with pytest.raises(ConfigError) as error:
        Stream(network, spec)
    assert str(error.value) == (
        f"stream: Mine has no '{needed}', so how to use it on a part of a sequence is unknown; "
        "see seqkit.inference.stream.Stream"
    )


class Summing(nn.Module):
    """A frontend whose steps depend on the ones before, though it says that it can be streamed."""

    looks_ahead, output_size = None, 2

    def forward(self, inputs, lengths):
        return inputs.cumsum(1), lengths


class Forgetting(nn.Module):
    """A model that returns a state and never reads it."""

    causal, output_size = True, 6

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, 6, batch_first=True)

    def forward(self, x_BTI, lengths_B=None, state=None):
        y_BTH, h_LBH = self.rnn(x_BTI)
        return y_BTH, (h_LBH,)


class Stateless(Forgetting):
    def forward(self, x_BTI, lengths_B=None, state=None):
        return super().forward(x_BTI)[0], ()


class LastChunk(nn.Module):
    """A head whose stream answers for the last chunk only."""

    def forward(self, y_BTH, lengths_B, batch):
        return y_BTH.mean(1)

    def stream(self, y_BTH, batch, memory):
        return self(y_BTH, None, batch), {}, None


DIFFERS = "gives something else for chunks of a sequence than for the whole; use predict on the whole sequence"


@pytest.mark.parametrize(("part", "made_of", "reason"), [
    ("frontend", Summing, f"Summing {DIFFERS}"),
    ("model", Forgetting, f"Forgetting {DIFFERS}"),
    ("model", Stateless, "Stateless carries no state, so what came before a chunk would be forgotten; "
     "use predict on the whole sequence"),
    ("head", LastChunk, f"LastChunk {DIFFERS}"),
], ids=["frontend", "model", "stateless", "head"])  # fmt: skip
def test_a_part_that_forgets_what_came_before_is_refused_by_name(part, made_of, reason):
    network, spec = made(FRAMES, CLASSES)
    assert network.takes_chunks(spec) is False  # the mean over all steps: no state holds it
    setattr(network, part, made_of())
    before = torch.get_rng_state()
    with pytest.raises(ConfigError) as error:
        Stream(network.eval(), spec)
    assert str(error.value) == f"stream: {reason}"
    assert torch.equal(torch.get_rng_state(), before)


# --- memory


def held(one: Stream) -> int:
    """Bytes of all tensors that a stream keeps alive."""
    return sum(
        part.untyped_storage().nbytes() for part in tree_leaves(list(vars(one).values())) if isinstance(part, Tensor)
    )


@pytest.mark.parametrize(("inputs", "targets", "chosen"), CASES)
def test_what_is_kept_does_not_grow(inputs, targets, chosen):
    one, kept = stream(inputs, targets, **chosen), []
    for chunk in draw(inputs, 100).split(5):
        one.feed(chunk)
        one.outputs = None  # the last chunk's, as long as that
        kept.append(held(one))
    half = len(kept) // 2
    assert 0 < max(kept[half:]) <= max(kept[:half]) < 4000


@pytest.mark.slow
def test_memory_is_flat_over_100_000_steps():
    one = stream(TOKENS, NextToken())
    ids = draw(TOKENS, 100_000)
    for number, step in enumerate(ids):
        one.feed(step)
        if number == 2000:
            before, peak = held(one), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert held(one) == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2000  # KiB


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.int64])
def test_token_ids_of_any_integer_type_and_stride(kind):
    ids, due = np.array([2, 0, 1], kind), [1, 0, 2]
    assert TOKENS.chunk(ids[::-1]).tolist() == due
