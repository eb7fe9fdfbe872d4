"""The errors for an operation that comes too late, or from elsewhere; the same on every database."""

from __future__ import annotations

from objectkernel_system_dialect.errors import DialectClosed


def closed() -> DialectClosed:
    """The dialect has ended."""
    return DialectClosed(
        "the database is closed",
        why="its dialect has been stopped",
        fix="use it while the kernel is running",
    )


def other_loop() -> DialectClosed:
    """The dialect belongs to another event loop."""
    return DialectClosed(
        "the database was opened in another event loop",
        why="its answers arrive in that loop alone",
        fix="open a dialect in each event loop, and close it there",
    )


def transaction_ended() -> DialectClosed:
    """The transaction has ended, and a task of it goes on."""
    return DialectClosed(
        "the transaction has ended",
        why="its block was left while a task of it went on, or the database was closed",
        fix="wait for the tasks of a transaction within its block, and use it while the kernel is running",
    )
