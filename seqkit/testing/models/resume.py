"""A training of a model that was killed goes on exactly."""

from seqkit.testing.check import DoesNotApply, check
from seqkit.testing.models.subject import ModelSubject
from seqkit.testing.subject import trained
from seqkit.testing.training import require_exact_resume


@check("model")
def resume_is_exact(subject: ModelSubject) -> None:
    """A training that was killed and continued ends with the weights of one that was not."""
    if subject.config is None:
        raise DoesNotApply("it was not built from a config")
    trained(subject.module())
    require_exact_resume({"model": subject.config})
