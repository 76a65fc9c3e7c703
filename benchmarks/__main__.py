"""`python -m benchmarks`: a short run. For more: `python -m benchmarks --sizes 224 512 1024 --repeats 7`."""

from benchmarks.gradient import main

main()
