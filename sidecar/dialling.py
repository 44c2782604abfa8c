"""How a planned call is placed: whom it waits for, who takes it, what becomes of it. Never twice.

A dial waits for the call's agent, is claimed by one bridge or one sidecar, and is settled with the
answer, or with whatever kept it from one. Each step is part of a transaction on the call itself.
"""

from __future__ import annotations

from typing import Protocol

from contracts.trunk import Trunk
from sidecar.store.calls import CallRow
from sidecar.store.dials import DialRow


class Placer(Protocol):
    """Places calls by managed trunks: LiveKit SIP."""

    async def place(self, dial: DialRow, row: CallRow, trunk: Trunk) -> None:
        """Bring the phone into the call's room; return once it is answered, or will not be.

        What happens is reported as facts of the call (source `bridge`): `LegDialled`, `LegRinging`,
        `LegAnswered`, or a `LegEnded` with its reason and `sip_status_code`. A call about which
        neither of the last two was reported is ended as `dial_lost`. May be cancelled, when the
        process ends; the call is then ended for it, and its room deleted.

        Args:
            dial: whom to call, and whose number to show, as the carrier wants both.
            row: the call: its room and the callee's identity there.
            trunk: by which way, secrets in place. One that is not among ours was named by an
                external API: its `trunk_id` is LiveKit's own.
        """
