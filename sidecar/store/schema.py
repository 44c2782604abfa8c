"""The whole schema's `metadata`: importing it brings in every module that holds tables."""

from __future__ import annotations

from sidecar.store import tables, telephony

TABLE_MODULES = (tables, telephony)
metadata = tables.metadata
