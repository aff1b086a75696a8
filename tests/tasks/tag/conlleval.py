"""The rules of conlleval, one tag after another, as its script of 2000 has them: what the vectorised ones are held to."""


def chunks(tags):
    """Return (type, first, last) of each chunk."""
    found, start, before = [], None, ("O", "")
    for step, tag in enumerate([*tags, "O"]):
        place, _, kind = tag.partition("-")
        place = {"L": "E", "U": "S"}.get(place, place)
        if start is not None and _ends(before, (place, kind)):
            found.append((before[1], start, step - 1))
            start = None
        if _starts(before, (place, kind)):
            start = step
        before = (place, kind)
    return found


def _ends(before, now):
    return (
        before[0] in "ES"
        or (before[0] in "BI" and now[0] in "BSO")
        or (before[0] != "O" and before[1] != now[1])
    )  # fmt: skip


def _starts(before, now):
    return now[0] in "BS" or (before[0] in "ESO" and now[0] in "EI") or (now[0] != "O" and before[1] != now[1])


def f1(true, found):
    """Return the F1 of sentences' tags."""
    due = {(row, *chunk) for row, tags in enumerate(true) for chunk in chunks(tags)}
    got = {(row, *chunk) for row, tags in enumerate(found) for chunk in chunks(tags)}
    return 2 * len(due & got) / (len(due) + len(got)) if due or got else 0.0
