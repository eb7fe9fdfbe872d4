"""The graph of a composition, as data and as pictures."""
