"""The agent worker and its jobs: one process holds one conversation."""

import os

# onnxruntime from 1.29 on reports models, errors and a machine's id to its maker, from a thread and
# a database file of its own in every process. It reads this once, when it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
