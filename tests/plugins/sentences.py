"""A plugin of one file: labelled sentences, a known task on a known input kind."""

from hashlib import sha256

import torch

import seqkit
from seqkit import Batch, Classes, DataSpec, Tokens

PARTS = {
    "train": [("the film was good", "good"), ("a bad film", "bad"), ("good", "good"), ("so bad it was", "bad")] * 5,
    "valid": [("the good film", "good"), ("it was a bad film", "bad")],
    "test": [("so good", "good"), ("the film was bad", "bad"), ("a good film", "good")],
}


@seqkit.register_data("sentences")
class Sentences:
    """A few labelled sentences.

    Args:
        tokenizer: What a token is.
        batch_size: Sentences per batch.
    """

    def __init__(self, *, tokenizer: str = "word", batch_size: int = 4):
        self.tokenizer, self.batch_size = tokenizer, batch_size

    def setup(self):
        from seqkit.registry import find

        kind = find("tokenizer", self.tokenizer).factory
        tokenizer = kind.fit(kind.pieces("\n".join(text for text, _ in PARTS["train"])), None)
        names = ("bad", "good")
        self.parts = {
            split: [(tokenizer.encode(text), torch.tensor(names.index(label))) for text, label in texts]
            for split, texts in PARTS.items()
        }
        self.spec = DataSpec(Tokens(tokenizer), Classes(names, (10, 10)))
        self.fingerprint = sha256(repr(PARTS).encode()).hexdigest()
        self.facts = {"train": "20 sentences"}

    def part(self, split):
        return self.parts[split]

    def collate(self, samples):
        texts, labels = zip(*samples, strict=True)
        lengths = torch.tensor([len(text) for text in texts])
        padded = torch.nn.utils.rnn.pad_sequence(list(texts), batch_first=True)
        return Batch(padded, lengths, torch.stack(labels))

    def order(self, split, batch_size, seed, epoch):
        size = len(self.parts[split])
        return (
            seqkit.shuffled(size, batch_size, seed, epoch) if split == "train" else seqkit.sequential(size, batch_size)
        )


if __name__ == "__main__":
    seqkit.main()
