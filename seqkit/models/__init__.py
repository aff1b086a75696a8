"""Models: the recurrent stack and its cells. Importing this registers them."""

from seqkit.models import cifg_lstm as cifg_lstm
from seqkit.models import elman as elman
from seqkit.models import gru as gru
from seqkit.models import lstm as lstm
from seqkit.models import peephole_lstm as peephole_lstm
from seqkit.models.recurrent import Recurrent as Recurrent
from seqkit.models.register import register_cell as register_cell
