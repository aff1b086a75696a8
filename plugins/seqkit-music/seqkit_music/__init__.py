"""Polyphonic music: piano rolls, the notes of the next step, MIDI files. The import of each part registers it."""

from seqkit_music import data, head, inputs, task  # noqa: F401
