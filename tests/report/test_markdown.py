from seqkit.report.markdown import markdown

FACTS = {
    "name": "tiny", "test": {"mse": 0.25}, "baselines": {"a|b": {"mse": 0.5, "mae": 2.0}}, "valid": {"mse": 0.125},
    "parameters": 12345, "best_step": 4000, "training_seconds": 1.5, "figures": ["curves.png"], "sample": "one\ntwo",
    "data": {"name": "adding", "sha256": "abc"}, "backends": {"layer 0": "native: exact"}, "config_hash": "f00",
    "device": "cpu", "machine": "Linux", "versions": {"torch": "2"}, "config": {"model": {"name": "gru"}},
    "missing": [],
}  # fmt: skip


def cells(line):
    return [cell.strip() for cell in line.replace(r"\|", "/").strip("|").split("|")]


def test_the_scores_stand_in_one_table_with_the_baselines():
    table = [line for line in markdown(FACTS).splitlines() if line.startswith("|")][:4]
    assert [cells(line)[:2] for line in table] == [["", "mse"], ["---", "---"], ["model", "0.25"], ["a/b", "0.5"]]
    assert len({len(cells(line)) for line in table}) == 1


def test_it_names_the_facts_the_figures_and_the_sample():
    page = markdown(FACTS)
    for part in (
        "# tiny\n", "model `gru` of 12,345 parameters", "step 4,000", "![curves](curves.png)", "## Sample\n\n",
        "| data: sha256 | abc |", "| layer 0 | native: exact |", "| config hash | f00 |",
    ):  # fmt: skip
        assert part in page
    assert "## Sample" not in markdown({**FACTS, "sample": ""})


def test_it_says_what_is_missing():
    assert "Missing" not in markdown(FACTS)
    page = markdown({**FACTS, "missing": ["a sample", "the figure rolls"]})
    assert "\n\nMissing, because it failed (see train.log): a sample, the figure rolls.\n\n" in page
