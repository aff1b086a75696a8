"""What a data set says of itself."""

import re

from seqkit.data.loading import refuse_if_undescribed
from seqkit.specs import spec_from_json, spec_to_json
from seqkit.testing.answers import json_reason
from seqkit.testing.check import check, ensure
from seqkit.testing.data.subject import DataSubject


@check("data", cheap=True, basic=True)
def can_be_set_up(subject: DataSubject) -> None:
    """It is prepared and set up without a refusal, and then says what it is."""
    refuse_if_undescribed(subject.get())


@check("data", cheap=True)
def fingerprint_is_a_sha256(subject: DataSubject) -> None:
    """A run refuses to be resumed on other data by it."""
    found = subject.data.fingerprint
    ensure(
        isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found),
        f"fingerprint is {found!r:.60}; make it hashlib.sha256(CONTENT).hexdigest()",
    )


@check("data", cheap=True)
def facts_are_plain_json(subject: DataSubject) -> None:
    """The report says by them what was trained on."""
    reason = json_reason(subject.data.facts)
    ensure(not reason, f"facts are no plain JSON: {reason}")


@check("data", cheap=True)
def spec_survives_json(subject: DataSubject) -> None:
    """It is saved in every checkpoint, and a trained network cannot be used without it."""
    spec = subject.data.spec
    back = spec_from_json(spec_to_json(spec))
    ensure(back == spec, "spec is another after a round trip through JSON; use tuples, not lists, in its fields")
