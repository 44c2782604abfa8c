"""The whole schema's `metadata`: importing it brings in every module that holds tables."""

from __future__ import annotations

from sidecar.store import knowledge_tables, tables, telephony

TABLE_MODULES = (knowledge_tables, tables, telephony)
metadata = tables.metadata
