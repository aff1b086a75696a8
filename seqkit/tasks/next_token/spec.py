"""Language modelling: the next token, and its prediction at every step."""

# B batch, T time, V vocabulary

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import Baseline, DataSpec, Metric, Results
from seqkit.registry import register_task
from seqkit.tasks.next_token.prediction import TokenPrediction

SCORES = ("bits_per_character", "bits_per_byte", "perplexity", "loss", "accuracy")
LIKELIEST = 5  # tokens of which an answer gives the probability
SAMPLE_LENGTH = 400  # tokens of a report's sample


@register_task("next_token")
@dataclass(frozen=True)
class NextToken:
    """The token after each token; the vocabulary is that of the inputs."""

    head: ClassVar[str] = "next_token"

    def metrics(self, spec: DataSpec) -> Metric:
        from seqkit.tasks.next_token.metrics import NextTokenMetrics  # torchmetrics is slow to import

        return NextTokenMetrics(spec.inputs.tokenizer.sizes())

    def baselines(self, spec: DataSpec, data: Any, split: Split) -> dict[str, Baseline]:
        from seqkit.tasks.next_token.baselines import baselines

        return baselines(spec.inputs.tokenizer, data, split)

    def continue_text(
        self,
        network: Any,
        spec: DataSpec,
        prompt: str,
        length: int,
        write: Callable[[str], None] | None = None,
        **sampling: Any,
    ) -> str:
        """Return the prompt and the text that the network continues it with; ``sampling`` as ``Sampling`` has it."""
        from seqkit.tasks.next_token.generation import Sampling, continue_text

        return continue_text(network, spec, prompt, length, Sampling(**sampling), write)

    def sample(self, results: Results) -> str:
        """Return a text that the network writes from a line's start."""
        return self.continue_text(results.network, results.spec, "", SAMPLE_LENGTH, temperature=0.7, seed=1)

    def cached(self, head: Any, size: int) -> Any:
        """Return a head that is mixed with a cache of the last ``size`` steps; see ``CachedHead``."""
        from seqkit.tasks.next_token.cache import CachedHead

        return CachedHead(head, size)

    def own_targets(self, inputs_BT: Tensor) -> Tensor:
        return inputs_BT[:, 1:]

    def token_losses(self, prediction: TokenPrediction, batch: Batch) -> list[float]:
        """Return the negative log likelihood of each target of one row, in nats."""
        assert batch.targets is not None
        targets_T = batch.targets[0]
        logits_TV = prediction.logits_BTV[0, : len(targets_T)].double()
        return nn.functional.cross_entropy(logits_TV, targets_T, reduction="none").tolist()

    def token_texts(self, spec: DataSpec, ids_T: Tensor) -> Iterator[str]:
        """Yield the text of each token, with the space that stands before it where it follows another."""
        for number, token in enumerate(ids_T.tolist()):
            yield spec.inputs.tokenizer.continued("." if number else "", [token])[number > 0 :]

    def answers(self, prediction: TokenPrediction, spec: DataSpec) -> list[dict[str, Any]]:
        """Return for each row the probabilities of the likeliest tokens after its last one."""
        logits_BTV, lengths_B = prediction.logits_BTV, prediction.lengths_B
        ends = [logits_BTV.shape[1]] * len(logits_BTV) if lengths_B is None else lengths_B.tolist()
        return [self.answer(logits_TV[end - 1], spec) for logits_TV, end in zip(logits_BTV, ends, strict=True)]

    def answer(self, logits_V: Tensor, spec: DataSpec) -> dict[str, Any]:
        """Return the probabilities of the likeliest tokens."""
        best, ids = logits_V.detach().double().softmax(-1).topk(min(LIKELIEST, len(logits_V)))
        vocabulary = spec.inputs.tokenizer.vocabulary
        return {"next": {vocabulary[i]: p for i, p in zip(ids.tolist(), best.tolist(), strict=True)}}

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a row: the likeliest next token, its probability, and the scores of the text where it has any."""
        token, probability = next(iter(answer["next"].items()))
        return [{"next": token, "probability": probability, **{name: answer.get(name) for name in SCORES}}]

    def text(self, answer: dict[str, Any]) -> str:
        likely = ", ".join(f"{token!r} {probability:.1%}" for token, probability in answer["next"].items())
        scores = "  ".join(f"{name} {value:.4g}" for name, value in answer.items() if name != "next")
        return f"next {likely}" + (f"\n    {scores}" if scores else "")
