"""Accounts, people and sessions of a host, its secrets and its audit trail."""
