from pathlib import Path

import pytest

import seqkit
from seqkit.errors import ConfigError
from tests.conftest import TINY


def test_a_cache_stands_beside_the_model_and_does_not_depend_on_the_batch_size():
    line = "".join(f"{word} said {word} to {word}\n" for word in ("ada", "bob", "cyd", "dee", "eve", "fay"))
    Path("book.txt").write_text(line * 30)
    words = ["data=text_files", "data.path=book.txt", "data.split=[0.6,0.2,0.2]", "data.batch_size=4", "data.seq_len=9"]
    words += ["data.eval_streams=5", "model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=2", "id=x"]
    seqkit.train(words)
    trained = seqkit.load("runs/text_files/x")
    plain = trained.evaluate()
    found = trained.evaluate(cache=20)
    name = "model with cache"
    assert list(found)[:2] == ["model", name]
    assert found[name].keys() - plain["model"].keys() == {"cache_theta", "cache_weight"}
    assert 0 < found[name]["cache_weight"] < 1 < 100 * found[name]["cache_theta"]
    assert {other: found[other] for other in plain} == plain
    assert found[name]["bits_per_character"] < plain["model"]["bits_per_character"]
    for batch_size in (1, 3, 5):
        assert trained.evaluate(batch_size=batch_size, cache=20) == found
    assert trained.evaluate() == plain
    with pytest.raises(ConfigError, match=r"^cache=0: give 1 token or more to remember$"):
        trained.evaluate(cache=0)
    with pytest.raises(ConfigError, match=r"^a cache is chosen on the validation part, so a score there would flatter"):
        trained.evaluate("valid", cache=20)


def test_a_task_without_a_cache_is_refused():
    seqkit.train([*TINY, "id=x", "trainer.max_steps=1"])
    with pytest.raises(ConfigError, match=r"^a cache is for a model with head=next_token; this one predicts Series$"):
        seqkit.load("runs/tiny/x").evaluate(cache=5)
