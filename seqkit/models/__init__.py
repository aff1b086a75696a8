"""Models: the recurrent stack and its cells. Importing this registers them."""

from seqkit.models import cells as cells
from seqkit.models.register import register_cell as register_cell
from seqkit.models.stack import Recurrent as Recurrent
