"""Ways to a carrier: how a trunk is written down, and what a bridge is told to dial by one."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from contracts.plan import Plan
from contracts.sip_header import may_be_added


def _network(value: str) -> str:
    ip_network(value, strict=False)
    return value


Network = Annotated[str, AfterValidator(_network)]


class Trunk(BaseModel):
    """One carrier, PBX or SIP provider.

    `password` and `inbound_password` may be `secret://…` references. Limits: `channels` calls at a
    time (inbound and outbound), `cps` new dials per second with a burst of `burst`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk_id: str = Field(default="", max_length=64)
    name: str = Field(min_length=1, max_length=100)
    kind: Literal["managed", "bridge"] = "managed"
    """Who speaks SIP on it: LiveKit SIP, or our own bridge."""
    service: str = Field(default="", max_length=32)
    """What `call_service` must be on `POST /call/outbound` (`twilio`, `exotel` …); "": anything."""
    address: str = Field(default="", max_length=255)
    """`host` or `host:port` of the carrier; "": a trunk that only takes calls in."""
    transport: Literal["auto", "udp", "tcp", "tls"] = "auto"
    domain: str = Field(default="", max_length=255)
    """The host of `From`, where it must not be our own address."""
    numbers: list[str] = Field(default_factory=list, max_length=1000)
    """The caller ids we may show, the first by default; managed: also what is answered on it."""
    username: str = Field(default="", max_length=255)
    password: str = Field(default="", max_length=1000)
    inbound_username: str = Field(default="", max_length=255)
    inbound_password: str = Field(default="", max_length=1000)
    inbound_addresses: list[Network] = Field(default_factory=list, max_length=200)
    """Who may call in; [] and no credentials: nobody, on the own bridge, beyond its setting."""
    register_expires_s: int = Field(default=0, ge=0, le=86_400)
    """Own bridge: register as an extension, for so long at a time; 0: do not."""
    srtp: Literal["off", "allowed", "required"] = "off"
    codecs: list[Literal["PCMA", "PCMU"]] = Field(default=["PCMA", "PCMU"], min_length=1)
    headers: dict[str, str] = Field(default_factory=dict)
    """Put on every INVITE we send."""
    number_format: Literal["e164", "plain", "national"] = "e164"
    """How the carrier wants numbers: `+91…`, `91…`, or `0…` (the country's own)."""
    channels: int = Field(default=30, ge=1, le=500)
    cps: float = Field(default=1.0, ge=0.1, le=100)
    burst: int = Field(default=5, ge=1, le=1000)
    is_active: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.register_expires_s and not (self.address and self.username):
            raise ValueError("registering needs `address` and `username`")
        for name, value in self.headers.items():
            if not may_be_added(name, value):
                raise ValueError(f"`headers`: {name!r} is no header that may be added")
        return self


class DialOrder(BaseModel):
    """What a bridge needs to place one call: whom, by which trunk, and the planned call behind it.

    The trunk's secrets are in place; nobody else is given an order, and none is given out twice.
    """

    model_config = ConfigDict(frozen=True)

    plan: Plan
    to_number: str
    """As the carrier wants it."""
    from_number: str
    trunk: Trunk
    ringing_timeout_s: float = 45.0
    headers: dict[str, str] = Field(default_factory=dict)


class DialClaim(BaseModel):
    """A media process asks for calls to place; it waits for the first one."""

    bridge_id: str = Field(max_length=200)
    max_dials: int = Field(ge=1, le=100)


class DialOrders(BaseModel):
    """What it gets; none where nothing came up meanwhile."""

    orders: list[DialOrder] = Field(default_factory=list)


class BridgeTrunks(BaseModel):
    """Every active trunk of the own bridge, secrets in place: who may call in, who is called."""

    trunks: list[Trunk] = Field(default_factory=list)
