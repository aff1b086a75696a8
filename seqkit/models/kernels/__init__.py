"""The loops over time, fast and plain, one file each."""
