"""The control plane: every durable fact, and the doors to it."""
