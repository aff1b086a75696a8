"""What every test of exports shares."""

import pytest


@pytest.fixture(autouse=True)
def _one_table(one_table_of_translations):
    pass
