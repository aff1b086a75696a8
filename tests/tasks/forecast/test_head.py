import pytest
import torch
from torch import nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inputs.frames.frontend import FramesFrontend
from seqkit.inputs.frames.spec import Frames
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters
from seqkit.network import Network
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.forecast.distribution import DistributionForecast
from seqkit.tasks.forecast.head import Forecast
from seqkit.tasks.forecast.quantile import QuantileForecast
from seqkit.tasks.forecast.spec import Series

# B batch, T time, H output size of the model, F steps of the forecast, C target channels

INPUTS = Frames(("a", "b", "c"), (1.0, 2.0, 3.0), (2.0, 4.0, 8.0))
SPEC = DataSpec(INPUTS, Series(2, ("c", "a"), (3.0, 1.0), (8.0, 2.0), lookback=5))
OTHER = DataSpec(INPUTS, Series(2, ("d",), (0.0,), (1.0,), lookback=5))


class TinyGRU(nn.Module):
    def __init__(self, input_size, bidirectional=False):
        super().__init__()
        self.rnn = nn.GRU(input_size, 6, batch_first=True, bidirectional=bidirectional)
        self.output_size = 12 if bidirectional else 6
        self.causal = not bidirectional

    def forward(self, x, lengths=None, state=None):
        if lengths is None:
            y, state = self.rnn(x)
            return y, (state,)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, state = self.rnn(packed)
        return nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], (state,)


def network(spec=SPEC, frontend=None, bidirectional=False, **options):
    torch.manual_seed(0)
    frontend = FramesFrontend(spec, **(frontend or {}))
    model = TinyGRU(frontend.output_size, bidirectional)
    head = Forecast(model.output_size, spec, model.causal, frontend.rows_per_sequence, **options)
    return Network(frontend, model, head).eval()


def silent(head):
    """Make a head whose output layer adds nothing, so that only the anchor is left."""
    nn.init.zeros_(head.output.weight)
    nn.init.zeros_(head.output.bias)
    return head


def batch_of(rows=4, steps=5, targets=2):
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(rows, steps, 3, generator=draw)
    return Batch(inputs, targets=torch.randn(rows, 2, targets, generator=draw))


@pytest.mark.parametrize("channels", ["together", "apart"])
def test_outputs_are_horizon_by_targets(channels):
    outputs, _, _ = network(frontend={"channels": channels})(batch_of())
    assert outputs.shape == (4, 2, 2)


def test_anchor_is_the_last_valid_value_of_each_target_in_scaled_units():
    head = silent(Forecast(6, SPEC, True))
    batch = batch_of()
    batch.lengths = torch.tensor([5, 3, 1, 5])
    outputs = head(torch.zeros(4, 5, 6), batch.lengths, batch)
    for row, length in enumerate(batch.lengths):
        _, _, c = batch.inputs[row, length - 1].tolist()
        a = batch.inputs[row, length - 1, 0].item()
        expected = torch.tensor([(c - 3) / 8, (a - 1) / 2])
        torch.testing.assert_close(outputs[row], expected.expand(2, 2))


def test_without_anchor_the_forecast_starts_from_the_training_mean():
    batch = batch_of()
    assert silent(Forecast(6, SPEC, True, anchor="zero"))(torch.zeros(4, 5, 6), None, batch).abs().max() == 0
    batch = batch_of(targets=1)
    assert silent(Forecast(6, OTHER, True))(torch.zeros(4, 5, 6), None, batch).abs().max() == 0


def test_channels_apart_are_the_same_model_for_each_channel_alone():
    both = network(frontend={"channels": "apart", "patch": 2, "center": "last"})
    batch = batch_of()
    outputs, _, _ = both(batch)
    for place, name in enumerate(SPEC.task.names):
        column = INPUTS.names.index(name)
        mean, scale = (INPUTS.mean[column],), (INPUTS.scale[column],)
        alone = DataSpec(Frames((name,), mean, scale), Series(2, (name,), mean, scale, lookback=5))
        single = network(alone, frontend={"patch": 2, "center": "last"})
        single.load_state_dict(both.state_dict())
        expected, _, _ = single(Batch(batch.inputs[:, :, column : column + 1]))
        torch.testing.assert_close(outputs[:, :, place], expected[:, :, 0])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("channels", ["together", "apart"])
def test_padding_never_changes_a_forecast(bidirectional, patch, channels):
    net = network(frontend={"patch": patch, "channels": channels}, bidirectional=bidirectional)
    batch = batch_of()
    batch.lengths = torch.tensor([5, 3, 1, 4])
    outputs, _, _ = net(batch)
    for row, length in enumerate(batch.lengths):
        alone, _, _ = net(Batch(batch.inputs[row : row + 1, :length]))
        torch.testing.assert_close(outputs[row : row + 1], alone)


def test_a_bidirectional_model_is_read_at_both_ends():
    head = Forecast(4, SPEC, False)
    batch = batch_of()
    y = torch.randn(4, 5, 4, requires_grad=True)
    head(y, None, batch).sum().backward()
    used = y.grad.abs().sum(0) > 0
    assert used[0].tolist() == [False, False, True, True]  # the backward direction
    assert used[-1].tolist() == [True, True, False, False]  # the forward direction
    assert not used[1:-1].any()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("mse", 0.5**2 + 2**2), ("mae", 0.5 + 2), ("huber", 0.5 * 0.5**2 + (2 - 0.5))],
)
def test_loss_is_summed_in_scaled_units(loss, expected):
    spec = DataSpec(Frames(("a",), (1.0,), (2.0,)), Series(2, ("a",), (1.0,), (2.0,)))
    head = Forecast(6, spec, True, loss=loss)
    outputs = torch.zeros(1, 2, 1)
    total, items = head.loss(outputs, None, Batch(torch.zeros(1, 3, 1), targets=torch.tensor([[[2.0], [5.0]]])))
    assert total.item() == pytest.approx(expected)
    assert items == 2


def test_decode_gives_names_and_values_in_the_units_of_the_data():
    head = Forecast(6, SPEC, True)
    outputs = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    answers = SPEC.task.answers(head.predict(outputs, None, batch_of(rows=1)), SPEC)
    assert answers == [{"names": ["c", "a"], "values": [[3.0, 3.0], [11.0, 1.0]]}]


def test_learns_a_sine():
    """Training through frontend, model and head brings the error far below that of repeating the last value."""
    wave = torch.sin(torch.arange(400) * 0.3)[:, None] * 5 + 20
    spec = DataSpec(Frames(("a",), (20.0,), (3.5,)), Series(3, ("a",), (20.0,), (3.5,), lookback=20))
    starts = range(20, 397)
    batch = Batch(
        torch.stack([wave[start - 20 : start] for start in starts]),
        targets=torch.stack([wave[start : start + 3] for start in starts]),
    )
    net = network(spec, {"center": "last"})
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        outputs, lengths, _ = net(batch)
        loss, items = net.head.loss(outputs, lengths, batch)
        optimizer.zero_grad()
        (loss / items).backward()
        optimizer.step()
    repeat_last = ((batch.targets - batch.inputs[:, -1:]) / 3.5).square().mean()
    assert (loss / items).item() < 0.05 * repeat_last.item()


def test_monitors_the_squared_error():
    assert Forecast.monitor == ("mse", "min")


def test_the_scaling_is_not_saved_with_the_weights():
    assert sorted(Forecast(6, SPEC, True).state_dict()) == ["output.bias", "output.weight"]


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (DataSpec(INPUTS, Classes(("x",), (1,))), {},
         "head=forecast needs a series, this data has Classes; use head=classify"),
        (OTHER, {"anchor": "last"}, "head.anchor=last needs every target among the inputs; 'd' is not"),
        (OTHER, {"rows_per_sequence": 3}, "frontend.channels=apart needs every target among the inputs; 'd' is not"),
        (DataSpec(Tokens(Characters(("x",))), OTHER.task), {"anchor": "last"},
         "head.anchor=last needs every target among the inputs; 'd' is not"),
    ],
)  # fmt: skip
def test_refuses_what_it_cannot_serve(spec, options, message):
    with pytest.raises(ConfigError) as caught:
        Forecast(6, spec, True, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("head", [QuantileForecast, DistributionForecast])
def test_differences_are_refused_where_their_spread_would_be_summed(head):
    spec = DataSpec(
        INPUTS, Series(2, ("c",), (3.0,), (8.0,), 5, read=(2,), transform="difference", transformed=((0, 1),))
    )
    with pytest.raises(ConfigError, match="gives a spread, and that of a sum of differences is not the sum of theirs"):
        head(6, spec, True)
    assert not Forecast(6, spec, True).anchored


def test_counts_are_refused_where_they_are_transformed():
    series = Series(2, ("c",), (3.0,), (8.0,), 5, counts=(True,), transform="log", transformed=((0.0, 1.0),))
    with pytest.raises(
        ConfigError, match="negative_binomial is of counts, not of what data.transform=log makes of them"
    ):
        DistributionForecast(6, DataSpec(INPUTS, series), True, distribution="negative_binomial")


def test_rows_of_the_output_are_named_so_that_targets_in_another_order_get_their_own():
    named = {}
    for names in (("c", "a"), ("a", "c")):
        torch.manual_seed(0)
        series = Series(3, names, (0.0,) * 2, (1.0,) * 2, lookback=5)
        named[names] = Forecast(6, DataSpec(INPUTS, series), True, anchor="zero").eval()
    one, other = named.values()
    rows = one.row_names["output.weight"]
    assert len(set(rows)) == len(rows) == len(one.output.weight)
    order = [rows.index(name) for name in other.row_names["output.weight"]]
    other.load_state_dict({name: tensor[order] for name, tensor in one.state_dict().items()})
    y, batch = torch.randn(2, 4, 6), Batch(torch.zeros(2, 4, 3))
    assert torch.equal(other(y, None, batch), one(y, None, batch).flip(-1))


def test_rows_of_a_single_target_are_steps_whatever_its_name():
    heads = [
        Forecast(6, DataSpec(INPUTS, Series(horizon, (name,), (0.0,), (1.0,), lookback=5)), True)
        for horizon, name in ((2, "a"), (3, "b"))
    ]
    short, long = (head.row_names["output.bias"] for head in heads)
    assert long[:2] == short
    assert len(long) == 3
