"""The built-in cells, one file each. Importing this registers them."""

from seqkit.models.cells import cifg_lstm as cifg_lstm
from seqkit.models.cells import diagonal_gru as diagonal_gru
from seqkit.models.cells import diagonal_lstm as diagonal_lstm
from seqkit.models.cells import elman as elman
from seqkit.models.cells import gru as gru
from seqkit.models.cells import lstm as lstm
from seqkit.models.cells import peephole_lstm as peephole_lstm
