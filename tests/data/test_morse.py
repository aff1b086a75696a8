import pytest
import torch

from seqkit.data.morse import CODE, SYMBOLS, Message, Morse, key
from seqkit.errors import ConfigError
from seqkit.inputs.waveform.spec import Waveform
from seqkit.registry import build
from seqkit.rng import generator
from seqkit.tasks.transcribe.spec import Transcript

# Typed afresh from Recommendation ITU-R M.1677-1, not taken from the code under test.
TABLE = {
    ".-": "A", "-...": "B", "-.-.": "C", "-..": "D", ".": "E", "..-.": "F", "--.": "G", "....": "H", "..": "I",
    ".---": "J", "-.-": "K", ".-..": "L", "--": "M", "-.": "N", "---": "O", ".--.": "P", "--.-": "Q", ".-.": "R",
    "...": "S", "-": "T", "..-": "U", "...-": "V", ".--": "W", "-..-": "X", "-.--": "Y", "--..": "Z", ".----": "1",
    "..---": "2", "...--": "3", "....-": "4", ".....": "5", "-....": "6", "--...": "7", "---..": "8", "----.": "9",
    "-----": "0",
}  # fmt: skip


def spells(waveform, rate):
    """Run lengths of key down and up in seconds, from the first down: rectify, smooth over 8 ms, cut at half."""
    smooth = torch.nn.functional.avg_pool1d(waveform.abs()[None], 33, 1, padding=16)[0]
    down = smooth > smooth.max() / 2
    values, counts = torch.unique_consecutive(down, return_counts=True)
    runs = [(bool(v), int(c) / rate) for v, c in zip(values, counts, strict=True)]
    return runs[1:-1]  # without the margins


def decode(waveform, rate, wpm):
    unit, text, letter = 1.2 / wpm, "", ""
    for down, seconds in [*spells(waveform, rate), (False, 7 * unit)]:
        if down:
            letter += "." if seconds < 2 * unit else "-"
        elif seconds > 2 * unit:
            text += TABLE[letter] + (" " if seconds > 5 * unit else "")
            letter = ""
    return text.strip()


def make(**options):
    data = Morse(**{"train_size": 20, "valid_size": 7, "test_size": 9, "batch_size": 4, **options})
    data.setup()
    return data


def text(target):
    return "".join(SYMBOLS[i] for i in target.tolist())


def test_the_code_is_the_itu_table():
    assert {code: symbol for symbol, code in CODE.items()} == TABLE


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_an_envelope_decoder_reads_every_message_back(split):
    data = make(snr_db=(40, 40), eval_snr_db=40, wpm=(20, 20), pitch=(600, 800))
    for waveform, target in (data.part(split)[i] for i in range(7)):
        assert decode(waveform, 4000, wpm=20) == text(target)


def test_timing_is_that_of_paris():
    wpm = 12
    message = Message("PARIS PARIS", wpm, pitch=700, phase=0, snr_db=60)
    found = spells(key(message, 8000, 0.0, generator(0)), 8000)
    starts = sum(seconds for _, seconds in found[: len(found) // 2 + 1])  # to the second P: one word and its gap
    assert starts == pytest.approx(60 / wpm, abs=0.01)
    unit = 1.2 / wpm
    lengths = {round(seconds / unit) for down, seconds in found if down}
    gaps = {round(seconds / unit) for down, seconds in found if not down}
    assert lengths == {1, 3}
    assert gaps == {1, 3, 7}
    assert all(abs(seconds / unit - round(seconds / unit)) < 0.1 for _, seconds in found)
    assert message.seconds == pytest.approx((5 + 43 + 7 + 43 + 5) * unit)  # PARIS is 43 units, then a gap of 7


def test_signal_to_noise_ratio_is_tone_while_keyed_over_noise_in_the_full_band():
    rate, unit = 4000, 1.2 / 10
    message = Message("0" * 20, 10, pitch=500, phase=1, snr_db=10, before=100, after=5)
    noisy = key(message, rate, 0.0, generator(1))
    noise = noisy[: int(95 * unit * rate)].square().mean()
    dash = int(100 * unit * rate)  # the first dash, and the middle of it to leave out its edges
    powers = []
    for start in range(0, 5):
        begin = dash + round(start * 4 * unit * rate)
        powers.append(noisy[begin + 40 : begin + round(3 * unit * rate) - 40].square().mean())
    tone = torch.stack(powers).mean() - noise
    assert 10 * torch.log10(tone / noise) == pytest.approx(10, abs=0.3)


def test_jitter_changes_lengths_by_its_share():
    still = Message("EEEEEEEEEE" * 20, 20, pitch=700, phase=0, snr_db=60)
    found = spells(key(still, 8000, 0.1, generator(2)), 8000)
    dots = torch.tensor([seconds for down, seconds in found if down])
    assert float(dots.mean()) == pytest.approx(0.06, rel=0.03)
    assert float(dots.std()) == pytest.approx(0.006, rel=0.2)


def test_samples_are_pure_functions_and_bounded():
    one, two, other = make(), make(batch_size=3), make(seed=1)
    for split in ("train", "valid", "test"):
        for index in (5, 0):
            waveform, target = one.part(split)[index]
            again, same = two.part(split)[index]
            assert torch.equal(waveform, again)
            assert torch.equal(target, same)
            assert waveform.dtype == torch.float32
            assert waveform.abs().max() <= 1
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert not torch.equal(one.part("train")[0][0][:100], other.part("train")[0][0][:100])
    assert not torch.equal(one.part("train")[0][0][:100], one.part("valid")[0][0][:100])


def test_evaluation_is_at_its_own_speed():
    data = make(eval_wpm=20)
    for split, slowest, fastest in (("valid", 20, 20), ("train", 15, 25)):
        messages = [data._message(split, i)[0] for i in range(7)]
        assert all(slowest <= message.wpm <= fastest for message in messages)
        assert (len({message.wpm for message in messages}) == 1) is (split == "valid")


def test_every_epoch_is_new_and_holds_every_sample_once():
    data = make()
    for epoch in (0, 3):
        order = data.order("train", 4, 0, epoch)
        assert sorted(i for batch in order for i in batch) == list(range(20 * epoch, 20 * epoch + 20))
        assert order == data.order("train", 4, 0, epoch)
    assert data.order("train", 4, 0, 0) != data.order("train", 4, 1, 0)
    for split, size in (("valid", 7), ("test", 9)):
        assert [i for batch in data.order(split, 4, 0, 5) for i in batch] == list(range(size))
        assert len(data.part(split)) == size


def test_batches_hold_messages_of_similar_length():
    data = make(train_size=400)
    part, spread = data.part("train"), []
    for batch in data.order("train", 20, 0, 0):
        lengths = [len(part[i][0]) for i in batch]
        spread.append(max(lengths) / min(lengths))
    assert sorted(spread)[10] < 1.4  # of messages in random order the median is above 5


def test_collate_pads_sound_and_transcripts():
    data = make()
    samples = [data.part("train")[i] for i in (0, 1, 2)]
    batch = data.collate(samples)
    assert batch.inputs.shape == (3, max(len(waveform) for waveform, _ in samples))
    for row, (waveform, target) in enumerate(samples):
        assert batch.lengths[row] == len(waveform)
        assert torch.equal(batch.inputs[row, : len(waveform)], waveform)
        assert batch.inputs[row, len(waveform) :].abs().sum() == 0
        assert batch.target_lengths[row] == len(target)
        assert torch.equal(batch.targets[row, : len(target)], target)


def test_spec_and_facts():
    data = make(sample_rate=8000)
    assert data.spec.inputs == Waveform(8000)
    assert data.spec.task == Transcript((*"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", " "))
    assert data.facts["test"] == "9 messages: 20 words per minute, 10 dB"
    assert data.facts["train"] == "20 messages an epoch, new in each: 15 to 25 words per minute, 6 to 20 dB"


def test_words_are_as_long_and_as_many_as_asked():
    data = make(words=(2, 2), word_length=(3, 4), figures=0.5)
    texts = [data._message("train", i)[0].text for i in range(200)]
    assert {len(t.split(" ")) for t in texts} == {2}
    assert {len(word) for t in texts for word in t.split(" ")} == {3, 4}
    groups = [word.isdigit() for t in texts for word in t.split(" ")]
    assert 0.4 < sum(groups) / len(groups) < 0.6
    assert all(word.isdigit() or word.isalpha() for t in texts for word in t.split(" "))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wpm": [25, 15]}, "data.wpm=[25,15]: the smaller number comes first"),
        ({"words": [3, 2]}, "data.words=[3,2]: the smaller number comes first"),
        (
            {"pitch": [400, 1900]},
            "data.pitch=[400,1900]: a tone of 1900 Hz needs data.sample_rate=4222 or more, not 4000",
        ),
        ({"wpm": [0, 15]}, "data.wpm=0 (item 0): input should be greater than 0"),
        ({"test_size": 0}, "data.test_size=0: input should be greater than 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError) as refusal:
        build("data", {"name": "morse", **options})
    assert str(refusal.value) == message


def test_an_index_beyond_the_evaluation_part_is_an_error():
    with pytest.raises(IndexError):
        make().part("test")[9]
