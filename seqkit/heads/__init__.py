"""The heads that seqkit brings."""

from seqkit.heads import classify as classify
from seqkit.heads import forecast as forecast
from seqkit.heads import next_token as next_token
from seqkit.heads import transcribe as transcribe
