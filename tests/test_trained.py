"""A trained network, loaded: what only ``Trained`` itself decides."""

from pathlib import Path

import seqkit


def test_data_that_have_moved_are_looked_for_from_here(monkeypatch, tmp_path):
    text = "to be or not to be\n" * 40
    for folder in ("there", "here"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir("there")
    Path("book.txt").write_text(text)
    Path("moved.txt").write_text(text.upper())
    words = ["data=text_files", "data.path=book.txt", "data.seq_len=9", "model.hidden_size=4", "trainer.max_steps=1"]
    seqkit.train([*words, "trainer.accelerator=cpu", "id=x"])
    trained = seqkit.load("runs/text_files/x")
    monkeypatch.chdir(tmp_path / "here")
    Path("moved.txt").write_text(text)
    assert trained.evaluate("test", None, ["data.path=moved.txt"]) == trained.evaluate()
