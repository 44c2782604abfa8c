"""SIP's words for an end and ours."""

from __future__ import annotations

from typing import get_args

import pytest

from bridges.ending import Ending
from bridges.sip.ipc import Over
from bridges.sip.verdict import ended_dial, ended_incoming, refusal_status
from contracts.outcome import Blame, Reason, outcome
from tests.fakes.leg import AT

HOWS = get_args(Over.model_fields["how"].annotation)


@pytest.mark.parametrize("how", HOWS)
def test_every_end_means_something(how: str) -> None:
    over = Over.model_validate({"leg": "1", "how": how})
    assert outcome(ended_incoming(over, AT).reason)
    dialled = outcome(ended_dial(over, AT).reason)
    assert dialled.blame is not Blame.CALLER
    assert not dialled.retryable or how == "failed"


def test_far_ends_words_are_told_to_nobody() -> None:
    over = Over(leg="1", how="failed", status_code=486, detail="Anna is busy")
    assert ended_dial(over, AT).detail == "SIP 486"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_refuses_with_a_final_status(reason: Reason) -> None:
    assert 400 <= refusal_status(Ending(reason, AT)) < 700


def test_status_that_was_decided_on_is_kept() -> None:
    assert refusal_status(Ending(Reason.PROTOCOL_BROKEN, AT, sip_status_code=488)) == 488
