"""The `objectkernel` program: see, check and run a kernel from the command line."""

__version__ = "0.1.0"
