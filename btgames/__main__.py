"""``python -m btgames``: what `inv` runs."""

import sys

try:
    from btgames.program import main

    main()
except KeyboardInterrupt:  # while all of it is still being imported
    sys.exit(130)
