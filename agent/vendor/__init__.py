"""Vendors of speech and language through their LiveKit plug-ins: one module each.

Importing them takes a second and 32 MB, nearly all of it OpenAI's: the forkserver does it once for
every call (`agent.vendor.preload`); the worker's main process never does.
"""
