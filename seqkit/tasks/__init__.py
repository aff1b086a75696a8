"""The tasks that seqkit brings, each with its head, metrics, baselines and figures."""

from seqkit.tasks import classify as classify
from seqkit.tasks import forecast as forecast
from seqkit.tasks import next_token as next_token
from seqkit.tasks import regress as regress
from seqkit.tasks import tag as tag
from seqkit.tasks import transcribe as transcribe
