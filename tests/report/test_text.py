from seqkit.report.text import text_table


def test_a_table_wider_than_the_terminal_goes_on_below():
    header, rows = ["test", "first", "second", "third"], [["model", "1", "2", "3"]]
    whole = text_table(header, rows)
    assert len(whole.splitlines()) == 3
    parts = text_table(header, rows, width=20).split("\n\n")
    assert [part.splitlines()[0].split() for part in parts] == [["test", "first", "second"], ["test", "third"]]
    assert max(len(line) for part in parts for line in part.splitlines()) <= 20
    assert text_table(header, rows, width=len(whole.splitlines()[0])) == whole


def test_columns_that_never_fit_stand_alone():
    assert len(text_table(["a", "b", "c"], [["1", "2", "3"]], width=1).split("\n\n")) == 2
