"""The shipped models, as a plugin's own test file would check its models."""

import pytest


@pytest.mark.seqkit("model=lstm model.hidden_size=4")
def test_contract(check):
    check()
