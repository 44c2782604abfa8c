"""What every vendor's options have in common, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator


class Options(BaseModel):
    """A provider's `extra`. What it does not take is kept apart, to be told and not to be sent."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_null(cls, options: Any) -> Any:
        """An option that is null is one that was not set."""
        if not isinstance(options, dict):
            return options
        return {key: value for key, value in options.items() if value is not None}

    @property
    def ignored(self) -> list[str]:
        """The keys that this provider does not take."""
        return list(self.model_extra or {})


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Listed = Annotated[list[str], BeforeValidator(_listed)]
"""One text or several."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a bot's choice of vendors; `field` as `llm.extra.top_p`."""

    field: str
    message: str


class Keyed(Protocol):
    """A part of a bot's config that names a vendor."""

    @property
    def provider(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def base_url(self) -> str: ...


def without_key(kind: str, config: Keyed) -> list[Complaint]:
    """Complain of a key that is missing."""
    # A server of one's own, at `base_url`, may ask for none.
    if config.api_key or config.base_url:
        return []
    return [Complaint(f"{kind}.api_key", f"required by {config.provider}")]


def offline_language(kind: str, language: str) -> list[Complaint]:
    """Complain of a language that the offline engines do not have."""
    if not language or language.lower().startswith("en"):
        return []
    return [Complaint(f"{kind}.language", f"offline knows English alone, not {language!r}")]


def bad_options(kind: str, model: type[Options], extra: dict[str, Any]) -> list[Complaint]:
    """Complain of options whose values the vendor does not take."""
    try:
        model.model_validate(extra)
    except ValidationError as error:
        return [
            Complaint(".".join((kind, "extra", *map(str, each["loc"]))), each["msg"])
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    return []
