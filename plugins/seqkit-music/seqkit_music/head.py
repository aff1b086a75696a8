"""The head: each key by itself, given what the model has read."""

# B batch, T time, H output size of the model, N = 88 keys

from torch import nn

import seqkit
from seqkit import ConfigError, DataSpec, valid
from seqkit_music.rolls import KEYS
from seqkit_music.task import Notes, NotesPrediction

RARE = -3.0  # log odds at the start: of the 88 keys, about 4 sound


@seqkit.register_head("notes")
class NotesHead(nn.Module):
    """The notes of the next step, each key by itself (Bernoulli), by negative log-likelihood.

    p(x_{t+1} | x_1..x_t) = prod_n p_n^{x_n} (1 - p_n)^{1 - x_n}, p = sigmoid(W y_t + b)

    Raises:
        ConfigError: The data has another task, or the model reads ahead.
    """

    monitor = ("nll", "min")
    meaning = "log odds of each key at the next step; A0 to C8"

    def __init__(self, output_size: int, spec: DataSpec, causal: bool) -> None:
        super().__init__()
        if not isinstance(spec.task, Notes):
            task = type(spec.task).__name__
            raise ConfigError(f"head=notes needs notes, this data has {task}; use head={spec.task.head}")
        if not causal:
            raise ConfigError("head=notes predicts the next step, which the model has read already; use a causal model")
        self.spec = spec
        self.output = nn.Linear(output_size, KEYS)
        nn.init.constant_(self.output.bias, RARE)

    def forward(self, y_BTH, lengths_B, batch):
        """Map y_BTH to logits_BTN."""
        return self.output(y_BTH)

    def loss(self, outputs, lengths_B, batch):
        """Return the summed negative log-likelihood, in nats, and the number of valid steps."""
        mask_BT = valid(lengths_B, outputs)
        nats = nn.functional.binary_cross_entropy_with_logits(outputs[mask_BT], batch.targets[mask_BT], reduction="sum")
        return nats, mask_BT.sum()

    def predict(self, outputs, lengths_B, batch):
        return NotesPrediction(outputs, lengths_B)

    def stream(self, y_BTH, batch, memory):
        """Return the logits of new steps of one row, and the notes that come next; nothing is remembered."""
        logits_BTN = self.output(y_BTH)
        (answer,) = self.spec.task.answers(NotesPrediction(logits_BTN[:, -1:]), self.spec)
        return logits_BTN, answer, None
