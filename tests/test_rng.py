import logging
import random

import numpy as np
import torch

from seqkit.rng import generator, get_rng, set_rng


def test_a_generator_is_a_pure_function_of_its_key():
    def draw(*key):
        return int(torch.randint(2**62, (), generator=generator(*key)))

    torch.manual_seed(0)
    first = draw("shuffled", 1, 2)
    torch.manual_seed(5)
    assert draw("shuffled", 1, 2) == first
    assert len({first, draw("shuffled", 12), draw("shuffled", 2, 1), draw("bucketed", 1, 2)}) == 4


def test_every_generator_goes_on_where_it_was():
    def draw():
        return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.rand(()))

    draw()  # an odd number of normal values, of which one is kept back
    state = get_rng()
    first = draw()
    assert draw() != first
    set_rng(state)
    assert draw() == first


def test_another_number_of_gpus_costs_a_warning(caplog):
    state = get_rng()
    state["cuda"] = [*state["cuda"], torch.zeros(16, dtype=torch.uint8)]
    with caplog.at_level(logging.WARNING, "seqkit"):
        set_rng(state)
    assert f"saved with {len(state['cuda'])} GPUs" in caplog.text
