import sys
from pathlib import Path

import seqkit
from seqkit.__main__ import run
from seqkit.commands import generate


def test_a_terminal_shows_the_text_as_it_is_written_and_a_pipe_gets_the_same(capsys, monkeypatch):
    Path("book.txt").write_text("to be or not to be\n" * 40)
    words = ["data=text_files", "data.path=book.txt", "data.split=[0.6,0.2,0.2]", "data.batch_size=4", "data.seq_len=9"]
    words += ["model.hidden_size=4", "trainer.accelerator=cpu", "trainer.max_steps=1", "id=x"]
    seqkit.train(words)
    pieces, show = [], generate._show

    def spy(piece):
        pieces.append(piece)
        show(piece)

    for options in (["--stop", "e"], ["--samples", "2"]):
        command = ["generate", "runs/text_files/x", "to be", "--length", "12", *options]
        assert run(command) == 0
        piped = capsys.readouterr().out
        pieces.clear()
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            patch.setattr(generate, "_show", spy)
            assert run(command) == 0
        assert capsys.readouterr().out == piped
        assert len(pieces) > 2
