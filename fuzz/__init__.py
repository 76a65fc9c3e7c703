"""Damaged pictures and films of every format, made by script: `python -m fuzz`."""
