"""The subcommands of ``seqkit``, one file each."""
