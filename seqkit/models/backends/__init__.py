"""Backends: implementations of one layer over time that compute the same thing."""
