"""A table of the mutants by the check that finds them."""

from collections import defaultdict

from tests.testing.mutants import registered


def table() -> str:
    """Return the mutants of each check; a * stands where the dry run of a training finds it too."""
    by_check = defaultdict(list)
    with registered() as mutants:
        for one in mutants:
            by_check[one.kind, one.caught_by].append(one.name + "*" * one.dry_run)
        found = sum(one.dry_run for one in mutants)
        lines = [f"{kind:<10} {check:<50} {', '.join(names)}" for (kind, check), names in by_check.items()]
    return "\n".join(
        [*lines, f"{len(mutants)} mutants by {len(lines)} checks; * {found} also by the dry run of a training"]
    )


if __name__ == "__main__":
    print(table())
