"""Tagging head: a linear layer at each step, alone or under a linear-chain conditional random field."""

# B batch, T time, H output size of the model, C tags

from typing import Any, Literal

from torch import Tensor, nn

from seqkit.contracts.batch import Batch
from seqkit.contracts.spec import DataSpec, wrong_task
from seqkit.errors import ConfigError
from seqkit.padding import valid
from seqkit.precision import widened
from seqkit.registry import register_head
from seqkit.schema import Probability
from seqkit.tasks.tag.crf import ConditionalRandomField
from seqkit.tasks.tag.prediction import TagPrediction
from seqkit.tasks.tag.spans import are_spans
from seqkit.tasks.tag.spec import Tags


@register_head("tag")
class Tag(nn.Module):
    """A tag per step, by cross-entropy; with ``crf`` the tags of a sequence together.

    Args:
        output_size: Output size of the model.
        spec: Of the data; its task is tags.
        causal: Not used.
        crf: A linear-chain conditional random field learns which tag follows which (Lafferty et al. 2001; over a
            recurrent network, Huang et al. 2015), and the best sequence of tags is predicted. For spans: B- I- O.
        dropout: Probability of dropping an output of the model in training.

    Raises:
        ConfigError: The data has another task.
    """

    def __init__(
        self, output_size: int, spec: DataSpec, causal: bool, *, crf: bool = False, dropout: Probability = 0.0
    ) -> None:
        super().__init__()
        if not isinstance(spec.task, Tags):
            raise wrong_task("tag", "tags", spec)
        self.spec = spec
        self.task = spec.task
        self.monitor: tuple[str, Literal["min", "max"]] = ("f1" if are_spans(self.task.names) else "accuracy", "max")
        self.meaning = "logits of each step's tags, in the order of spec.task.names"
        self.crf = None
        if crf:
            self.crf = ConditionalRandomField(len(self.task.names))
            self.meaning = (
                "scores of each step's tags, in the order of spec.task.names, before those of neighbouring tags "
                "(head.crf.transitions of the checkpoint), with which the best path is found"
            )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(output_size, len(self.task.names))
        self.row_names = dict.fromkeys(("output.weight", "output.bias", "crf.first", "crf.last"), self.task.names)
        # The columns of the transitions are tags too, so that a row is the same only where all tags are.
        self.row_names["crf.transitions"] = tuple(f"{name} of {','.join(self.task.names)}" for name in self.task.names)

    def forward(self, y_BTH: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Map y_BTH to scores_BTC."""
        return widened(self.output(self.dropout(y_BTH)))

    def loss(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> tuple[Tensor, int | Tensor]:
        """Return the negative log likelihood in nats, summed over the batch, and its number of valid steps."""
        count = outputs.shape[:2].numel() if lengths is None else lengths.sum()
        return self._nats(outputs, lengths, batch).sum(), count

    def predict(self, outputs: Tensor, lengths: Tensor | None, batch: Batch) -> TagPrediction:
        nats_B = None if batch.targets is None else self._nats(outputs, lengths, batch)
        if self.crf is None:
            probability_BT, tags_BT = outputs.softmax(2).max(2)
        else:
            tags_BT = self.crf.best(outputs, lengths)
            probability_BTC = self.crf.marginals(outputs, lengths)
            probability_BT = probability_BTC.gather(2, tags_BT[..., None])[..., 0]
        return TagPrediction(tags_BT, lengths, probability_BT, nats_B, batch.inputs)

    def stream(self, y_BTH: Tensor, batch: Batch, memory: tuple[()] | None) -> tuple[Tensor, dict[str, Any], tuple[()]]:
        """Return the scores of new steps of one row and their tags; each step is tagged by itself.

        Raises:
            ConfigError: The tags of a sequence are chosen together.
        """
        if self.crf is not None:
            raise ConfigError("stream: head.crf=true chooses the tags of a whole sequence together; use predict")
        outputs = self(y_BTH, None, batch)
        return outputs, self.task.answers(self.predict(outputs, None, Batch(batch.inputs)), self.spec)[0], ()

    def _nats(self, scores_BTC: Tensor, lengths_B: Tensor | None, batch: Batch) -> Tensor:
        """Return nats_B, the negative log likelihood of each row's tags."""
        tags_BT = batch.targets
        assert tags_BT is not None
        if tags_BT.shape != scores_BTC.shape[:2]:
            raise ConfigError(
                f"head=tag needs one step per tag, the frontend makes {scores_BTC.shape[1]} of {tags_BT.shape[1]}; "
                "choose one that keeps the steps"
            )
        if self.crf is not None:
            return self.crf.log_partition(scores_BTC, lengths_B) - self.crf.score(scores_BTC, tags_BT, lengths_B)
        nats_BT = nn.functional.cross_entropy(scores_BTC.flatten(0, 1), tags_BT.flatten(), reduction="none")
        return (nats_BT.view_as(tags_BT) * valid(lengths_B, tags_BT)).sum(1)
