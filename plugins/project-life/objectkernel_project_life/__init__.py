"""Tenant projects: a register of them, and for each the isolated connection to its own database."""
