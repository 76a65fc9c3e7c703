"""Measurements, side by side from one run: `python -m benchmarks --help`."""
