"""Places one real call: the caller's voice, the phone, the call as it is seen, its result."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from websockets.exceptions import InvalidHandshake, InvalidStatus

from bridges.exotel_softphone import ExotelSoftphone
from bridges.handset import Handset
from bridges.phone import Phone
from voicefleet.api import SidecarApi
from voicefleet.caller import Caller, CallerStuck
from voicefleet.follow import Follower
from voicefleet.script import Scenario
from voicefleet.show import ConversationView

RING_S = 0.6
RESULT_TIMEOUT_S = 75.0
"""Beyond what a result waits for a model's judgement."""
RECORDING_TIMEOUT_S = 10.0


class CallFailed(Exception):
    """The call did not go as it should; the message says what happened."""


@dataclass(frozen=True, slots=True)
class Dialler:
    """Where and how calls are placed.

    Attributes:
        token: what the bot wants from diallers, if it wants something.
        exotel: whether calls come by Exotel's stream, with its rules, and not by a dialler's.
    """

    api: SidecarApi
    bridge_url: str
    console: Console
    token: str = ""
    exotel: bool = False

    async def place(
        self, bot_id: str, scenario: Scenario, audio: Mapping[str, bytes]
    ) -> dict[str, Any]:
        """Place a call, show it, and return its result once it is there.

        Args:
            bot_id: whom to call.
            scenario: what the caller does.
            audio: the caller's lines, as `voicefleet.mouth.audio_of` makes them.

        Raises:
            CallFailed: it was refused, broke off, or did not follow the script.
        """
        session_id = f"call-{secrets.token_hex(8)}"
        follower = Follower(session_id, ConversationView(self.console))
        async with self.api.events() as events:
            following = asyncio.create_task(follower.follow(events))
            try:
                await self._talk(bot_id, scenario, session_id, follower, audio)
                return await self._result(follower)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    async def _talk(
        self,
        bot_id: str,
        scenario: Scenario,
        session_id: str,
        follower: Follower,
        audio: Mapping[str, bytes],
    ) -> None:
        url = f"{self.bridge_url}/{'exotel' if self.exotel else 'ws'}/{bot_id}"
        self.console.print(f"Calling {url}", highlight=False)
        fields = {**scenario.crm, "_campaign_session_id": session_id}
        phone: Handset | None = None
        try:
            async with self._phone(url, scenario.caller_id, session_id, fields) as phone:
                await Caller(phone, follower, audio.__getitem__).play(scenario)
        except CallerStuck as error:
            raise CallFailed(_explained(error, phone)) from error
        except InvalidStatus as error:
            response = error.response
            body = response.body.decode(errors="replace") if response.body else ""
            raise CallFailed(
                f"the bridge refused the call: {response.status_code} {body}"
            ) from error
        except (InvalidHandshake, OSError) as error:
            raise CallFailed(f"no bridge answers at {self.bridge_url}: {error}") from error

    def _phone(
        self, url: str, caller_id: str, stream_id: str, fields: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Handset]:
        if self.exotel:
            return ExotelSoftphone.call(
                url,
                caller_id=caller_id,
                stream_id=stream_id,
                # There all parameters are text.
                fields={name: str(value) for name, value in fields.items()},
                token=self.token,
            )
        return Phone.call(
            url,
            caller_id=caller_id,
            stream_id=stream_id,
            fields=fields,
            token=self.token,
            ring_s=RING_S,
        )

    async def _result(self, follower: Follower) -> dict[str, Any]:
        with self.console.status("Waiting for the result …"):
            try:
                async with asyncio.timeout(RESULT_TIMEOUT_S):
                    result = await follower.result()
            except TimeoutError:
                raise CallFailed(f"call {follower.call_id or '?'} has no result yet") from None
            except ConnectionError as error:
                raise CallFailed(str(error)) from error
        if result.get("recording_key"):
            with self.console.status("Waiting for the recording …"):
                try:
                    async with asyncio.timeout(RECORDING_TIMEOUT_S):
                        await follower.recorded.wait()
                except TimeoutError:
                    raise CallFailed("the recording did not arrive") from None
        return result


def _explained(error: CallerStuck, phone: Handset | None) -> str:
    if phone is None or phone.is_open:
        return str(error)
    return f"{error} (closed with {phone.close_code}: {phone.close_reason or 'no reason given'})"
