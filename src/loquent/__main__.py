"""`python -m loquent` is `loquent`."""

import sys

from loquent.cli import main

if __name__ == "__main__":
    sys.exit(main())
