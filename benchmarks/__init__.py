"""Measurements, side by side from one process."""
