"""The compiled backend: a cell's step traced with its gradient, written as C, and run as one loop over time."""
