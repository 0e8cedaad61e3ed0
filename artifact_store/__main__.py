"""`python -m artifact_store`: the same as `artifact-store`."""

import sys

from artifact_store.cli import main

if __name__ == "__main__":
    sys.exit(main())
