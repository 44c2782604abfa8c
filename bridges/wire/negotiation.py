"""One call's side of offer and answer: what we said last, what is agreed, and the rising version.

Every INVITE, re-INVITE, UPDATE and their responses that carry a description go through here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bridges.wire.close import InvalidState
from bridges.wire.media_plan import Capabilities, LocalMedia, MediaPlan, Refusal
from bridges.wire.offer_answer import answer_offer, build_offer, new_keys, read_answer
from bridges.wire.sdp import Session


class Negotiation:
    """Offers and answers of one dialog.

    Which call is legal when: `answer` and `offer` always, `refresh` once something was agreed,
    `accept` after `offer` or `refresh`: several times too, since a provisional and a final response
    may each carry an answer.

    Args:
        local: where we receive.
        capabilities: what we may agree to.
        random_bytes: where keys come from: `secrets.token_bytes`.

    Attributes:
        plan: what is agreed, None before the first agreement. A refusal changes nothing.
    """

    def __init__(
        self,
        local: LocalMedia,
        capabilities: Capabilities,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.plan: MediaPlan | None = None
        self._local = local
        self._capabilities = capabilities
        self._random_bytes = random_bytes
        self._offer: Session | None = None
        self._said: Session | None = None

    def answer(self, sdp: bytes) -> bytes | Refusal:
        """Take a peer's offer and return our answer; `plan` is new then.

        Raises:
            SdpError: the offer is no description.
        """
        answered = answer_offer(
            Session.parse(sdp), self._local, self._capabilities, self._random_bytes, self.plan
        )
        if isinstance(answered, Refusal):
            return answered
        self.plan = answered.plan
        return self._say(answered.session)

    def offer(self) -> bytes:
        """Return an offer of all we can do, `sendrecv`: for an INVITE of ours, or in the response
        to one that came without a description."""
        agreed = self.plan.srtp if self.plan is not None else None
        keys = new_keys(self._capabilities, self._random_bytes)
        if agreed is not None:
            keys = (agreed.local,)
        previous = self._said if self.plan is not None else None
        self._offer = build_offer(self._local, self._capabilities, keys, previous)
        return self._say(self._offer)

    def refresh(self) -> bytes:
        """Return what we said last as an offer, its version unchanged (RFC 4028 section 7.4).

        Raises:
            InvalidState: nothing was said.
        """
        if self._said is None:
            raise InvalidState("nothing to refresh")
        self._offer = self._said
        return self._said.serialize()

    def accept(self, sdp: bytes) -> MediaPlan | Refusal:
        """Take a peer's answer to our last offer; what is returned is `plan` then.

        Raises:
            SdpError: the answer is no description.
            InvalidState: nothing was offered.
        """
        if self._offer is None:
            raise InvalidState("an answer without an offer")
        plan = read_answer(self._offer, Session.parse(sdp), self._local, self._capabilities)
        if isinstance(plan, MediaPlan):
            self.plan = plan
        return plan

    def _say(self, session: Session) -> bytes:
        """Number a description: RFC 3264 section 8, one more than the last if anything changed."""
        version = 1
        if self._said is not None:
            version = int(self._said.origin.version)
            unchanged = replace(session, origin=self._said.origin) == self._said
            version += not unchanged
        self._said = replace(session, origin=replace(session.origin, version=str(version)))
        return self._said.serialize()
