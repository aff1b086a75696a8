"""Rows of one batch: none may know of the others."""

import torch

from seqkit.testing.check import check, ensure
from seqkit.testing.compare import TOLERANCE, difference, largest
from seqkit.testing.models.subject import ModelSubject

REMEDY = "compute nothing over the batch axis in evaluation"


@check("model", cheap=True)
@torch.no_grad()
def rows_do_not_mix(subject: ModelSubject) -> None:
    """A row gets the same outputs in any batch, or a score would depend on the batch size."""
    model, x_BTI = subject.module(), subject.x()
    y_BTH, state = model(x_BTI, None, None)
    for row in range(len(x_BTI)):
        alone_BTH, alone = model(x_BTI[row : row + 1], None, None)
        by = difference(y_BTH[row], alone_BTH[0])
        ensure(by < TOLERANCE, f"in a batch a row's outputs are {by:.2g} away from those that it gets alone; {REMEDY}")
        by = largest(tuple(part[:, row] for part in state), tuple(part[:, 0] for part in alone))
        ensure(by < TOLERANCE, f"in a batch a row's state is {by:.2g} away from that which it has alone; {REMEDY}")


@check("model", cheap=True)
@torch.no_grad()
def order_of_rows_does_not_matter(subject: ModelSubject) -> None:
    """Rows in another order get their outputs in that order."""
    model, x_BTI = subject.module(), subject.x()
    by = difference(model(x_BTI.flip(0), None, None)[0].flip(0), model(x_BTI, None, None)[0])
    ensure(by < TOLERANCE, f"in another order of the rows the outputs of a row change by {by:.2g}; {REMEDY}")
