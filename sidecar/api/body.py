"""Request bodies and query parameters, read with limits and checked by models."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from contracts.moment import Moment
from sidecar.denial import Code, Denied
from sidecar.fault import faults_of, unfit

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_PAGE = 500
MAX_WORDS = 100
MAX_DIGITS = 20

Model = TypeVar("Model", bound=BaseModel)
_AT: TypeAdapter[datetime] = TypeAdapter(Moment)


async def body_of(request: Request, model: type[Model]) -> Model:
    """Return the body as a model.

    Raises:
        Denied: it does not fit, or is too big.
    """
    body = await raw_body(request)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise does_not_fit(error) from error


async def json_object_of(request: Request) -> dict[str, Any]:
    """Return the body as a JSON object, in the strict sense of JSON.

    Raises:
        Denied: it is none, or is too big.
    """
    body = await raw_body(request)
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Denied(Code.BODY_INVALID, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise Denied(Code.BODY_INVALID, "the body is not a JSON object")
    return value


def does_not_fit(error: ValidationError) -> Denied:
    """Return the denial of a body or query that does not fit; the details name each field."""
    return Denied(Code.BODY_INVALID, "the body does not fit", details={"errors": faults_of(error)})


async def raw_body(request: Request) -> bytes:
    """Return the body byte for byte.

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
    if not text.isdecimal() or len(text) > MAX_DIGITS or not least <= int(text) <= most:
        raise unfit(name, f"not a number from {least} to {most}")
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
        raise unfit(name, "not a time with a zone") from error


def words(request: Request, name: str) -> list[str]:
    """Return a query parameter that may be repeated or comma-separated."""
    given = ",".join(request.query_params.getlist(name))
    found = [word for word in given.split(",") if word]
    if len(found) > MAX_WORDS:
        raise unfit(name, f"more than {MAX_WORDS}")
    return found
