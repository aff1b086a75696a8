from pathlib import Path

from seqkit.errors import ConfigError, nearest, shortened, shown, unknown


def test_the_nearest_name_is_offered_where_one_is_near():
    assert nearest("hiden_size", ["layers", "hidden_size"]) == "Did you mean 'hidden_size'? "
    assert nearest("xyz", ["layers", "hidden_size"]) == ""


def test_long_values_are_cut_and_control_characters_escaped():
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 1234) == "x" * 60 + "... (1,234 characters)"
    assert shortened("a\nb\x1b") == "a\\nb\\x1b"
    assert shortened(12345, 3) == "123... (5 characters)"


def test_places_in_the_current_folder_are_relative(tmp_path):
    assert shown(tmp_path / "a" / "b") == Path("a/b")
    assert shown(tmp_path.parent) == tmp_path.parent


def test_an_unknown_name_is_refused_with_all_that_are_known():
    refusal = unknown("model", "lstn", ["lstm", "gru"])
    assert isinstance(refusal, ConfigError)
    assert str(refusal) == "no model 'lstn'. Did you mean 'lstm'? Known: gru, lstm"
