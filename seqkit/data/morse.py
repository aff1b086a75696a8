"""Morse code made on the fly: random words keyed at varying speed, pitch and noise, with their transcript."""

# S samples, U symbols of a transcript, E spells of the key, up and down in turn, K samples of an edge

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from math import pi
from string import ascii_uppercase, digits
from typing import Any

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.utils.data import Dataset

from seqkit.contracts.batch import Batch, Split
from seqkit.contracts.spec import DataSpec
from seqkit.data import ordering
from seqkit.errors import ConfigError
from seqkit.inputs.waveform.spec import Waveform
from seqkit.padding import pad
from seqkit.registry import register_data
from seqkit.rng import generator
from seqkit.schema import Probability
from seqkit.tasks.transcribe.spec import Transcript

_ELEMENTS = (
    # A to Z, then 0 to 9
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
)
CODE = dict(zip(ascii_uppercase + digits, _ELEMENTS.split(), strict=True))
"""The letters and figures of International Morse code (Recommendation ITU-R M.1677-1, part I, section 1)."""

SYMBOLS = (*ascii_uppercase, *digits, " ")

# Lengths in units of one dot (ITU-R M.1677-1, part I, section 2).
DOT, DASH, GAP, LETTER_GAP, WORD_GAP = 1, 3, 1, 3, 7
UNIT = 1.2  # seconds of a unit at one word per minute: the standard word PARIS, with its gap, is 50 units long

EDGE = 0.005  # seconds of a raised-cosine edge of the keyed tone, as real transmitters have it against clicks
MARGIN = (2.0, 8.0)  # units of noise alone before and after a message

# Letters in a thousand of English text (Lewand, Cryptological Mathematics, 2000), mixed half and half with an even
# draw: plausible words, in which J, Q, X and Z are still often enough to be learned.
_ENGLISH = (82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1)
_CUMULATIVE = list(accumulate(0.5 * count / sum(_ENGLISH) + 0.5 / 26 for count in _ENGLISH))
_IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}
_UNITS = {symbol: [DOT if element == "." else DASH for element in code] for symbol, code in CODE.items()}


@register_data("morse")
class Morse:
    """Random words in Morse code as sound, with their transcript: speech recognition's little brother.

    A message is words of letters (drawn half by their frequency in English, half evenly) and, now and then, groups of
    figures (drawn evenly). Speed, pitch, noise and timing differ from message to message. Training messages are new
    in every epoch. Messages of valid and test are all of ``eval_wpm`` and ``eval_snr_db``, so that their scores mean
    "at 20 words per minute and 10 dB".

    The signal-to-noise ratio is the mean power of the tone while the key is down over the power of the white noise in
    the full band, 0 Hz to half the sample rate, in dB.

    Args:
        wpm: Slowest and fastest speed of training messages, in words (PARIS) a minute.
        pitch: Lowest and highest tone, in Hz.
        snr_db: Worst and best signal-to-noise ratio of training messages, in dB.
        eval_wpm: Speed of the messages of valid and test, in words a minute.
        eval_snr_db: Signal-to-noise ratio of the messages of valid and test, in dB.
        jitter: Standard deviation of each dot, dash and gap, as a part of its length.
        words: Fewest and most words a message.
        word_length: Fewest and most symbols a word.
        figures: Probability that a word is a group of figures.
        sample_rate: Samples per second.
        train_size: Messages per epoch.
        valid_size: Messages of the validation part.
        test_size: Messages of the test part.
        seed: Of the messages.
        batch_size: Messages per batch.

    Raises:
        ConfigError: A range is the wrong way round, or the tone does not fit the sample rate.
    """

    def __init__(
        self,
        *,
        wpm: tuple[PositiveFloat, PositiveFloat] = (15.0, 25.0),
        pitch: tuple[PositiveFloat, PositiveFloat] = (400.0, 900.0),
        snr_db: tuple[float, float] = (6.0, 20.0),
        eval_wpm: PositiveFloat = 20.0,
        eval_snr_db: float = 10.0,
        jitter: Probability = 0.05,
        words: tuple[PositiveInt, PositiveInt] = (1, 3),
        word_length: tuple[PositiveInt, PositiveInt] = (1, 5),
        figures: Probability = 0.15,
        sample_rate: PositiveInt = 4000,
        train_size: PositiveInt = 4000,
        valid_size: PositiveInt = 200,
        test_size: PositiveInt = 500,
        seed: NonNegativeInt = 0,
        batch_size: PositiveInt = 32,
    ) -> None:
        ranges = {"wpm": wpm, "pitch": pitch, "snr_db": snr_db, "words": words, "word_length": word_length}
        for name, (low, high) in ranges.items():
            if low > high:
                raise ConfigError(f"data.{name}=[{low:g},{high:g}]: the smaller number comes first")
        if pitch[1] > 0.45 * sample_rate:  # room for the keying's side bands below half the sample rate
            raise ConfigError(
                f"data.pitch=[{pitch[0]:g},{pitch[1]:g}]: a tone of {pitch[1]:g} Hz needs "
                f"data.sample_rate={round(pitch[1] / 0.45)} or more, not {sample_rate}"
            )
        self.wpm, self.pitch, self.snr_db = wpm, pitch, snr_db
        self.eval_wpm, self.eval_snr_db = eval_wpm, eval_snr_db
        self.jitter = jitter
        self.words, self.word_length, self.figures = words, word_length, figures
        self.sample_rate = sample_rate
        self.sizes: dict[str, int] = {"train": train_size, "valid": valid_size, "test": test_size}
        self.seed = seed
        self.batch_size = batch_size

    def setup(self) -> None:
        self.spec = DataSpec(Waveform(self.sample_rate), Transcript(SYMBOLS))
        options = {
            name: value
            for name, value in vars(self).items()
            if name not in ("batch_size", "spec", "fingerprint", "facts")
        }
        # The transcripts stand for the content: they would change with the generator or the way it is used.
        texts = [self._message(split, i)[0].text for split in ("train", "valid", "test") for i in range(20)]
        self.fingerprint = sha256(repr((sorted(options.items()), texts)).encode()).hexdigest()
        evaluation = f"{self.eval_wpm:g} words per minute, {self.eval_snr_db:g} dB"
        training = f"{self.wpm[0]:g} to {self.wpm[1]:g} words per minute, {self.snr_db[0]:g} to {self.snr_db[1]:g} dB"
        self.facts = {
            "origin": f"made on the fly, data.seed={self.seed}",
            "train": f"{self.sizes['train']:,} messages an epoch, new in each: {training}",
            "valid": f"{self.sizes['valid']:,} messages: {evaluation}",
            "test": f"{self.sizes['test']:,} messages: {evaluation}",
        }

    def part(self, split: Split) -> Dataset:
        return _Messages(self, split)

    def collate(self, samples: list[Any]) -> Batch:
        waveforms, targets = zip(*samples, strict=True)
        inputs_BS, lengths_B = pad(waveforms)
        targets_BU, _ = pad(targets)
        return Batch(inputs_BS, lengths_B, targets_BU, torch.tensor([len(target) for target in targets]))

    def order(self, split: Split, batch_size: int, seed: int, epoch: int) -> Sequence[Sequence[int]]:
        size = self.sizes[split]
        if split != "train":
            return ordering.sequential(size, batch_size)
        first = epoch * size  # the numbering runs on, so that every epoch is new
        lengths = [round(1000 * self._message(split, first + i)[0].seconds) for i in range(size)]
        batches = ordering.bucketed(lengths, batch_size, seed, epoch)
        return [[first + i for i in batch] for batch in batches]

    def sample(self, split: Split, index: int) -> tuple[Tensor, Tensor]:
        """Return waveform_S and targets_U of a message: a pure function of the options, ``split`` and ``index``."""
        message, draw = self._message(split, index)
        waveform_S = key(message, self.sample_rate, self.jitter, draw)
        return waveform_S, torch.tensor([_IDS[symbol] for symbol in message.text])

    def _message(self, split: Split, index: int) -> tuple["Message", torch.Generator]:
        """Draw what is sent and how; cheap, for lengths are asked of all messages before any is made."""
        draw = generator("morse", self.seed, split, index)
        uniform = iter(torch.rand(7 + self.words[1] * (2 + self.word_length[1]), generator=draw).tolist())

        def between(low: float, high: float) -> float:
            return low + (high - low) * next(uniform)

        def whole(low: int, high: int) -> int:
            return min(int(between(low, high + 1)), high)

        wpm, pitch, snr_db = between(*self.wpm), between(*self.pitch), between(*self.snr_db)
        if split != "train":
            wpm, snr_db = self.eval_wpm, self.eval_snr_db
        phase, before, after = between(0, 2 * pi), between(*MARGIN), between(*MARGIN)
        words = []
        for _ in range(whole(*self.words)):
            figures = next(uniform) < self.figures
            length = whole(*self.word_length)
            words.append("".join(digits[whole(0, 9)] if figures else _letter(next(uniform)) for _ in range(length)))
        return Message(" ".join(words), wpm, pitch, phase, snr_db, before, after), draw


@dataclass(frozen=True)
class Message:
    """A text and how it is sent: wpm in words a minute, pitch in Hz, phase in radians, the margins in units."""

    text: str
    wpm: float
    pitch: float
    phase: float
    snr_db: float
    before: float = 5.0
    after: float = 5.0

    @property
    def units(self) -> list[float]:
        """Durations of the intervals between key moves, in units, from ``before`` to ``after``: up, down, ..., up."""
        spells: list[float] = [self.before]
        for symbol in self.text:
            if symbol == " ":
                spells[-1] = WORD_GAP
                continue
            for length in _UNITS[symbol]:
                spells += [length, GAP]
            spells[-1] = LETTER_GAP
        spells[-1] = self.after
        return spells

    @property
    def seconds(self) -> float:
        """Length of the message, without jitter."""
        return sum(self.units) * UNIT / self.wpm


def key(message: Message, sample_rate: int, jitter: float, draw: torch.Generator) -> Tensor:
    """Return waveform_S of a message: the keyed tone and white noise, scaled to stay within -1 to 1.

    Args:
        message: What to send and how.
        sample_rate: Samples per second.
        jitter: Standard deviation of each spell, as a part of its length; drawn within three of them.
        draw: Generator of jitter and noise.
    """
    units_E = torch.tensor(message.units, dtype=torch.float64)
    noise_E = torch.randn(len(units_E), generator=draw, dtype=torch.float64).clamp(-3, 3)
    units_E = units_E * (1 + jitter * noise_E).clamp(min=0.1)
    ends_E = (units_E.cumsum(0) * (UNIT / message.wpm * sample_rate)).round().long()
    # Each move of the key adds its slope, a half cosine, to the envelope's derivative: in sum a raised-cosine edge.
    half = max(1, round(EDGE / 2 * sample_rate))
    slope_K = torch.cos(torch.linspace(-pi / 2, pi / 2, 2 * half + 3)[1:-1])
    sign_E = 1 - 2.0 * (torch.arange(len(units_E) - 1) % 2)
    slopes_EK = sign_E[:, None] * (slope_K / slope_K.sum())
    places_EK = ends_E[:-1, None] + torch.arange(-half, half + 1)
    samples = int(ends_E[-1])
    derivative_S = torch.zeros(samples).index_add_(0, places_EK.clamp(0, samples - 1).flatten(), slopes_EK.flatten())
    envelope_S = derivative_S.cumsum(0)
    cycles_S = torch.arange(samples, dtype=torch.float64) * (message.pitch / sample_rate) % 1
    tone_S = torch.sin(cycles_S.to(torch.float32) * (2 * pi) + message.phase)
    deviation = (0.5 / 10 ** (message.snr_db / 10)) ** 0.5  # the power of a sine of amplitude 1 is 0.5
    noise_S = torch.randn(samples, generator=draw)
    return (envelope_S * tone_S + deviation * noise_S).div_(1 + 5 * deviation).clamp_(-1, 1)


class _Messages(Dataset):
    """A part of the messages; a training index beyond the size is a message of a later epoch."""

    def __init__(self, data: Morse, split: Split) -> None:
        self.data = data
        self.split = split

    def __len__(self) -> int:
        return self.data.sizes[self.split]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index < 0 or (self.split != "train" and index >= len(self)):
            raise IndexError(index)
        return self.data.sample(self.split, index)


def _letter(uniform: float) -> str:
    return ascii_uppercase[min(bisect(_CUMULATIVE, uniform), 25)]
