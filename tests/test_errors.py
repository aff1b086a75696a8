from seqkit.errors import shortened


def test_values_are_quoted_on_one_short_line():
    assert shortened("naïve") == "naïve"
    assert shortened("a\nb\0\x1b") == "a\\nb\\x00\\x1b"
    assert shortened("x" * 5000) == "x" * 60 + "... (5,000 characters)"
    assert shortened(12) == "12"
