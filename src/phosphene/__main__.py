"""`python -m phosphene`."""

import sys

from phosphene.cli import main

if __name__ == "__main__":
    sys.exit(main())
