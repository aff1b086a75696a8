"""What flows between the parts, and what each part must do. Pure torch."""
