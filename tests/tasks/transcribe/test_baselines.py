from seqkit.data.morse import Morse
from seqkit.tasks.transcribe.baselines import empty_transcript


def test_the_empty_transcript_misses_every_character_and_word_and_has_no_loss():
    data = Morse(test_size=5)
    data.setup()
    part = data.part("test")
    batch = data.collate([part[index] for index in range(len(part))])
    metric = data.spec.task.metrics(data.spec)
    metric.update(empty_transcript(batch), batch)
    scores = {name: float(value) for name, value in metric.compute().items()}
    assert scores == {"character_error_rate": 1.0, "word_error_rate": 1.0}
