from seqkit.report.markdown import markdown

FACTS = {
    "name": "tiny", "test": {"mse": 0.25}, "baselines": {"a|b": {"mse": 0.5, "mae": 2.0}}, "valid": {"mse": 0.125},
    "parameters": 12345, "best_step": 4000, "training_seconds": 1.5, "figures": ["curves.png"], "sample": "one\ntwo",
    "data": {"name": "adding", "sha256": "abc"}, "backends": {"layer 0": "native: exact"}, "config_hash": "f00",
    "device": "cpu", "machine": "Linux", "versions": {"torch": "2"}, "config": {"model": {"name": "gru"}},
    "missing": [], "history": [],
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


def test_it_says_what_changed_and_where_the_weights_came_from():
    entry = {"step": 400, "time": "2026-01-02T03:04:05+00:00", "changes": {"trainer.max_steps": [400, 800]}}
    source = {
        "run": "text/a", "step": 1500, "sha256": "0123456789abcdef", "whole": ["model.w"],
        "rows": {"head.b": "4 of 5"}, "left_out": {"head.w": "not there"},
    }  # fmt: skip
    page = markdown({**FACTS, "history": [entry], "init_from": source})
    assert "| changed | trainer.max_steps from 400 to 800 at step 400, 2026-01-02T03:04:05+00:00 |" in page
    assert (
        "| started from | text/a step 1,500 (sha256 0123456789ab): 1 tensors whole, of head.b 4 of 5 rows, "
        "head.w left out (not there) |" in page
    )
