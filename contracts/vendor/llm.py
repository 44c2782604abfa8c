"""Vendors of language: what each takes, and what is wrong with a bot's choice."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from contracts.engines import LlmConfig
from contracts.vendor.option import Complaint, Options, bad_options, without_key


class OpenAiOptions(Options):
    """`llm.extra` for OpenAI and servers that speak its protocol."""

    top_p: float | None = Field(default=None, ge=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = None


class SafetySetting(BaseModel):
    """How freely a kind of harm may be spoken of, in Google's words."""

    category: str
    threshold: str


class GeminiOptions(Options):
    """`llm.extra` for Google's models, by either of their doors."""

    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: float | None = Field(default=None, ge=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = None
    thinking_budget: int | None = Field(default=None, ge=-1, le=65_536)
    """Tokens that a model of the second generation may think for; -1: as it likes."""
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
    """How much one of the third thinks."""
    safety_settings: list[SafetySetting] | None = None


class GoogleOptions(GeminiOptions):
    """`llm.extra` for the Gemini API."""

    service_tier: Literal["flex", "standard", "priority"] | None = None


class VertexOptions(GeminiOptions):
    """`llm.extra` for Vertex AI."""

    project_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.:-]{1,100}$")]
    location: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")] = "us-central1"
    """A region, `global`, `us` or `eu`; part of the host's name."""


_PEM = re.compile(
    r"\s*-----BEGIN (?P<kind>(?:RSA )?PRIVATE KEY)-----\s(?P<der>[^-]+)-----END (?P=kind)-----\s*"
)
_LONG_SEQUENCE = b"\x30\x82"
"""How keys begin in DER; two bytes follow that tell its length."""
_HOTTEST = 2
_ACCOUNT = ("client_email", "private_key", "private_key_id")


def service_account(api_key: str) -> dict[str, str] | None:
    """Return what names and proves a service account, from its key as Google hands it out.

    None where the text is no such key. Its other members are left out: they are addresses that the
    key's owner could point anywhere.
    """
    try:
        account = json.loads(api_key)
    except (ValueError, RecursionError):
        return None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        return None
    found = {name: account.get(name) for name in _ACCOUNT}
    if not all(isinstance(value, str) and value for value in found.values()):
        return None
    return {name: str(value) for name, value in found.items()}


def _of_openai(llm: LlmConfig) -> list[Complaint]:
    found = [*without_key("llm", llm), *bad_options("llm", OpenAiOptions, llm.extra)]
    if not llm.model:
        found.append(Complaint("llm.model", "required, for example gpt-4.1-mini"))
    return [*found, *_out_of_range(llm)]


def _out_of_range(llm: LlmConfig) -> list[Complaint]:
    found = []
    # A server of one's own may mean something by a length of -1.
    if llm.max_tokens < 1 and not llm.base_url:
        found.append(Complaint("llm.max_tokens", "at least 1"))
    if not 0 <= llm.temperature <= _HOTTEST:
        found.append(Complaint("llm.temperature", "from 0 to 2"))
    return found


def _of_google(llm: LlmConfig) -> list[Complaint]:
    return [*without_key("llm", llm), *_of_gemini(GoogleOptions, llm)]


def _of_vertex(llm: LlmConfig) -> list[Complaint]:
    found = _of_gemini(VertexOptions, llm)
    account = service_account(llm.api_key)
    # A gateway of one's own, at `base_url`, may take a token, or nothing.
    if account is None and not llm.base_url:
        found.insert(0, Complaint("llm.api_key", "required: a service account's key, as JSON"))
    if account is not None and not _is_whole(account["private_key"]):
        found.insert(0, Complaint("llm.api_key", "its private_key is no PEM, or a part of one"))
    return found


def _is_whole(private_key: str) -> bool:
    """Return whether a private key's PEM holds as many bytes as it says: none was lost on the way.

    To be read as a key it would take the library that signs, which not everybody here has.
    """
    pem = _PEM.fullmatch(private_key)
    if pem is None:
        return False
    try:
        der = b64decode("".join(pem["der"].split()), validate=True)
    except ValueError:
        return False
    return der[:2] == _LONG_SEQUENCE and int.from_bytes(der[2:4]) == len(der) - 4


def _of_gemini(options: type[GeminiOptions], llm: LlmConfig) -> list[Complaint]:
    found = bad_options("llm", options, llm.extra)
    if not llm.model:
        found.append(Complaint("llm.model", "required, for example gemini-2.5-flash"))
    if takes_level(llm.model) and llm.extra.get("thinking_budget") is not None:
        found.append(Complaint("llm.extra.thinking_budget", "this model takes thinking_level"))
    if llm.model and not takes_level(llm.model) and llm.extra.get("thinking_level") is not None:
        found.append(Complaint("llm.extra.thinking_level", "this model takes thinking_budget"))
    return [*found, *_out_of_range(llm)]


def takes_level(model: str) -> bool:
    """Whether how much a model of Google's thinks is set by a level, not by a budget."""
    return any(name in model.lower() for name in ("gemini-3", "gemini-4", "gemma-4"))


def _of_rules(_: LlmConfig) -> list[Complaint]:
    return []


LLM: dict[str, Callable[[LlmConfig], list[Complaint]]] = {
    "rules": _of_rules,
    "openai": _of_openai,
    "google": _of_google,
    "google_vertex": _of_vertex,
}
"""Every provider, and what looks for faults in a bot's choice of it."""


def llm_options(llm: LlmConfig) -> type[Options] | None:
    """Return the model of a choice's `extra`; None where anything goes."""
    match llm.provider:
        case "openai":
            # Servers of one's own take more than OpenAI does.
            return None if llm.base_url else OpenAiOptions
        case "google":
            return GoogleOptions
        case "google_vertex":
            return VertexOptions
        case _:
            return None
