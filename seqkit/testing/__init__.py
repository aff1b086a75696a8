"""The conformance suite for plugin authors: what a component must do, each property as a check of its own."""
