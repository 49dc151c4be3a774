"""Builders and process helpers that tests and benchmarks share."""
