"""lstm, gru and elman against torch.nn by weight copy, in float64: outputs, states and all gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqkit.models import Recurrent
from seqkit.models.backends import native
from seqkit.models.cells.elman import Elman
from seqkit.models.cells.gru import GRU
from seqkit.models.cells.lstm import LSTM
from seqkit.padding import after_last

torch.set_num_threads(1)
PEERS = {LSTM: nn.LSTM, GRU: nn.GRU, Elman: nn.RNN}
PARAMETERS = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
I, H, B, T = 3, 4, 5, 6  # noqa: E741
LENGTHS = torch.tensor([2, 6, 1, 4, 6])


def pairs(model: Recurrent, peer: nn.RNNBase) -> list[tuple[Tensor, Tensor]]:
    """Our parameters beside theirs, which have the same layout."""
    found = []
    for number, layer in enumerate(model.layers):
        for direction, suffix in zip(layer, ("", "_reverse"), strict=False):
            for name in PARAMETERS:
                found.append((getattr(direction, name), getattr(peer, f"{name}_l{number}{suffix}")))
    return found


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "padded"])
@pytest.mark.parametrize(
    ("cell", "backend"),
    [
        (cell, backend)
        for cell in PEERS
        for backend in ("auto", "native", "fused", "reference")
        if backend != "fused" or hasattr(cell, "fused")
    ],
)
def test_outputs_states_and_gradients_are_those_of_torch(cell, backend, lengths, num_layers, bidirectional):
    torch.manual_seed(0)
    model = Recurrent(
        cell, I, hidden_size=H, num_layers=num_layers, bidirectional=bidirectional, backend=backend
    ).double()
    peer = PEERS[cell](I, H, num_layers, bidirectional=bidirectional, batch_first=True).double()
    with torch.no_grad():
        for ours, theirs in pairs(model, peer):
            ours.copy_(theirs)
    directions = 2 if bidirectional else 1
    x = torch.randn(B, T, I, dtype=torch.float64, requires_grad=True)
    state = tuple(
        torch.randn(num_layers * directions, B, H, dtype=torch.float64, requires_grad=True) for _ in cell.states
    )
    x_peer, state_peer = x.detach().clone().requires_grad_(), tuple(p.detach().clone().requires_grad_() for p in state)

    y, after = model(x, lengths, state)
    argument = state_peer if len(state) > 1 else state_peer[0]
    if lengths is None:
        y_peer, after_peer = peer(x_peer, argument)
    else:
        rows = pack_padded_sequence(x_peer, lengths, batch_first=True, enforce_sorted=False)
        rows, after_peer = peer(rows, argument)
        y_peer, _ = pad_packed_sequence(rows, batch_first=True, total_length=T)
    after_peer = after_peer if len(state) > 1 else (after_peer,)

    results = list(zip((y, *after), (y_peer, *after_peer), strict=True))
    for ours, theirs in results:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    weights = [torch.randn_like(theirs) for _, theirs in results]
    sum((ours * weight).sum() for (ours, _), weight in zip(results, weights, strict=True)).backward()
    sum((theirs * weight).sum() for (_, theirs), weight in zip(results, weights, strict=True)).backward()
    for ours, theirs in [(x, x_peer), *zip(state, state_peer, strict=True), *pairs(model, peer)]:
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", [GRU, Elman])
def test_packed_and_padded_kernels_agree(cell):
    """On a CPU the stack pads these cells and on CUDA it packs them, so what CUDA would run is compared here."""
    torch.manual_seed(0)
    direction = Recurrent(cell, I, hidden_size=H).double().layers[0][0]
    x = torch.randn(T, B, I, dtype=torch.float64)
    start = torch.randn(B, H, dtype=torch.float64)
    lengths = torch.tensor([2, 6, 0, 4, 6])
    (y,), (after,) = native.run(cell.native, x, lengths, direction.projections(0.0).weights, (start[None],))
    (y_padded,) = native.padded(cell.native, x, direction.projections(0.0).weights, (start,))
    torch.testing.assert_close(after[0], after_last(y_padded, lengths, start), rtol=0, atol=1e-10)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(y[:length, row], y_padded[:length, row], rtol=0, atol=1e-10)
        assert (y[length:, row] == 0).all()


@pytest.mark.parametrize("backend", ["native", "fused", "reference"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
def test_projection_is_that_of_torch(backend, bidirectional):
    """torch carries the projected hidden state, the stack the one before, so its initial one is projected for torch."""
    torch.manual_seed(0)
    sizes = {"num_layers": 2, "bidirectional": bidirectional}
    model = Recurrent(LSTM, I, hidden_size=H, projection_size=2, backend=backend, **sizes).double()
    peer = nn.LSTM(I, H, proj_size=2, batch_first=True, **sizes).double()
    directions = [direction for layer in model.layers for direction in layer]
    with torch.no_grad():
        for direction, names in zip(directions, peer.all_weights, strict=True):
            for ours, theirs in zip((*PARAMETERS, "weight_hr"), names, strict=True):
                getattr(direction, ours).copy_(theirs)
    x = torch.randn(B, T, I, dtype=torch.float64)
    h, c = torch.randn(2, len(directions), B, H, dtype=torch.float64)
    projected = torch.stack([part @ theirs[-1].t() for part, theirs in zip(h, peer.all_weights, strict=True)])
    y, (h_after, c_after) = model(x, None, (h, c))
    y_peer, (h_peer, c_peer) = peer(x, (projected, c))
    after = torch.stack([direction.project(part) for direction, part in zip(directions, h_after, strict=True)])
    for ours, theirs in ((y, y_peer), (after, h_peer), (c_after, c_peer)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    y.sin().sum().backward()
    y_peer.sin().sum().backward()
    for direction, names in zip(directions, peer.all_weights, strict=True):
        for ours, theirs in zip((*PARAMETERS, "weight_hr"), names, strict=True):
            torch.testing.assert_close(getattr(direction, ours).grad, theirs.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", PEERS)
@pytest.mark.parametrize("learned_state", [False, True], ids=["zero", "learned"])
def test_the_kernel_is_given_contiguous_states_which_cudnn_demands(cell, learned_state, monkeypatch):
    def kernel(x_TBI, state, *others):
        assert all(part.is_contiguous() for part in (state if isinstance(state, tuple) else (state,)))
        return cell.native(x_TBI, state, *others)

    model = Recurrent(cell, I, hidden_size=H, num_layers=2, learned_state=learned_state, backend="native")
    run = native.run
    monkeypatch.setattr(native, "run", lambda _, *others: run(kernel, *others))
    model(torch.randn(B, T, I))
