import pytest

from seqkit.errors import ConfigError
from seqkit.testing import check_task
from seqkit.testing.tasks import suite
from tests.testing.built_in import lines


@pytest.mark.seqkit(*lines("task"))
def test_built_in_tasks(check):
    check()


def test_the_task_of_an_example_plugin(load):
    load("tests.plugins.piano_roll")
    check_task("notes")


def test_a_task_without_data(load):
    load("tests.plugins.piano_roll")
    from seqkit import registry

    del registry._components["data"]["piano_roll"]
    with pytest.raises(ConfigError, match="task=notes is that of no data set"):
        suite({"task": {"name": "notes"}})[0].get_data()
