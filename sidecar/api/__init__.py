"""HTTP: one module per door, each a function from its collaborators to routes."""
