"""Data access for objectkernel. Others import `contracts`; a host composes `plugin.SystemDialectPlugin`."""
