"""Joins the endpoint's calls to the media processes' legs: events one way, orders the other.

The order of things that a crash may come between: what a BYE needs is stored before the answer, or
its ACK, leaves; it is removed once the far end has answered the BYE, or never will.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from bridges.sip import ipc
from bridges.sip.dialog_store import DialogStore, KeptDialog
from bridges.sip.driver import Driver
from bridges.sip.inbound import RETRY_AFTER, Asked, Reception, Refused, Seated, incoming
from bridges.sip.leg_table import Leg, LegTable
from bridges.sip.media_link import MediaLink
from bridges.sip.metrics import Metrics
from bridges.sip.news import ending_of, news_of, over
from bridges.sip.outbound import Undiallable, credentials_of, invitation, referral
from bridges.sip.registrar import Registrar
from bridges.sip.settings import SipSettings
from bridges.sip.trunk_book import TrunkBook
from bridges.wire.close import InvalidState
from bridges.wire.sip import event as wire
from bridges.wire.sip.endpoint import Overloaded, UnknownCall

log = structlog.get_logger(__name__)

_FAILED = "signalling has failed over it"
GUARD_S = 32.0
"""After which a caller is refused whom the media process neither answers nor refuses."""


class Switchboard:
    """Everything signalling knows of its calls. `driver` and `registrar` are set before it starts.

    Attributes:
        legs: the calls.
        links: the media processes.
        idle: set while there is no call.
        quiet: set while no far end owes us an answer to the end of a call or registration.
    """

    driver: Driver
    registrar: Registrar

    def __init__(
        self,
        settings: SipSettings,
        store: DialogStore,
        metrics: Metrics,
        now: Callable[[], float],
        guard_s: float = GUARD_S,
    ) -> None:
        self.legs = LegTable()
        self.links: list[MediaLink] = []
        self.idle = asyncio.Event()
        self.idle.set()
        self.quiet = asyncio.Event()
        self.quiet.set()
        self._leaving: set[wire.CallHandle] = set()
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._now = now
        self._guard_s = guard_s
        self._book = TrunkBook(settings.sip_allowed_peers)
        self._reception = Reception(settings.domain, now)
        self._draining = False

    # What the process itself asks.

    def trunks_changed(self, book: TrunkBook) -> None:
        """Go by other trunks from now on."""
        self._book = book
        if not self._draining:
            self.registrar.keep(book.trunks)
            self.driver.flush()

    def hang_up_leftovers(self) -> None:
        """End the calls that a former process left behind; their media died with it."""
        for dialog in self._store.left():
            log.warning("sip_call_left_behind", call=dialog.call, trunk_id=dialog.trunk_id)
            self._metrics.left_behind.inc()
            trunk = self._book.trunk(dialog.trunk_id)
            credentials = credentials_of(trunk) if trunk else None
            try:
                call = self.driver.endpoint.restore(dialog.snapshot, credentials)
                self.driver.endpoint.bye(call, self._now())
                self._leaving.add(call)
            except ValueError:
                log.error("sip_dialog_unreadable", call=dialog.call)
                self._store.drop(dialog.call)
        self.driver.flush()

    def drain(self, timeout_s: float) -> None:
        """Take no more calls, and let media processes go when they have none."""
        self._draining = True
        self.registrar.keep(())
        for link in self.links:
            link.send(ipc.Drain(timeout_s=timeout_s))
        self.driver.flush()

    def hang_up(self) -> None:
        """End every call now."""
        for leg in self.legs:
            self._end(leg, 503)
            self._over(leg, over(leg.name, "lost", detail="signalling stops"))
        self._listen_for_quiet()
        self.driver.flush()

    # What the driver asks and tells.

    def lets_in(self, data: bytes, host: str) -> bool:
        """Tell whether a message from this address is to be read."""
        return self._book.lets_in(data, host)

    def event_happened(self, event: wire.Event) -> None:
        """Act on one event of the endpoint."""
        match event:
            case wire.Invited():
                try:
                    self._invited(event)
                except Exception:
                    log.exception("sip_invite_failed", sip_call_id=event.call_id)
                    self._metrics.invites.labels(outcome="failed").inc()
                    self._abandon(event)
            case wire.Registered() | wire.RegistrationFailed() | wire.Unregistered():
                self.registrar.event_happened(event)
            case _:
                leg = self.legs.of_call(event.call)
                if leg is not None:
                    self._leg_event(leg, event)
                if isinstance(event, wire.FINAL):
                    self._store.drop(event.call)
                    self._leaving.discard(event.call)
        self._listen_for_quiet()

    # What the supervisor tells.

    def link_opened(self, link: MediaLink) -> None:
        """Have one more media process."""
        self.links.append(link)
        if self._draining:
            link.send(ipc.Drain(timeout_s=0))

    def link_lost(self, link: MediaLink) -> None:
        """Have one less: end its calls at once."""
        self.links.remove(link)
        for leg in self.legs.of_link(link):
            log.error("sip_call_without_media", leg=leg.name, bridge_id=link.bridge_id)
            self._end(leg, 486)
            self._over(leg, over(leg.name, "lost", detail="the media process is gone"))
        self.driver.flush()

    def order_arrived(self, link: MediaLink, order: ipc.LegOrder) -> None:
        """Do what a media process asks for a leg."""
        try:
            if isinstance(order, ipc.Dial):
                self._dial(link, order)
            elif (leg := self.legs.named(order.leg)) is not None and leg.link is link:
                self._obey(leg, order)
        except Exception:
            # That call's trouble, which must not be the others'.
            log.exception("sip_order_failed", leg=order.leg, order=order.type)
            if isinstance(order, ipc.Dial):
                self._abandon_dial(link, order.leg)
        finally:
            self.driver.flush()

    # Calls that come in.

    def _invited(self, invited: wire.Invited) -> None:
        endpoint, call = self.driver.endpoint, invited.call
        if self._draining:
            decision: Seated | Refused | Asked = Refused(503, "draining", RETRY_AFTER)
        else:
            decision = self._reception.receive(invited, endpoint, self._book, self.links)
        match decision:
            case Asked():
                self._metrics.invites.labels(outcome="challenged").inc()
            case Refused(status=status, cause=cause, headers=headers):
                self._metrics.invites.labels(outcome=cause).inc()
                # Of strangers the counter tells enough: they could fill the log.
                tell = log.debug if cause == "unknown_peer" else log.info
                tell(
                    "sip_call_refused",
                    sip_call_id=invited.call_id,
                    peer_ip=invited.flow.host,
                    status=status,
                    cause=cause,
                )
                endpoint.reject(call, status, self._now(), headers=headers)
            case Seated(link=link, trunk=trunk):
                self._metrics.invites.labels(outcome="seated").inc()
                leg = Leg(call, call, link, is_inbound=True, sip_call_id=invited.call_id)
                leg.trunk_id = trunk.trunk_id if trunk else ""
                leg.far_host = invited.caller.uri.host or invited.flow.host
                news = incoming(invited, trunk)
                log.info(
                    "sip_call_incoming",
                    leg=leg.name,
                    sip_call_id=leg.sip_call_id,
                    peer_ip=invited.flow.host,
                    transport=invited.flow.transport.value,
                    trunk_id=leg.trunk_id,
                    bridge_id=link.bridge_id,
                    did_pii=news.did,
                    caller_pii=news.caller,
                )
                self._add(leg, self._guard_s, self._guard)
                endpoint.ring(call, self._now())
                link.send(news)

    def _abandon(self, invited: wire.Invited) -> None:
        """Refuse a caller whom nobody will answer, wherever taking them in has failed."""
        leg = self.legs.of_call(invited.call)
        if leg is not None:
            self._end(leg, 500)
            self._over(leg, over(leg.name, "lost", detail=_FAILED))
        else:
            with suppress(UnknownCall, InvalidState):
                self.driver.endpoint.reject(invited.call, 500, self._now())

    def _guard(self, leg: Leg) -> None:
        """Refuse a caller whom nobody has answered: the media process should have, long ago."""
        log.error("sip_call_unattended", leg=leg.name, bridge_id=leg.link.bridge_id)
        self._end(leg, 503)
        self._over(leg, over(leg.name, "lost", detail="nobody answered it in time"))
        self.driver.flush()

    # Calls that go out.

    def _dial(self, link: MediaLink, dial: ipc.Dial) -> None:
        if self.legs.named(dial.leg) is not None:
            log.error("sip_leg_named_twice", leg=dial.leg)
            return
        try:
            if self._draining:
                raise Undiallable("draining")
            invite = invitation(dial, self._settings.domain)
            call = self.driver.endpoint.invite(
                invite.to,
                invite.caller,
                dial.sdp.encode(),
                invite.destination,
                self._now(),
                credentials=invite.credentials,
                headers=invite.headers,
                contact_user=dial.from_number or None,
            )
        except (Undiallable, Overloaded) as error:
            log.error("sip_dial_impossible", leg=dial.leg, detail=str(error))
            link.send(over(dial.leg, "lost", detail=str(error)))
            return
        leg = Leg(dial.leg, call, link, is_inbound=False, trunk_id=dial.trunk.trunk_id)
        leg.far_host = invite.to.host
        log.info(
            "sip_call_outgoing",
            leg=leg.name,
            call=call,
            trunk_id=leg.trunk_id,
            bridge_id=link.bridge_id,
            to_number_pii=dial.to_number,
        )
        self._metrics.dials.inc()
        self._add(leg, dial.ringing_timeout_s, self._give_up)

    def _abandon_dial(self, link: MediaLink, name: str) -> None:
        """End what was begun of a dial: its media process would wait for ever."""
        leg = self.legs.named(name)
        if leg is None:
            link.send(over(name, "lost", detail=_FAILED))
        elif leg.link is link:
            self._end(leg, 480)
            self._over(leg, over(name, "lost", rang=leg.rang, detail=_FAILED))

    def _give_up(self, leg: Leg) -> None:
        """Nobody picked up in time."""
        self._end(leg, 480)
        self._over(leg, over(leg.name, "unanswered", rang=leg.rang))
        self.driver.flush()

    # Any call.

    def _obey(self, leg: Leg, order: ipc.LegOrder) -> None:
        endpoint, call, now = self.driver.endpoint, leg.call, self._now()
        try:
            match order:
                case ipc.Answer(sdp=sdp):
                    endpoint.answer(call, sdp.encode(), now)
                    self._answered(leg)
                case ipc.Refuse(status_code=status, reason=reason):
                    endpoint.reject(call, status if 300 <= status <= 699 else 503, now, reason)
                    self._over(leg, over(leg.name, "refused", status))
                case ipc.Reanswer(sdp=sdp):
                    endpoint.accept_reoffer(call, sdp.encode(), now)
                    self._keep(leg)
                case ipc.RefuseReoffer(status_code=status):
                    endpoint.refuse_reoffer(call, now, status)
                case ipc.Refer(to=to, timeout_s=timeout_s):
                    endpoint.refer(call, referral(to, leg.far_host), now, timeout_s=timeout_s)
                case ipc.SendDigit(digit=digit, duration_ms=duration_ms):
                    endpoint.send_digit(call, digit, duration_ms, now)
                case ipc.Bye():
                    how = "bye" if leg.is_answered else "cancelled"
                    self._end(leg, 480)
                    self._over(leg, over(leg.name, how, rang=leg.rang))
                case ipc.Dial():
                    raise AssertionError("a dial has no leg yet")
        except UnknownCall:
            self._over(leg, over(leg.name, "lost", detail="the call is unknown"))
        except (Undiallable, InvalidState) as error:
            # Orders cross what the far end does: an answer to a re-offer that it took back.
            log.warning("sip_order_impossible", leg=leg.name, order=order.type, detail=str(error))
            if isinstance(order, ipc.Refer):
                leg.link.send(ipc.Referred(leg=leg.name, status_code=400, is_final=True))

    def _leg_event(self, leg: Leg, event: wire.CallEvent) -> None:
        match event:
            case wire.Answered():
                self._answered(leg)
            case wire.Ringing() | wire.EarlyMedia():
                leg.rang = True
            case wire.Referred():
                # A bot's call is not the far end's to hand on.
                self.driver.endpoint.refuse_refer(leg.call, self._now(), 603)
            case _:
                pass
        if (ending := ending_of(leg.name, event, rang=leg.rang)) is not None:
            self._over(leg, ending)
        elif (news := news_of(leg.name, event)) is not None:
            leg.link.send(news)

    def _answered(self, leg: Leg) -> None:
        leg.is_answered = True
        if leg.timer is not None:
            leg.timer.cancel()
        self._keep(leg)
        log.info("sip_call_answered", leg=leg.name, is_inbound=leg.is_inbound)

    def _keep(self, leg: Leg) -> None:
        snapshot = self.driver.endpoint.snapshot(leg.call)
        if snapshot is not None:
            self._store.keep(KeptDialog(call=leg.call, trunk_id=leg.trunk_id, snapshot=snapshot))

    def _end(self, leg: Leg, refusal: int) -> None:
        """End a call on the wire: BYE, CANCEL, or a refusal with that status."""
        endpoint, now = self.driver.endpoint, self._now()
        try:
            if leg.is_answered:
                endpoint.bye(leg.call, now)
            elif leg.is_inbound:
                endpoint.reject(leg.call, refusal, now)
            else:
                endpoint.cancel(leg.call, now)
        except UnknownCall:
            log.warning("sip_call_already_over", leg=leg.name)
        except Exception:
            # Whoever ends calls goes on to forget them: none may keep its place for ever.
            log.exception("sip_call_not_ended", leg=leg.name)
        else:
            self._leaving.add(leg.call)

    def _listen_for_quiet(self) -> None:
        if self._leaving or not self.registrar.is_settled:
            self.quiet.clear()
        else:
            self.quiet.set()

    def _add(self, leg: Leg, timeout_s: float, then: Callable[[Leg], None]) -> None:
        self.legs.add(leg)
        self.idle.clear()
        leg.timer = asyncio.get_running_loop().call_later(timeout_s, then, leg)

    def _over(self, leg: Leg, ending: ipc.Over) -> None:
        """Forget a leg, and tell its media process."""
        self.legs.remove(leg)
        if not len(self.legs):
            self.idle.set()
        self._metrics.endings.labels(how=ending.how).inc()
        log.info(
            "sip_call_over",
            leg=leg.name,
            sip_call_id=leg.sip_call_id,
            how=ending.how,
            status=ending.status_code,
            detail_pii=ending.detail,
        )
        leg.link.send(ending)
