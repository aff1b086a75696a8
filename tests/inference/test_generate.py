import pytest
import torch
from torch import nn

from seqkit.contracts.spec import DataSpec
from seqkit.errors import ConfigError
from seqkit.inference.generate import generate
from seqkit.inputs.tokens.embedding import Embedding
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import Characters, Words
from seqkit.network import Network
from seqkit.tasks.classify.spec import Classes
from seqkit.tasks.next_token.head import NextTokenHead
from seqkit.tasks.next_token.spec import NextToken

SPEC = DataSpec(Tokens(Characters(("<unk>", "a", "b", "c", "\n"))), NextToken())
WORDS = DataSpec(Tokens(Words(("<unk>", "<eos>", "the", "end"))), NextToken())


class Recurrent(nn.Module):
    causal = True

    def __init__(self, input_size):
        super().__init__()
        self.output_size = 16
        self.rnn = nn.GRU(input_size, 16, batch_first=True)
        self.calls = []

    def forward(self, x, lengths=None, state=None):
        self.calls.append((x.shape[1], state is not None))
        y, h = self.rnn(x, None if state is None else state[0])
        return y, (h,)


@pytest.fixture
def network():
    return made(SPEC)


def made(spec):
    torch.manual_seed(0)
    frontend = Embedding(spec, size=8, dropout=0.5)
    model = Recurrent(8)
    return Network(frontend, model, NextTokenHead(16, spec, True))


def next_logits(network, spec, text):
    """The logits after a text, by running the whole of it."""
    tokens = torch.tensor([[spec.inputs.vocabulary.index(symbol) for symbol in text]])
    y, _ = network.model(network.frontend.embedding(tokens))
    return network.head.linear(y[0, -1])


def test_greedy_text_is_what_running_the_whole_text_each_time_gives(network):
    expected = "ab"
    for _ in range(20):
        logits = next_logits(network, SPEC, expected)
        logits[0] = -torch.inf  # <unk> is never written
        expected += SPEC.inputs.vocabulary[int(logits.argmax())]
    assert generate(network, SPEC, "ab", 20, temperature=0) == expected


def test_the_prompt_is_read_once_and_then_one_token_at_a_time(network):
    generate(network, SPEC, "abc", 4)
    assert network.model.calls[-4:] == [(3, False), (1, True), (1, True), (1, True)]


def test_a_seed_gives_the_same_text_and_leaves_the_global_draws_alone(network):
    before = torch.get_rng_state()
    texts = [generate(network, SPEC, "a", 40, seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training  # as it was


def test_draws_follow_the_probabilities(network):
    counts = torch.zeros(5)
    for seed in range(400):
        counts[SPEC.inputs.vocabulary.index(generate(network, SPEC, "a", 1, temperature=0.7, seed=seed)[-1])] += 1
    logits = next_logits(network, SPEC, "a").detach()
    logits[0] = -torch.inf
    p = (logits / 0.7).softmax(0)
    deviation = (400 * p * (1 - p)).sqrt()
    assert torch.all((counts - 400 * p).abs() <= 4 * deviation)
    assert counts[0] == 0


def test_top_k_draws_from_the_likeliest(network):
    logits = next_logits(network, SPEC, "a").detach()
    logits[0] = -torch.inf
    best = {SPEC.inputs.vocabulary[i] for i in logits.topk(2).indices.tolist()}
    drawn = {generate(network, SPEC, "a", 1, temperature=50.0, top_k=2, seed=seed)[-1] for seed in range(50)}
    assert drawn == best
    assert generate(network, SPEC, "a", 30, top_k=1) == generate(network, SPEC, "a", 30, temperature=0)
    assert len(generate(network, SPEC, "a", 30, top_k=99)) == 31


def test_an_empty_prompt_starts_a_line(network):
    assert generate(network, SPEC, "", 10, temperature=0) == generate(network, SPEC, "\n", 10, temperature=0)[1:]
    assert generate(network, SPEC, "ab", 0) == "ab"


def test_words_are_split_at_white_space_and_lines_at_eos():
    network = made(WORDS)
    nn.init.zeros_(network.head.linear.weight)
    network.head.linear.bias.data = torch.tensor([9.0, 0.0, 1.0, 0.0])
    assert generate(network, WORDS, "the zoo", 2, temperature=0) == "the zoo the the"
    assert generate(network, WORDS, "", 2, temperature=0) == "the the"
    network.head.linear.bias.data = torch.tensor([0.0, 9.0, 1.0, 0.0])
    assert generate(network, WORDS, "the", 2, temperature=0) == "the\n\n"


def test_refusals(network):
    def refusal(*arguments, spec=SPEC, **options):
        with pytest.raises(ConfigError) as caught:
            generate(network, spec, *arguments, **options)
        return str(caught.value)

    assert refusal("a§", 1) == "unknown to the model: '§'; its training text had none, leave that out"
    assert refusal("a", -1) == "length=-1: give 0 tokens or more"
    assert refusal("a", 1, temperature=-0.5) == "temperature=-0.5: give 0 (always the likeliest token) or more"
    assert refusal("a", 1, top_k=0) == "top_k=0: give 1 token or more to draw from"
    assert refusal("a", 1, top_p=1.5) == "top_p=1.5: give a probability above 0, up to 1"
    assert refusal("a", 1, stop=[""]) == "stop='': every text holds an empty one; give some text to stop at"
    other = DataSpec(SPEC.inputs, Classes(("x", "y"), (1, 1)))
    assert refusal("a", 1, spec=other) == "generate needs a model with head=next_token; this one predicts Classes"
