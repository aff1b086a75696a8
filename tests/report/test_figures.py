from matplotlib.figure import Figure

from seqkit.report.figures import FORMATS, learning_curves, save


def test_the_best_step_is_marked_in_the_learning_curves(tmp_path):
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("step,metric,value\n10,train/loss,3\n10,valid/mse,2\n20,valid/mse,1\n30,valid/mse,4\n")
    curve = learning_curves(metrics, "mse", best_step=20).axes[1]
    assert [text.get_text() for text in curve.get_legend().get_texts()] == ["valid/mse", "best, step 20"]
    assert [*curve.lines[1].get_xdata()] == [20, 20]


def test_a_figure_without_a_canvas_is_saved(tmp_path):
    for ending in FORMATS:
        save(Figure(), tmp_path / f"plain{ending}")
    assert (tmp_path / "plain.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "plain.svg").stat().st_size
    assert (tmp_path / "plain.pdf").stat().st_size
