"""The Mogrifier LSTM keeps seqkit's contract, and computes the equations of its paper."""

import pytest
import torch

import seqkit


@pytest.mark.seqkit("model=mogrifier")
def test_contract(check):
    check()


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("rounds", [0, 1, 4, 5])
def test_equations_of_the_paper(rounds, rank):
    model = seqkit.build("model", {"name": "mogrifier", "hidden_size": 4, "rounds": rounds, "rank": rank}, 3).double()
    direction = model.layers[0][0]
    W, U, b = direction.weight_ih, direction.weight_hh, direction.bias_ih + direction.bias_hh
    x_BTI = torch.randn(2, 5, 3, dtype=torch.float64)
    y_BTH, _ = model(x_BTI)

    def gated(number, by, what):
        weights = [*direction.cell.rounds[number - 1].parameters()]
        product = weights[0] @ by if rank is None else weights[1] @ (weights[0] @ by)
        return 2 * torch.sigmoid(product) * what

    outputs = []
    for x_TI in x_BTI:
        h_before = c = torch.zeros(4, dtype=torch.float64)
        for x in x_TI:
            h = h_before
            for number in range(1, rounds + 1):
                if number % 2 == 1:
                    x = gated(number, h, x)
                else:
                    h = gated(number, x, h)
            i, f, n, o = (W @ x + U @ h + b).split(4)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(n)
            h_before = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h_before)
    naive_BTH = torch.stack(outputs).view(2, 5, 4)
    torch.testing.assert_close(y_BTH, naive_BTH, rtol=1e-10, atol=1e-10)
    weights = list(model.parameters())
    found, expected = (torch.autograd.grad(y.sin().sum(), weights) for y in (y_BTH, naive_BTH))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_without_rounds_it_is_an_lstm():
    model = seqkit.build("model", {"name": "mogrifier", "hidden_size": 4, "num_layers": 2, "rounds": 0}, 3)
    lstm = seqkit.build("model", {"name": "lstm", "hidden_size": 4, "num_layers": 2}, 3)
    lstm.load_state_dict(model.state_dict())
    x_BTI = torch.randn(2, 5, 3)
    torch.testing.assert_close(model(x_BTI)[0], lstm(x_BTI)[0])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"rounds": -1}, "model.rounds=-1: input should be greater than or equal to 0"),
        ({"rank": 0}, "model.rank=0: input should be greater than 0"),
    ],
)
def test_wrong_options_are_refused(option, message):
    with pytest.raises(seqkit.ConfigError) as error:
        seqkit.build("model", {"name": "mogrifier", **option}, 3)
    assert str(error.value) == message
