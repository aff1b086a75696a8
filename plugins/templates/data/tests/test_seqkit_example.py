"""The data set keeps seqkit's contract, and has as many slow waves as fast ones."""

import pytest

import seqkit


@pytest.mark.seqkit("data=example")
def test_contract(check):
    check()


def test_the_classes_are_balanced():
    data = seqkit.build("data", {"name": "example", "size": 100})
    data.setup()
    assert data.spec.task.counts == (40, 40)
