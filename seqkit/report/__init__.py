"""What a finished run tells."""
