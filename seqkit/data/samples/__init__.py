"""Sample data that ships with seqkit, each file with its licence beside it."""
