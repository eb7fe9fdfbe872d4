"""``python -m objectkernel_cli`` is ``objectkernel``."""

from objectkernel_cli.main import main

main()
