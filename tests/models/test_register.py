import pytest
import torch
from torch import nn

from seqkit import registry
from seqkit.errors import PluginError
from seqkit.models import Recurrent, register_cell
from seqkit.models.register import CellModel
from tests.models.test_stack import MGU, registered  # noqa: F401 - a fixture


def test_build_takes_options_of_stack_and_cell(registered):  # noqa: F811
    model = registry.build("model", {"name": "lstm", "hidden_size": 8, "num_layers": 2, "forget_bias": 2.0}, 3)
    assert isinstance(model, Recurrent)
    direction = model.layers[1][0]
    assert direction.weight_ih.shape == (32, 8)
    forget = direction.part("bias_ih", "forget") + direction.part("bias_hh", "forget")
    assert torch.equal(forget, torch.full((8,), 2.0))


def test_docstring_joins_that_of_the_cell_and_the_stack(registered):  # noqa: F811
    component = registry.find("model", "peephole_lstm")
    assert component.summary.startswith("LSTM whose gates see the cell state")
    assert component.module == "seqkit.models.cells.peephole_lstm"
    assert component.doc.count("Args:") == 1
    assert "h_t = o_t * tanh(c_t)" in component.doc


ONE = {"gates": ("a",), "states": ("hidden",)}
STEP = {**ONE, "step": lambda self, x, recur, state: state}
ASKS = {**ONE, "wants_input": True, "step": lambda self, x, project, recur, state: state}


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"gates": "a", "states": ("hidden",)}, "a cell needs 'gates', a tuple of names"),
        ({"gates": ("a",)}, "a cell needs 'states', a tuple of names"),
        ({"gates": ("a",), "states": ("hidden",)}, "a cell needs a method 'step'"),
        ({"gates": (), "states": ("hidden",)}, "a cell needs 'gates', a tuple of names"),
        ({"gates": ("a", "a"), "states": ("hidden",)}, "a name stands twice in 'gates'"),
        ({**ONE, "step": lambda self, x: x}, "step takes (self, x_BG, recur, state)"),
        (
            {**ONE, "wants_input": True, "step": lambda self, x, recur, state: state},
            "step takes (self, x_BI, project, recur, state)",
        ),
        (
            {**ONE, "recurrent": ("b",)},
            "recurrent = ('b',); it must be True, False, 'diagonal' or a tuple of its gates a",
        ),
        (
            {**ONE, "recurrent": "a"},
            "recurrent = 'a'; it must be True, False, 'diagonal' or a tuple of its gates a",
        ),
        ({**ONE, "driven": ()}, "driven = (); it must be True or a tuple of its gates a"),
        ({**ONE, "driven": False}, "driven = False; it must be True or a tuple of its gates a"),
        (
            {**STEP, "__init__": lambda self, input_size, hidden_size: None},
            "__init__ takes sizes and then options: (self, hidden_size, *, ...)",
        ),
        (
            {**ASKS, "__init__": lambda self, hidden_size, input_size: None},
            "__init__ takes sizes and then options: (self, input_size, hidden_size, *, ...)",
        ),
    ],
)
def test_incomplete_cells_are_refused(registered, attributes, message):  # noqa: F811
    with pytest.raises(PluginError) as error:
        register_cell("half")(type("Half", (nn.Module,), attributes))
    assert str(error.value).endswith(f": {__name__}.Half: {message}")
    assert "half" not in registered


def test_option_of_the_stack_in_a_cell_is_refused(registered):  # noqa: F811
    class Clash(MGU):
        def __init__(self, hidden_size: int, *, dropout: float = 0.0) -> None:
            super().__init__()

    with pytest.raises(PluginError, match=r"Clash: option 'dropout' is one of the stack's; call it something else$"):
        register_cell("clash")(Clash)


def test_a_cell_must_be_a_module():
    with pytest.raises(PluginError, match="a cell must be an nn.Module, or its parameters would not be trained$"):
        CellModel(type("Plain", (), {}))


def test_options_of_the_cell_come_after_those_of_the_stack():
    class Own(MGU):
        def __init__(self, hidden_size: int, *, slope: float = 2.0) -> None:
            super().__init__()
            self.slope = slope

    model = CellModel(Own)
    assert model.component_options[-1].name == "slope"
    assert model(3, hidden_size=4, slope=3.0).layers[0][0].cell.slope == 3.0


def test_a_refusal_of_the_trial_step_names_the_component_and_the_authors_line(registered):  # noqa: F811
    class Bad(MGU):
        def step(self, x_BG, recur, state):
            return (state[0].mul_(0.5) + super().step(x_BG, recur, state)[0],)

    register_cell("bad")(Bad)
    with pytest.raises(PluginError, match=r"^model=bad \(.*test_register.py:\d+\): Bad\.step changes the st"):
        registry.build("model", "bad", 3)
