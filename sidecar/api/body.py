"""Request bodies and query parameters, read with limits and checked by models."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request

from sidecar.denial import Code, Denied

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_PAGE = 500

Model = TypeVar("Model", bound=BaseModel)
_AT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


async def body_of(request: Request, model: type[Model]) -> Model:
    """Return the body as a model.

    Raises:
        pydantic.ValidationError: it does not fit.
        Denied: it is too big.
    """
    return model.model_validate_json(await limited(request))


async def limited(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        Denied: it is too big.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Denied(Code.BODY_INVALID, f"the body is larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def integer(request: Request, name: str, default: int, *, least: int = 0, most: int) -> int:
    """Return a query parameter as a number within bounds."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.lstrip("-").isdecimal() or not least <= int(text) <= most:
        raise Denied(Code.BODY_INVALID, f"{name}: not a number from {least} to {most}")
    return int(text)


def moment(request: Request, name: str) -> datetime | None:
    """Return a query parameter as an aware time, or None where it is absent."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        # A plus sign in a query string means a space unless it was escaped.
        return _AT.validate_python(text.replace(" ", "+"))
    except ValidationError as error:
        raise Denied(Code.BODY_INVALID, f"{name}: not a time with a zone") from error


def words(request: Request, name: str) -> list[str]:
    """Return a query parameter that may be repeated or comma-separated."""
    return [
        word for value in request.query_params.getlist(name) for word in value.split(",") if word
    ]
