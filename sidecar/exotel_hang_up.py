"""The hard cap on calls from Exotel: hung up by its REST API where the flow is heard of no more.

Our socket is closed by then, and the flow has gone on: whether it tells us (Passthru) or not is the
operator's choice, and one that tells is left alone. A caller who was handed over is never hung up.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.bot import BotConfig, ExotelApi
from contracts.ids import Channel
from contracts.outcome import Reason
from sidecar.exotel_passthru import transfer_wanted
from sidecar.store import calls, cdrs, events, exotel
from sidecar.store.calls import CallRow
from sidecar.store.deliveries import Delivery, DeliveryState

HANG_UP_CALL = "hang_up_call"
HANG_UP_LEG = "hang_up_leg"
KINDS = frozenset({HANG_UP_CALL, HANG_UP_LEG})
"""Kinds of deliveries: Exotel has an API for calls, which takes a form, and one for legs."""
DELAYS_S = (10.0, 5.0, 30.0)
"""Before each attempt; ten seconds are what a flow may take to be heard of."""
LATEST = timedelta(minutes=10)
"""After the call: what is hung up later than that, nobody remembers why."""

_GONE = frozenset(
    {
        Reason.CALLER_HUNG_UP,
        Reason.CALLER_DISCONNECTED,
        Reason.TRANSFERRED,
        Reason.AGENT_DESK,
    }
)
"""The caller has hung up, or Exotel has let go of the stream, or somebody else talks to them."""
_LEG_ACTION = "/actions/hangup"
_SID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def delivery_of(row: CallRow, config: BotConfig, now: datetime) -> Delivery | None:
    """Return what hangs up an ended call, should it be needed; None where it cannot be.

    A call that was never answered is left to its flow, which may have another bot for it.
    """
    api = config.exotel_api
    call_sid = row.connected_event.get("call_sid")
    if row.channel != Channel.EXOTEL or api is None or row.answered_at is None:
        return None
    if row.end_reason in _GONE or row.handed_off_at is not None:
        return None
    if not isinstance(call_sid, str) or not _SID.fullmatch(call_sid):
        return None
    url, body = _request(api, call_sid)
    return Delivery(
        delivery_id=f"{row.call_id}-hang-up",
        tenant_id=row.tenant_id,
        call_id=row.call_id,
        bot_id=row.bot_id,
        url=url,
        body=body,
        state=DeliveryState.PENDING,
        attempt=0,
        created_at=now,
        due_at=now + timedelta(seconds=DELAYS_S[0]),
        settled_at=None,
        last_error=None,
        kind=HANG_UP_CALL if api.hang_up == "call" else HANG_UP_LEG,
    )


async def why_not(connection: AsyncConnection, delivery: Delivery, now: datetime) -> str:
    """Return why a call is not to be hung up after all; "" if it is."""
    tenant_id, call_id = delivery.tenant_id, delivery.call_id
    if now > delivery.created_at + LATEST:
        return "not needed: the call is long over"
    if await cdrs.is_told(connection, tenant_id, call_id):
        return "not needed: the flow has gone on"
    if transfer_wanted(await events.facts(connection, tenant_id, call_id)):
        return "not needed: the caller was handed over"
    if (row := await calls.get(connection, tenant_id, call_id)) is not None:
        sid, since = str(row.connected_event.get("call_sid", "")), row.planned_at
        newest = await exotel.call_of(
            connection, tenant_id, None, call_sid=sid, stream_sid="", since=since
        )
        if newest is not None and newest.call_id != call_id:
            return "not needed: the flow has come to a bot again"
    return ""


def is_of(api: ExotelApi, delivery: Delivery) -> bool:
    """Return whether a delivery goes to this account: its keys are not for another one to see."""
    root, _ = _request(api, "")
    return delivery.url.startswith(root.removesuffix(_LEG_ACTION))


def authorization(key: str, token: str) -> str:
    """Return the header that shows an account's key and token (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{key}:{token}'.encode()).decode()}"


def _request(api: ExotelApi, sid: str) -> tuple[str, str]:
    account, sid = quote(api.account_sid, safe=""), quote(sid, safe="")
    if api.hang_up == "leg":
        return f"https://{api.host}/v2/accounts/{account}/legs/{sid}{_LEG_ACTION}", "{}"
    return f"https://{api.host}/v1/Accounts/{account}/Calls/{sid}", "Status=completed"
