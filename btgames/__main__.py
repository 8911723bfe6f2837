"""``python -m btgames``: what `inv` runs."""

from btgames.program import main

main()
