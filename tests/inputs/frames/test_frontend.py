from dataclasses import replace

import pytest
import torch

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.frontend import FramesFrontend
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.spec import Series

# B batch, T time, I numbers a frame

TWO = DataSpec(Frames(("a", "b"), (1.0, 10.0), (2.0, 5.0)), Classes(("x",), (1,)))
ONE = DataSpec(Frames(("a",), (0.0,), (1.0,)), Classes(("x",), (1,)))


def steps(count):
    """Return one row of one channel that counts up from 1."""
    return torch.arange(1.0, count + 1).view(1, -1, 1)


def test_scales_by_mean_and_scale_of_the_spec():
    x, lengths = FramesFrontend(TWO)(torch.tensor([[[1.0, 10.0], [5.0, 0.0]]]), None)
    assert x.tolist() == [[[0, 0], [2, -2]]]
    assert lengths is None


def test_center_subtracts_the_last_valid_frame():
    frontend = FramesFrontend(ONE, center="last")
    x, _ = frontend(steps(4), None)
    assert x.flatten().tolist() == [-3, -2, -1, 0]
    x, _ = frontend(steps(4), torch.tensor([2]))
    assert x.flatten()[:2].tolist() == [-1, 0]


def test_patches_are_aligned_to_the_end_of_the_window():
    x, lengths = FramesFrontend(ONE, patch=2)(steps(4), None)
    assert x.tolist() == [[[1, 2], [3, 4]]]
    assert lengths is None
    x, _ = FramesFrontend(ONE, patch=3)(steps(4), None)
    assert x.tolist() == [[[1, 1, 1], [2, 3, 4]]]  # filled up by its first frame


def test_patches_of_rows_of_different_lengths_end_at_each_last_valid_step():
    inputs = steps(5).expand(3, -1, -1)
    x, lengths = FramesFrontend(ONE, patch=2)(inputs, torch.tensor([5, 4, 1]))
    assert lengths.tolist() == [3, 2, 1]
    assert x.tolist() == [[[1, 1], [2, 3], [4, 5]], [[1, 2], [3, 4], [0, 0]], [[1, 1], [0, 0], [0, 0]]]


def test_patches_of_several_channels_keep_steps_in_order():
    spec = DataSpec(Frames(("a", "b"), (0.0, 0.0), (1.0, 1.0)), ONE.task)
    x, _ = FramesFrontend(spec, patch=2)(torch.tensor([[[1.0, 5.0], [2.0, 6.0]]]), None)
    assert x.tolist() == [[[1, 5, 2, 6]]]


def test_channels_apart_makes_each_channel_a_row():
    inputs = torch.tensor([[[1.0, 5.0], [2.0, 6.0]], [[3.0, 7.0], [0.0, 0.0]]])
    spec = DataSpec(Frames(("a", "b"), (0.0, 0.0), (1.0, 1.0)), ONE.task)
    x, lengths = FramesFrontend(spec, channels="apart")(inputs, torch.tensor([2, 1]))
    assert x[:, :, 0].tolist() == [[1, 2], [5, 6], [3, 0], [7, 0]]
    assert lengths.tolist() == [2, 2, 1, 1]


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, 2),
        ({"patch": 3}, 6),
        ({"patch": 3, "channels": "apart"}, 3),
        ({"patch": 3, "project": 7}, 7),
        ({"project": 4, "channels": "apart"}, 4),
    ],
)
def test_output_size_is_that_of_the_output(options, size):
    frontend = FramesFrontend(TWO, **options)
    assert frontend.output_size == size
    assert frontend(torch.randn(2, 7, 2), None)[0].shape[2] == size


@pytest.mark.parametrize("center", ["none", "last"])
@pytest.mark.parametrize("channels", ["together", "apart"])
@pytest.mark.parametrize("patch", [1, 2, 3])
def test_padding_never_changes_a_valid_output(center, channels, patch):
    torch.manual_seed(0)
    frontend = FramesFrontend(TWO, center=center, channels=channels, patch=patch, project=4)
    lengths = torch.tensor([5, 1, 4, 6])
    inputs = torch.randn(4, 6, 2)
    x, valid = frontend(inputs, lengths)
    per_row = 2 if channels == "apart" else 1
    for row, length in enumerate(lengths):
        alone, none = frontend(inputs[row : row + 1, :length], None)
        assert none is None
        for channel in range(per_row):
            place = row * per_row + channel
            assert valid[place] == alone.shape[1]
            torch.testing.assert_close(x[place, : valid[place]], alone[channel])
    noise = inputs.clone()
    for row, length in enumerate(lengths):
        noise[row, length:] = 99.0
    again, _ = frontend(noise, lengths)
    for row, steps_ in enumerate(valid):
        torch.testing.assert_close(again[row, :steps_], x[row, :steps_])


def test_the_scaling_is_not_saved_with_the_weights():
    assert list(FramesFrontend(TWO).state_dict()) == []


def test_refuses_other_inputs():
    with pytest.raises(ConfigError) as caught:
        FramesFrontend(DataSpec(Tokens(Characters(("a",))), ONE.task))
    assert str(caught.value) == "frontend=frames needs frames, this data has Tokens; use frontend=embedding"


# --- columns of other roles

TABLE = DataSpec(
    Frames(
        ("sales", "promo", "size", "region"),
        (10.0, 0.5, 6.0, 0.0),
        (5.0, 0.5, 2.0, 1.0),
        roles=("past", "known", "static", "static"),
        levels=((), (), (), ("N", "S")),
    ),
    Series(2, ("sales",), (10.0,), (5.0,)),
)
ROWS = torch.tensor([[[5.0, 1.0, 8.0, 2.0], [15.0, 0.0, 8.0, 2.0]], [[10.0, 0.0, 4.0, 7.0], [20.0, 1.0, 4.0, 7.0]]])


def test_a_series_is_scaled_by_what_its_columns_say():
    frames = Frames(("sales", "promo"), (10.0, 0.5), (5.0, 0.5), roles=("past", "known"))
    frontend = FramesFrontend(DataSpec(frames.scaled_by_series(()), TABLE.task), center="last")
    rows = torch.tensor([[[5.0, 1.0, 3.0, 2.0], [15.0, 0.0, 3.0, 2.0]], [[10.0, 0.0, 0.0, 5.0], [20.0, 1.0, 0.0, 5.0]]])
    x, _ = frontend(rows)
    assert x.tolist() == [[[-5.0, 1.0], [0.0, -1.0]], [[-2.0, -1.0], [0.0, 1.0]]]


def test_static_columns_stand_once_in_a_patch_and_categories_as_vectors():
    frontend = FramesFrontend(TABLE, patch=2, category_size=3)
    x, lengths = frontend(ROWS)
    assert x.shape == (2, 1, frontend.output_size) == (2, 1, 2 * 2 + 1 + 3)
    assert x[0, 0, :5].tolist() == [-1.0, 1.0, 1.0, -1.0, 1.0]
    vectors = frontend.vectors[0].weight
    assert torch.equal(x[:, 0, 5:], vectors[[2, 0]])  # a level that the training part has not is the first
    assert lengths is None


def test_only_columns_of_the_past_are_centred():
    x, _ = FramesFrontend(TABLE, center="last", category_size=1)(ROWS)
    assert x[0, :, :3].tolist() == [[-2.0, 1.0, 1.0], [0.0, -1.0, 1.0]]


def test_by_the_window_only_columns_of_the_past_are_scaled():
    spec = replace(TABLE, inputs=replace(TABLE.inputs, window=True))
    frontend = FramesFrontend(spec, category_size=1)
    x, _ = frontend(ROWS)
    assert x[0, :, :3].tolist() == [[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0]]
    assert "data.scaling=standard" in frontend.looks_ahead
    scaled, _ = frontend(ROWS * torch.tensor([100.0, 1.0, 1.0, 1.0]))
    assert torch.allclose(scaled, x)


def test_each_channel_apart_is_refused_where_some_are_there_for_the_others():
    with pytest.raises(ConfigError, match="and 'promo' is there for the others; use frontend.channels=together"):
        FramesFrontend(TABLE, channels="apart")


def test_the_padding_of_logarithms_stays_finite_and_out_of_the_scale():
    frames = Frames(("a",), (0.0,), (1.0,), window=True, transform="log")
    rows = torch.tensor([[1e6, 1.01e6, 0.0, 0.0], [1.0, 1.01, 1.0, 1.01]])[:, :, None]
    for patch in (1, 2):
        x, _ = FramesFrontend(DataSpec(frames, ONE.task), patch=patch)(rows, torch.tensor([2, 4]))
        assert x.isfinite().all()
        assert torch.allclose(x[0].flatten()[:2], torch.tensor([-1.0, 1.0]), atol=0.01)
