"""The pytest plugin: each check of a component as a test of its own.

A test file of a plugin, whole::

    import pytest
    import seqkit_mgu

    @pytest.mark.seqkit("model=mgu", "model=mgu model.layer_norm=true")
    def test_contract(check):
        check()

A check that does not apply is skipped with its reason. Nothing of seqkit is imported before a test has the mark.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seqkit.testing.check import Check


@dataclass(frozen=True)
class BoundCheck:
    """A check of one component, to be called by a test."""

    check: "Check"
    subject: Any

    def __call__(self) -> None:
        """Pass, fail with the message of the check, or skip with the reason why it does not apply."""
        from seqkit.errors import SeqkitError
        from seqkit.testing.check import CheckError, DoesNotApply, seeded

        try:
            with seeded():
                self.check.run(self.subject)
        except DoesNotApply as reason:
            pytest.skip(str(reason))
        except (CheckError, SeqkitError) as error:
            pytest.fail(f"{self.check.sentence}: {error}\n{self.check.doc}", pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", "seqkit(*lines): run the checks of the components that each line names")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each check of the components on the lines of the mark."""
    mark = metafunc.definition.get_closest_marker("seqkit")
    if mark is None or "check" not in metafunc.fixturenames:
        return
    from seqkit.errors import SeqkitError
    from seqkit.testing.check import CHECKS
    from seqkit.testing.line import parse, suite

    found = []
    for line in mark.args:
        try:
            chosen = parse(line.split())
            suites = [suite(kind, chosen) for kind in chosen]
        except SeqkitError as error:
            raise pytest.Collector.CollectError(f"seqkit: {error}") from None
        for subject, kinds in suites:
            found += [
                pytest.param(BoundCheck(check, subject), id=f"{line}-{check.name}")
                for own in kinds
                for check in CHECKS[own]
            ]
    metafunc.parametrize("check", found)
