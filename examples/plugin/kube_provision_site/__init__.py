"""A company's own additions to every node."""
