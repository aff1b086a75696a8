"""Text as streams of characters or words, cut into chunks through which a recurrent state is carried."""

# B batch, T time (tokens), S = T + 1

import sysconfig
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import SPLITS, Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data import corpus
from seqkit.data.corpus import unknown
from seqkit.data.ordering import Order, random_streams, stream_starts, streams
from seqkit.errors import ConfigError, DataError
from seqkit.files import existing, sha256_of
from seqkit.inputs.tokens.reading import check_encoding, read_text
from seqkit.inputs.tokens.spec import Tokens
from seqkit.inputs.tokens.tokenizers import UNKNOWN
from seqkit.padding import pad
from seqkit.registry import find, register_data
from seqkit.tasks.next_token.spec import NextToken

FRACTIONS = (0.9, 0.05, 0.05)

VocabularySize = Annotated[int, Field(ge=2)]
Sample = tuple[Tensor, bool]


@register_data("python_source")
class PythonSource:
    """Source of the running Python's own standard library, as characters; always there.

    The top-level modules joined in the order of their names: first 90 % for training, next 5 % for validation, last
    5 % for testing.

    Args:
        batch_size: Batch size: streams read in parallel.
        seq_len: Characters per chunk (length of truncated backpropagation).
        eval_streams: Streams that the valid and test parts are cut into, whatever the batch size.
        random_seq_len: Draw the length of each training chunk about ``seq_len``, anew in every pass, the same for all
            rows of a batch (Merity et al. 2018; the learning rate is not scaled by it, as it is there).
    """

    def __init__(
        self,
        *,
        batch_size: PositiveInt = 32,
        seq_len: PositiveInt = 64,
        eval_streams: PositiveInt = 32,
        random_seq_len: bool = False,
    ):
        self.batch_size = batch_size
        self.seq_len = seq_len
        self.eval_streams = eval_streams
        self.random_seq_len = random_seq_len
        folder = Path(sysconfig.get_path("stdlib"))
        self._files = sorted(folder.glob("*.py"))
        if not self._files:
            raise DataError(
                f"{folder}: this Python comes without the source of its library; "
                "give a text of your own by data=text_files data.path=FILE.txt"
            )

    def setup(self) -> None:
        """Read the modules."""
        text = read_text(self._files)
        self.fingerprint = sha256(text.encode()).hexdigest()
        self.spec, parts, sizes = _number([text], "char", FRACTIONS, None)
        self.facts = {"origin": f"{len(self._files)} modules of {self._files[0].parent}", **sizes}
        self._parts = _parts(parts, self.seq_len, self.batch_size, self.eval_streams, str(self._files[0].parent))

    def part(self, split: Split) -> "Chunks":
        return self._parts[split]

    def collate(self, samples: Sequence[Sample]) -> Batch:
        return collate(samples)

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Order:
        cut_anew = split == "train" and self.random_seq_len
        return self._parts[split].order(batch_size, (seed, epoch) if cut_anew else None)


@register_data("text_files")
class TextFiles:
    """Your own text, as characters, bytes, words or subwords.

    Give either ``path``, cut by ``split``, or ``train``, ``valid`` and ``test``. Each is a file, or a folder of which
    all ``*.txt`` are read in the order of their names, sub-folders included. The vocabulary is that of the training
    part; a symbol outside it reads as ``<unk>``. Words are what white space separates, with ``<eos>`` at each line
    end, as the WikiText sets have it (Merity et al. 2016).

    Args:
        path: File or folder to cut into the three parts.
        split: Fractions of ``path`` for training, validation and testing, in this order from its start.
        train: File or folder to train on.
        valid: File or folder to validate on.
        test: File or folder to test on.
        encoding: Of the files: utf-8, latin-1, cp1252, ...
        bad_bytes: What is done where a file is no text in its encoding: refuse, or replace by U+FFFD, which is said.
        tokenizer: char, byte, word, bpe, unigram, or another that is registered (``seqkit list``). Of bytes and
            subwords none is unknown.
        vocab_size: Most frequent tokens to keep, ``<unk>`` among them, all by default; of bpe and unigram the tokens
            to train, 4,096 by default.
        batch_size: Batch size: streams read in parallel.
        seq_len: Tokens per chunk (length of truncated backpropagation).
        eval_streams: Streams that the valid and test parts are cut into, whatever the batch size.
        random_seq_len: Draw the length of each training chunk about ``seq_len``, anew in every pass, the same for all
            rows of a batch (Merity et al. 2018; the learning rate is not scaled by it, as it is there).
    """

    renamed_options: ClassVar[dict[str, str]] = {"unit": "tokenizer"}

    def __init__(
        self,
        *,
        path: str | None = None,
        split: list[float] = list(FRACTIONS),  # noqa: B006 never written to
        train: str | None = None,
        valid: str | None = None,
        test: str | None = None,
        encoding: str = "utf-8",
        bad_bytes: Literal["refuse", "replace"] = "refuse",
        tokenizer: str = "char",
        vocab_size: VocabularySize | None = None,
        batch_size: PositiveInt = 32,
        seq_len: PositiveInt = 64,
        eval_streams: PositiveInt = 32,
        random_seq_len: bool = False,
    ):
        own = {"train": train, "valid": valid, "test": test}
        lacking = [f"data.{name}" for name, place in own.items() if place is None]
        if path is not None and len(lacking) < 3:
            raise ConfigError("data=text_files takes data.path or data.train, data.valid and data.test, not both")
        if path is None and len(lacking) == 3:
            raise ConfigError("data=text_files needs data.path=FILE.txt, or data.train, data.valid and data.test")
        if path is None and lacking:
            raise ConfigError(f"data=text_files lacks {' and '.join(lacking)}; or give one data.path to be split")
        if path is None and tuple(split) != FRACTIONS:
            raise ConfigError("data.split is for data.path; data.train, data.valid and data.test are taken whole")
        if len(split) != 3 or not (min(split) > 0 and abs(sum(split) - 1) <= 1e-6):
            raise ConfigError(
                f"data.split={list(split)}: give three fractions above 0 that add up to 1, as [0.9,0.05,0.05]"
            )
        self.split = split
        find("tokenizer", tokenizer)  # refused by name if there is none
        self.tokenizer = tokenizer
        check_encoding(encoding)
        self.encoding = encoding
        self.bad_bytes = bad_bytes
        self.vocab_size = vocab_size
        self.batch_size = batch_size
        self.seq_len = seq_len
        self.eval_streams = eval_streams
        self.random_seq_len = random_seq_len
        self._places = [place for place in (path, *own.values()) if place is not None]
        self._files = [_text_files(place) for place in self._places]
        _check_apart(self._places, self._files)

    def prepare(self) -> None:
        """Tokenise a large text into files, which ``setup`` then opens."""
        if corpus.is_large(self._files):
            self._tokenised()

    def _tokenised(self) -> corpus.Corpus:
        replace = self.bad_bytes == "replace"
        return corpus.tokenised(self._files, self.tokenizer, self.vocab_size, self.split, self.encoding, replace)

    def setup(self) -> None:
        """Read the files, or open the tokens of a large text."""
        if corpus.is_large(self._files):
            made = self._tokenised()
            digests, returns, replaced, self.spec = made.digests, made.returns, made.replaced, made.spec
            parts: Mapping[Split, Any] = made.parts
            sizes = _sizes(made.spec.inputs.tokenizer, made.sizes, self.vocab_size)
        else:
            texts = [read_text(files, self.encoding, self.bad_bytes == "replace") for files in self._files]
            returns = sum(file.read_bytes().count(b"\r\n") for files in self._files for file in files)
            replaced = sum(text.count("\ufffd") for text in texts)
            digests = tuple(sha256_of(files) for files in self._files)
            self.spec, parts, sizes = _number(texts, self.tokenizer, self.split, self.vocab_size)
        for place, digest in zip(self._places[1:], digests[1:], strict=True):
            if digest == digests[0]:
                raise DataError(f"{place}: the same text as {self._places[0]}, which is trained on. Expected another")
        self.fingerprint = digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()
        self.facts = {"origin": ", ".join(self._places), **sizes}
        if returns:
            self.facts["line ends"] = f"{returns:,} of Windows (\\r\\n) read as \\n"
        if self.bad_bytes == "replace" and replaced:
            self.facts["replaced"] = f"{replaced:,} characters that are no {self.encoding}, by U+FFFD"
        self._parts = _parts(parts, self.seq_len, self.batch_size, self.eval_streams, *self._places)

    def part(self, split: Split) -> "Chunks":
        return self._parts[split]

    def collate(self, samples: Sequence[Sample]) -> Batch:
        return collate(samples)

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Order:
        cut_anew = split == "train" and self.random_seq_len
        return self._parts[split].order(batch_size, (seed, epoch) if cut_anew else None)


class Chunks(Dataset[Sample]):
    """One part of a text, as consecutive chunks that predict each token but the first exactly once.

    A sample is ``seq_len`` tokens and the one after them (the last sample may be shorter), and whether a stream starts
    with it; or the tokens of a range and the one after them.

    Args:
        tokens: The part's token ids, in order: a tensor, or what gives one for a slice.
        seq_len: Tokens a chunk.
        count: Streams that the chunks are cut into. Not the batch size of a loader, so that which chunks share a
            stream, and with them every score, does not depend on that.
    """

    def __init__(self, tokens: Any, seq_len: int, count: int):
        self.tokens = tokens
        self.seq_len = seq_len
        self.count = count
        self._starts = stream_starts(len(self), count)
        self._token_starts = stream_starts(len(tokens) - 1, count)

    def __len__(self) -> int:
        return -(-(len(self.tokens) - 1) // self.seq_len)

    def __getitem__(self, index: int | range) -> Sample:
        if isinstance(index, range):
            return self.tokens[index.start : index.stop + 1], index.start in self._token_starts
        start = index * self.seq_len
        return self.tokens[start : start + self.seq_len + 1], index in self._starts

    def order(self, batch_size: int, cut_by: tuple[int, int] | None = None) -> Order:
        """Return the batches of one pass: the streams in groups of ``batch_size``, chunk after chunk.

        Args:
            batch_size: Streams side by side.
            cut_by: Seed of the run and number of the pass, which cut the streams into ranges of random lengths about
                ``seq_len``; None is chunks of ``seq_len``.
        """
        if cut_by is None:
            return streams(len(self), self.count, batch_size)
        return random_streams(len(self.tokens) - 1, self.count, batch_size, self.seq_len, *cut_by)


def collate(samples: Sequence[Sample]) -> Batch:
    """Put chunks side by side; targets_BT are inputs_BT one token on."""
    tokens_BS, lengths_B = pad([tokens for tokens, _ in samples])
    return Batch(
        inputs=tokens_BS[:, :-1],
        lengths=None if lengths_B is None else lengths_B - 1,
        targets=tokens_BS[:, 1:],
        fresh_B=torch.tensor([fresh for _, fresh in samples]),
    )


def _text_files(place: str) -> list[Path]:
    found = existing(place, "a UTF-8 text file or a folder of *.txt files")
    if found.is_file():
        return [found]
    files = sorted(file for file in found.rglob("*.txt") if file.is_file())
    if not files:
        raise DataError(f"{place}: no *.txt file in this folder. Expected a UTF-8 text file or a folder of *.txt files")
    return files


def _check_apart(places: Sequence[str], files: Sequence[list[Path]]) -> None:
    """Refuse a file that is trained on and scored: that score would be of what was learned by heart."""
    trained = {file.resolve() for file in files[0]}
    for place, held in zip(places[1:], files[1:], strict=True):
        if both := trained.intersection(file.resolve() for file in held):
            raise ConfigError(
                f"{min(both)}: stands in {places[0]}, which is trained on, and in {place}. Expected other files there"
            )


def _number(
    texts: Sequence[str], name: str, split: Sequence[float], vocab_size: int | None
) -> tuple[DataSpec, dict[Split, Tensor], dict[str, str]]:
    """Return the spec, the token ids of the three splits, and their sizes for a person.

    Args:
        texts: The three splits, or one text to be cut by ``split``.
        name: Of the tokenizer.
        split: Fractions of the three splits.
        vocab_size: Tokens to keep, ``<unk>`` among them.
    """
    kind: Any = find("tokenizer", name).factory
    pieces = [kind.pieces(text) for text in texts]
    if len(pieces) == 1:
        whole = pieces[0]
        first, second = (int(len(whole) * round(sum(split[:n]), 9)) for n in (1, 2))
        pieces = [whole[:first], whole[first:second], whole[second:]]
    tokenizer = kind.fit(pieces[0], vocab_size)
    parts: dict[Split, Tensor] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for part, own in zip(SPLITS, pieces, strict=True):
        ids = tokenizer.ids(own)
        parts[part], sizes[part] = torch.from_numpy(ids), (len(ids), unknown(tokenizer, own, ids))
    return DataSpec(Tokens(tokenizer), NextToken()), parts, _sizes(tokenizer, sizes, vocab_size)


def _sizes(tokenizer: Any, tokens: Mapping[str, tuple[int, int]], asked: int | None) -> dict[str, str]:
    """Return in words how many tokens each split has, how many of them are unknown, and the size of the vocabulary.

    Args:
        tokenizer: Fitted.
        tokens: Of each split, and those of them that are unknown.
        asked: Size that was asked for.
    """
    sizes = {
        part: f"{count:,} {tokenizer.plural}" + (f", {strange:,} of them not in the vocabulary" if strange else "")
        for part, (count, strange) in tokens.items()
    }
    vocabulary = tokenizer.vocabulary
    size = f"{len(vocabulary):,}" + f" with {UNKNOWN}" * (UNKNOWN in vocabulary)
    if asked is not None and len(vocabulary) < asked:
        size += f", as the training part has no more: data.vocab_size={asked}"
    return sizes | {"vocabulary": size}


def _parts(
    tokens: Mapping[Split, Any], seq_len: int, batch_size: int, eval_streams: int, *places: str
) -> dict[Split, Chunks]:
    parts = {}
    for number, split in enumerate(SPLITS):
        own = tokens[split]
        if len(own) <= seq_len:
            raise DataError(
                f"{places[number % len(places)]}: the {split} part has {len(own):,} tokens, and one chunk of "
                f"data.seq_len={seq_len} needs {seq_len + 1:,}; give more text or a smaller data.seq_len"
            )
        parts[split] = Chunks(own, seq_len, batch_size if split == "train" else eval_streams)
    starts = range(0, len(tokens["train"]), corpus.BLOCK)
    first = tokens["train"][:1]
    if all(bool((tokens["train"][start : start + corpus.BLOCK] == first).all()) for start in starts):
        raise DataError(f"{places[0]}: the training part is one token again and again; there is nothing to learn")
    return parts
