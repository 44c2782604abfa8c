"""Carriers' wire protocols, sans-I/O: messages in, events out, and nothing that waits."""
