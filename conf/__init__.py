"""The presets that choose and set components; shipped as ``seqkit.conf``."""
