"""Being an extension of a PBX: REGISTER, its refreshes and its failures (RFC 3261 section 10)."""

from __future__ import annotations

from bridges.wire.sip import grammar
from bridges.wire.sip.address import Address
from bridges.wire.sip.agenda import Alarm
from bridges.wire.sip.core import Core
from bridges.wire.sip.digest import Credentials, Prover
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import (
    Registered,
    RegistrationFailed,
    RegistrationHandle,
    Unregistered,
)
from bridges.wire.sip.flow import Destination
from bridges.wire.sip.header import Headers, readable
from bridges.wire.sip.layer import Silence
from bridges.wire.sip.line import MOST_ATTEMPTS, status_of
from bridges.wire.sip.message import MAX_EXPIRES, Request, Response
from bridges.wire.sip.uri import Uri

FIRST_RETRY_S = 30.0
MOST_RETRY_S = 1_800.0
"""RFC 5626 section 4.5."""
REFRESH_MARGIN_S = 60.0
LEAST_EXPIRES_S = 20
INTERVAL_TOO_BRIEF = 423


class Registration:
    """One address of record at one registrar."""

    def __init__(
        self,
        core: Core,
        handle: RegistrationHandle,
        address_of_record: Uri,
        registrar: Destination,
        credentials: Credentials | None,
        expires_s: int,
        contact_user: str,
    ) -> None:
        self.handle = handle
        self._core = core
        self._address = address_of_record
        self._registrar = registrar
        self._prover = Prover(credentials, core.random) if credentials else None
        self._expires_s = expires_s
        self._contact = core.contact(registrar.transport, contact_user)
        self._call_id = core.token()
        self._tag = core.token()
        self._cseq = 0
        self._failures = 0
        self._is_leaving = False
        self._is_busy = False
        self._alarm: Alarm | None = None

    def refresh(self, now: float) -> None:
        """Send REGISTER."""
        self._send(1, now)

    def leave(self, now: float) -> None:
        """Take the registration back; once."""
        self._is_leaving = True
        if self._alarm is not None:
            self._alarm.cancel()
        if not self._is_busy:
            self._send(1, now)

    def _send(self, attempt: int, now: float) -> None:
        self._cseq += 1
        self._is_busy = True
        address = self._address.serialize()
        uri = Uri("sip", self._address.host, self._address.port).serialize()
        headers = Headers(
            [
                ("From", f"<{address}>;tag={self._tag}"),
                ("To", f"<{address}>"),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                ("Max-Forwards", "70"),
                ("Contact", self._contact),
                ("Expires", "0" if self._is_leaving else str(self._expires_s)),
                *self._core.abilities(),
                *self._core.identity("User-Agent"),
            ]
        )
        if self._prover is not None:
            for name, value in self._prover.headers("REGISTER", uri):
                headers.append_received(name, value)
        was_leaving = self._is_leaving

        def receive(reply: Response | Silence, now: float) -> None:
            status, reason = status_of(reply)
            if status < 200:
                return
            self._is_busy = False
            if self._is_leaving and not was_leaving:
                self._send(1, now)  # taken back while it was being refreshed
            elif isinstance(reply, Response) and self._can_retry(reply, attempt):
                self._send(attempt + 1, now)
            elif self._is_leaving:
                self._core.tell(Unregistered(self.handle))
            elif isinstance(reply, Response) and status < 300:
                self._succeed(reply, now)
            else:
                is_fault = isinstance(reply, Silence) and reply.is_fault
                self._fail(503 if is_fault else status, readable(reason), reply, now)

        self._core.layer.request(Request("REGISTER", uri, headers), self._registrar, now, receive)

    def _can_retry(self, response: Response, attempt: int) -> bool:
        if attempt >= MOST_ATTEMPTS:
            return False
        if response.status in (401, 407):
            return self._prover is not None and self._prover.take(response)
        if response.status == INTERVAL_TOO_BRIEF:
            least = _number(response.headers.lines("Min-Expires"))
            if least is not None and least > self._expires_s:
                self._expires_s = least
                return True
        return False

    def _succeed(self, response: Response, now: float) -> None:
        self._failures = 0
        expires_s = max(self._granted(response), LEAST_EXPIRES_S)
        margin_s = min(REFRESH_MARGIN_S, expires_s / 2)
        self._alarm = self._core.agenda.at(now + expires_s - margin_s, self.refresh)
        self._core.tell(Registered(self.handle, expires_s))

    def _granted(self, response: Response) -> int:
        """Return for how long: our Contact's parameter says it, or Expires, or what we asked."""
        ours = Address.parse(self._contact).uri
        for contact in response.contacts:
            if (contact.uri.user, contact.uri.host, contact.uri.port) == (
                ours.user, ours.host, ours.port,
            ):  # fmt: skip
                granted = _number([contact.param("expires") or ""])
                if granted is not None:
                    return granted
        granted = _number(response.headers.lines("Expires"))
        return self._expires_s if granted is None else granted

    def _fail(self, status: int, reason: str, reply: Response | Silence, now: float) -> None:
        wait_s = min(FIRST_RETRY_S * 2**self._failures, MOST_RETRY_S)
        if status in (401, 403, 404, 407):
            wait_s = MOST_RETRY_S  # somebody has to change something first
        asked = _number(reply.headers.lines("Retry-After")) if isinstance(reply, Response) else None
        if asked is not None:
            wait_s = min(max(wait_s, asked), MOST_RETRY_S)
        self._failures += 1
        # Spread, so that a PBX that comes back is not met by everybody at once.
        wait_s *= 0.75 + self._core.random(1)[0] / 1024
        self._alarm = self._core.agenda.at(now + wait_s, self.refresh)
        self._core.tell(RegistrationFailed(self.handle, status, reason, wait_s))


def _number(values: list[str]) -> int | None:
    """Return the number that the first value begins with, None if there is none."""
    try:
        text = values[0].partition("(")[0].partition(";")[0].strip()
        return grammar.parse_decimal(text, "seconds", MAX_EXPIRES)
    except (IndexError, ProtocolError):
        return None
