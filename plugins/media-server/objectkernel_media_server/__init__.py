"""Recordings that are never lost: received while they are made, stored whole, handed out by links that expire."""
