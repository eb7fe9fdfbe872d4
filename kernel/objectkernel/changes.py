"""The events that tell of changes to a running kernel, and of its stop, for who holds what plugins contribute."""

from __future__ import annotations

import attrs


@attrs.frozen
class PluginsChanging:
    """These plugins, or parts of them, are about to stop: for a change, since one crashed, or as the kernel stops.

    All is still up, but for what crashed. The kernel waits for its handlers, `shutdown_timeout` at most; they may not
    make changes, which would wait for them.
    """

    plugins: frozenset[str]


@attrs.frozen
class PluginsChanged:
    """A change is over, whether it worked out or not: `ObjectKernel.contributions` tells what is there now.

    The kernel waits for its handlers; they may make changes of their own.
    """
