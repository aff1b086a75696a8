"""Protocols of the components, and the types passed between them. Pure torch."""
