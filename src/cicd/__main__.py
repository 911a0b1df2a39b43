"""`python -I src/cicd/__main__.py …` (what bin/bootstrap runs) and `python -m cicd …`."""

import sys
from pathlib import Path

source = str(Path(__file__).resolve().parent.parent)
if source not in sys.path:
    sys.path.insert(0, source)

from cicd.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
