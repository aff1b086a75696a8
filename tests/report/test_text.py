from seqkit.report.text import text_table

HEADER, ROWS = ["test", "first", "second", "third"], [["model", "1", "2", "3"]]


def test_the_first_columns_of_a_wide_table_fit_the_terminal(monkeypatch):
    whole = text_table(HEADER, ROWS, "in report.md")
    assert len(whole.splitlines()) == 3
    monkeypatch.setenv("COLUMNS", str(len(whole.splitlines()[0])))
    assert text_table(HEADER, ROWS, "in report.md") == whole
    monkeypatch.setenv("COLUMNS", "20")
    assert text_table(HEADER, ROWS, "in report.md").splitlines() == [
        "test   first  second", "-----  -----  ------", "model  1      2", "1 more column, third: in report.md"
    ]  # fmt: skip


def test_two_columns_always_stand(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1")
    first, *_, last = text_table(HEADER, ROWS, "in report.md").splitlines()
    assert first.split() == ["test", "first"]
    assert last == "2 more columns, second, third: in report.md"
