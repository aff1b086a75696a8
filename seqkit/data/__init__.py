"""The data that seqkit brings."""

from seqkit.data import audio as audio
from seqkit.data import labelled_text as labelled_text
from seqkit.data import morse as morse
from seqkit.data import sea_temperature as sea_temperature
from seqkit.data import sequence_table as sequence_table
from seqkit.data import series_table as series_table
from seqkit.data import synthetic as synthetic
from seqkit.data import tagged_text as tagged_text
from seqkit.data import text as text
from seqkit.data import timing as timing
