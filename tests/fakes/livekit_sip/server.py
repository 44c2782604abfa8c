"""The double's API: `livekit.SIP` answered here, all else passed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from livekit import api
from livekit.protocol.sip import SIPTrunkInfo

from contracts.ids import SIP_CALL_STATUS
from tests.fakes.livekit_sip.behaviour import Answers, Callee, Refuses, Unreachable
from tests.fakes.livekit_sip.caller import Caller
from tests.fakes.livekit_sip.failure import Failure, reason_of, refused
from tests.fakes.livekit_sip.line import Line
from tests.fakes.livekit_sip.proxy import Proxy
from tests.fakes.livekit_sip.registry import Registry, listed

RINGING_TIMEOUT_S = 30.0
NO_SERVICE_S = 1.0
TRYING_S = 0.1
"""From a phone's coming into its room to the first that is heard of it."""
_CLOSED_PORT_S = 0.2
Answer = Callable[[Any], Awaitable[Message]]


class SipDouble:
    """One LiveKit SIP service.

    Attributes:
        url: what takes the place of the LiveKit server's address.
        registry: trunks and rules.
        callees: phones that can be called, by number; any other is `default`.
        lines: the legs of calls out, by identity.
        requests: every method asked for, in order.
        is_running: whether there is a livekit-sip behind the server.
        has_redis: whether the server has what it keeps trunks in.
    """

    def __init__(self, server: tuple[str, str, str], proxy: Proxy) -> None:
        self.url = ""
        self.registry = Registry()
        self.callees: dict[str, Callee] = {}
        self.default = Callee()
        self.lines: dict[str, Line] = {}
        self.requests: list[str] = []
        self.is_running = True
        self.has_redis = True
        self._server = server
        self._proxy = proxy
        self._calls: set[asyncio.Task[None]] = set()
        self._callers: list[Caller] = []
        self._methods: dict[str, tuple[type[Message], Answer]] = {
            "CreateSIPInboundTrunk": (api.CreateSIPInboundTrunkRequest, self._create_inbound),
            "UpdateSIPInboundTrunk": (api.UpdateSIPInboundTrunkRequest, self._update_inbound),
            "ListSIPInboundTrunk": (api.ListSIPInboundTrunkRequest, self._list_inbound),
            "CreateSIPOutboundTrunk": (api.CreateSIPOutboundTrunkRequest, self._create_outbound),
            "UpdateSIPOutboundTrunk": (api.UpdateSIPOutboundTrunkRequest, self._update_outbound),
            "ListSIPOutboundTrunk": (api.ListSIPOutboundTrunkRequest, self._list_outbound),
            "DeleteSIPTrunk": (api.DeleteSIPTrunkRequest, self._delete_trunk),
            "CreateSIPDispatchRule": (api.CreateSIPDispatchRuleRequest, self._create_rule),
            "UpdateSIPDispatchRule": (api.UpdateSIPDispatchRuleRequest, self._update_rule),
            "ListSIPDispatchRule": (api.ListSIPDispatchRuleRequest, self._list_rules),
            "DeleteSIPDispatchRule": (api.DeleteSIPDispatchRuleRequest, self._delete_rule),
            "CreateSIPParticipant": (api.CreateSIPParticipantRequest, self._dial),
            "TransferSIPParticipant": (api.TransferSIPParticipantRequest, self._transfer),
        }

    def call(
        self,
        number: str,
        dialled: str,
        headers: Mapping[str, str] | None = None,
        *,
        no_rtp_s: float | None = None,
        **how: Any,
    ) -> Caller:
        """Let a phone call in; `how` goes to `Caller.call`."""
        caller = Caller(number, dialled, headers)
        if no_rtp_s is not None:
            caller.no_rtp_s = no_rtp_s
        task = asyncio.create_task(caller.call(self.registry, self._server, **how))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        self._callers.append(caller)
        return caller

    async def aclose(self) -> None:
        """Hang up every phone."""
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        for line in self.lines.values():
            await line.aclose()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        service, _, method = request.path.removeprefix("/twirp/").partition("/")
        if service != "livekit.SIP":
            return await self._proxy.answer(request)
        self.requests.append(method)
        try:
            self._require_grant(request, "call" if method.endswith("Participant") else "admin")
            if not self.has_redis:
                raise Failure("internal", "sip not connected (redis required)")
            kind, work = self._methods[method]
            is_json = request.content_type == "application/json"
            body = await request.read()
            asked = json_format.Parse(body, kind()) if is_json else kind.FromString(body)
            answer = await work(asked)
        except Failure as failure:
            error = {"code": failure.code, "msg": failure.message, "meta": failure.meta}
            return web.json_response(error, status=failure.http_status)
        if is_json:
            return web.json_response(text=json.dumps(json_format.MessageToDict(answer)))
        return web.Response(body=answer.SerializeToString(), content_type="application/protobuf")

    def _require_grant(self, request: web.Request, grant: str) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        _, key, secret = self._server
        try:
            claims = api.TokenVerifier(key, secret).verify(token)
        except Exception as error:
            raise Failure("unauthenticated", "invalid authorization token") from error
        if claims.sip is None or not getattr(claims.sip, grant):
            raise Failure("unauthenticated", "permissions denied")

    async def _create_inbound(self, asked: api.CreateSIPInboundTrunkRequest) -> Message:
        return self.registry.save_inbound(asked.trunk)

    async def _update_inbound(self, asked: api.UpdateSIPInboundTrunkRequest) -> Message:
        return self.registry.save_inbound(asked.replace, asked.sip_trunk_id)

    async def _list_inbound(self, _: Message) -> Message:
        return api.ListSIPInboundTrunkResponse(items=listed(self.registry.inbound))

    async def _create_outbound(self, asked: api.CreateSIPOutboundTrunkRequest) -> Message:
        return self.registry.save_outbound(asked.trunk)

    async def _update_outbound(self, asked: api.UpdateSIPOutboundTrunkRequest) -> Message:
        return self.registry.save_outbound(asked.replace, asked.sip_trunk_id)

    async def _list_outbound(self, _: Message) -> Message:
        return api.ListSIPOutboundTrunkResponse(items=listed(self.registry.outbound))

    async def _delete_trunk(self, asked: api.DeleteSIPTrunkRequest) -> Message:
        # An unknown one is fine.
        self.registry.inbound.pop(asked.sip_trunk_id, None)
        self.registry.outbound.pop(asked.sip_trunk_id, None)
        return SIPTrunkInfo(sip_trunk_id=asked.sip_trunk_id)

    async def _create_rule(self, asked: api.CreateSIPDispatchRuleRequest) -> Message:
        return self.registry.save_rule(asked.dispatch_rule)

    async def _update_rule(self, asked: api.UpdateSIPDispatchRuleRequest) -> Message:
        return self.registry.save_rule(asked.replace, asked.sip_dispatch_rule_id)

    async def _list_rules(self, _: Message) -> Message:
        return api.ListSIPDispatchRuleResponse(items=listed(self.registry.rules))

    async def _delete_rule(self, asked: api.DeleteSIPDispatchRuleRequest) -> Message:
        if self.registry.rules.pop(asked.sip_dispatch_rule_id, None) is None:
            raise Failure("not_found", "requested sip dispatch rule does not exist")
        return api.SIPDispatchRuleInfo(sip_dispatch_rule_id=asked.sip_dispatch_rule_id)

    async def _dial(self, asked: api.CreateSIPParticipantRequest) -> Message:
        trunk = self.registry.outbound.get(asked.sip_trunk_id)
        if trunk is None:
            raise Failure("not_found", "requested sip trunk does not exist")
        if not self.is_running:
            await asyncio.sleep(NO_SERVICE_S)
            raise Failure("unavailable", "twirp error unknown: no response from servers")
        callee = self.callees.get(asked.sip_call_to, self.default)
        line = Line(asked.participant_identity, asked.room_name)
        line.refers, line.refer_s = callee.refers, callee.refer_s
        attributes = {
            **asked.participant_attributes,
            SIP_CALL_STATUS: "dialing",
            "sip.trunkID": trunk.sip_trunk_id,
            "sip.phoneNumber": asked.sip_call_to,
            "sip.trunkPhoneNumber": asked.sip_number or trunk.numbers[0],
        }
        await line.join(
            *self._server,
            attributes,
            name=asked.participant_name,
            metadata=asked.participant_metadata,
        )
        self.lines[line.identity] = line
        if asked.max_call_duration.seconds:
            line.end_after(asked.max_call_duration.seconds)
        ringing_s = asked.ringing_timeout.ToTimedelta().total_seconds() or RINGING_TIMEOUT_S
        ringing = asyncio.create_task(_ring(line, callee, ringing_s))
        self._calls.add(ringing)
        ringing.add_done_callback(self._calls.discard)
        if asked.wait_until_answered:
            await asyncio.shield(ringing)
        else:
            ringing.add_done_callback(lambda task: task.cancelled() or task.exception())
        return api.SIPParticipantInfo(
            participant_id="PA_double",
            participant_identity=line.identity,
            room_name=asked.room_name,
            sip_call_id=line.call_id,
        )

    async def _transfer(self, asked: api.TransferSIPParticipantRequest) -> Message:
        if not asked.transfer_to.startswith(("sip:", "sips:", "tel:")):
            raise Failure("invalid_argument", "transfer_to must be a valid SIP(s) or TEL URI")
        line = self._line(asked.room_name, asked.participant_identity)
        if line is None or line.ended.is_set():
            raise Failure("not_found", "twirp error unknown: participant does not exist")
        timeout_s = asked.ringing_timeout.ToTimedelta().total_seconds() or RINGING_TIMEOUT_S
        await line.refer(asked.transfer_to, timeout_s)
        return api.TransferSIPParticipantResponse()

    def _line(self, room_name: str, identity: str) -> Line | None:
        called_in = [caller.line for caller in self._callers if caller.line is not None]
        for line in (*self.lines.values(), *called_in):
            if (line.room_name, line.identity) == (room_name, identity):
                return line
        return None


async def _ring(line: Line, callee: Callee, ringing_s: float) -> None:
    """Let a phone be called until it answers.

    Raises:
        Failure: what the API answers if it does not.
    """
    try:
        async with asyncio.timeout(ringing_s):
            waits = [
                asyncio.create_task(_follow(line, callee)),
                asyncio.create_task(line.ended.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
    except TimeoutError:
        await line.leave("service", status="", reason=api.DisconnectReason.USER_UNAVAILABLE)
        raise Failure("canceled", "twirp error unknown: request timed out") from None
    following = waits[0]
    if line.ended.is_set() or following.cancelled():
        raise Failure("canceled", "twirp error unknown: context canceled")
    failure = following.exception()
    if isinstance(failure, Failure):
        status_code = int(failure.meta.get("sip_status_code", "503"))
        await line.leave("service", status="", reason=reason_of(status_code))
    if failure is not None:
        raise failure
    await line.become_active()


async def _follow(line: Line, callee: Callee) -> None:
    """Do as the phone does until it is picked up."""
    await asyncio.sleep(TRYING_S)
    match callee.does:
        case Unreachable(transport="udp"):
            await asyncio.Event().wait()
        case Unreachable():
            await asyncio.sleep(_CLOSED_PORT_S)
            raise Failure("failed_precondition", "twirp error unknown: connection refused")
        case Refuses() as refuses:
            if refuses.rings:
                await line.set_status("ringing")
            await asyncio.sleep(refuses.after_s)
            raise refused(refuses.status_code)
        case Answers() as answers:
            if answers.rings:
                await line.set_status("ringing")
            if answers.after_s is None:
                await asyncio.Event().wait()
            else:
                await asyncio.sleep(answers.after_s)


@asynccontextmanager
async def running_double(
    url: str, key: str, secret: str, *, port: int = 0
) -> AsyncIterator[SipDouble]:
    """Run a double before the LiveKit server at `url`, on a port of this machine."""
    # Nobody else's limit on how long a phone may ring.
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as http:
        double = SipDouble((url, key, secret), Proxy(url, http))
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", double.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound = runner.addresses[0][:2]
        double.url = f"ws://{host}:{bound}"
        try:
            yield double
        finally:
            await double.aclose()
            await runner.cleanup()
