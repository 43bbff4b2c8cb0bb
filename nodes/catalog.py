"""Every node that ships, one line each. A test compares this list with what stands on disk."""

NODES: dict[str, str] = {}
"""Node name -> module below `latentloom.nodes` that defines a function of that name."""
