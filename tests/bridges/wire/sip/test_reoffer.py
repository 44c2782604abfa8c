"""Changes of a session: hold and resume, glare, storms and refreshes, both ways."""

from __future__ import annotations

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.sip.event import (
    Acked,
    CallHandle,
    EndCause,
    Ended,
    ReofferAccepted,
    Reoffered,
    ReofferRefused,
)
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.reoffer import MOST_TRIES, takes_updates
from tests.fakes.sip_peer import HOST, Peer, an_endpoint, call_in, call_out
from tests.fakes.sip_wire import OTHER_SDP, SDP

HOLD = SDP + b"a=sendonly\r\n"
HELD = OTHER_SDP + b"a=recvonly\r\n"
TIMER = ("Supported", "timer")


def in_call(headers: tuple[tuple[str, str], ...] = ()) -> tuple[Peer, CallHandle]:
    peer = Peer(an_endpoint())
    return peer, call_in(peer, headers)


def heard(peer: Peer, method: str) -> Request:
    message = peer.take()[-1]
    assert isinstance(message, Request)
    assert message.method == method
    return message


def reoffering() -> tuple[Peer, CallHandle, Request]:
    peer, call = in_call()
    peer.endpoint.reoffer(call, HOLD, peer.now)
    return peer, call, heard(peer, "INVITE")


def test_peer_holds_and_resumes() -> None:
    peer, call = in_call()
    for cseq, (offer, answer) in enumerate(((HOLD, HELD), (SDP, OTHER_SDP)), 2):
        peer.say("INVITE", cseq, (), offer)
        assert peer.take_told() == [Reoffered(call, offer)]
        peer.endpoint.accept_reoffer(call, answer, peer.now)
        trying, response = peer.take()
        assert isinstance(trying, Response)
        assert isinstance(response, Response)
        assert trying.status == 100
        assert (response.status, response.sdp) == (200, answer)
        peer.say("ACK", cseq)
        assert peer.take_told() == [Acked(call, None)]


def test_peer_wants_our_offer() -> None:
    peer, call = in_call()
    peer.say("INVITE", 2)
    assert peer.take_told() == [Reoffered(call, None)]
    peer.endpoint.accept_reoffer(call, OTHER_SDP, peer.now)
    peer.say("ACK", 2, (), HELD)
    assert peer.take_told() == [Acked(call, HELD)]


def test_ack_without_the_answer_it_owes_ends_the_call() -> None:
    peer, call = in_call()
    peer.say("INVITE", 2)
    peer.endpoint.accept_reoffer(call, OTHER_SDP, peer.now)
    peer.say("ACK", 2)
    assert peer.take_told()[-1] == Ended(call, EndCause.BAD_ANSWER)
    assert peer.names()[-1] == "BYE"


def test_change_is_refused() -> None:
    peer, call = in_call()
    peer.say("INVITE", 2, (), HOLD)
    peer.endpoint.refuse_reoffer(call, peer.now)
    assert peer.names() == ["100", "488"]
    for act in (peer.endpoint.refuse_reoffer, peer.endpoint.accept_refer):
        with pytest.raises(InvalidState):
            act(call, peer.now)


def test_same_offer_again_is_answered_alike_and_not_told() -> None:
    peer, _ = in_call()
    peer.say("INVITE", 2, (), SDP)
    (response,) = peer.take()
    assert isinstance(response, Response)
    assert (response.status, response.sdp) == (200, OTHER_SDP)
    assert peer.take_told() == []
    peer.say("UPDATE", 3, (), HOLD)
    assert peer.names() == ["491"]


def test_second_change_has_to_wait_for_the_first() -> None:
    peer, call = in_call()
    peer.say("INVITE", 2, (), HOLD)
    peer.say("INVITE", 3, (), SDP)
    _, busy = peer.take()
    assert isinstance(busy, Response)
    assert busy.status == 500
    assert 0 <= int(busy.headers.require("Retry-After")) <= 10
    peer.endpoint.accept_reoffer(call, HELD, peer.now)
    peer.say("INVITE", 4, (), SDP)
    assert peer.names() == ["200", "491"]


def test_change_nobody_acknowledges_ends_the_call() -> None:
    peer, call = in_call()
    peer.say("INVITE", 2, (), HOLD)
    peer.endpoint.accept_reoffer(call, HELD, peer.now)
    peer.wait(33.0)
    assert peer.take_told()[-1] == Ended(call, EndCause.ACK_TIMEOUT)


def test_update_changes_too_and_needs_no_ack() -> None:
    peer, call = in_call()
    peer.say("UPDATE", 2, (), HOLD)
    assert peer.take_told() == [Reoffered(call, HOLD)]
    peer.endpoint.accept_reoffer(call, HELD, peer.now)
    assert peer.names() == ["200"]
    peer.say("INVITE", 3, (), SDP)
    assert peer.take_told() == [Reoffered(call, SDP)]


def test_change_takes_the_peers_new_address() -> None:
    peer, call = in_call()
    update = peer.request("UPDATE", 2)
    update.headers.set("Contact", "<sip:alice@198.51.100.99:5099>")
    peer.send(update)
    peer.take()
    peer.endpoint.bye(call, peer.now)
    assert heard(peer, "BYE").uri_text == "sip:alice@198.51.100.99:5099"


def test_change_that_waits_ends_with_its_call() -> None:
    peer, _ = in_call()
    peer.say("INVITE", 2, (), HOLD)
    peer.take_told()
    peer.say("BYE", 3)
    assert sorted(peer.names()) == ["100", "200", "487"]
    assert isinstance(peer.take_told()[-1], Ended)


def test_our_change_is_accepted() -> None:
    peer, call, invite = reoffering()
    assert (invite.sdp, invite.to_address.tag) == (HOLD, "peer")
    with pytest.raises(InvalidState, match="one change"):
        peer.endpoint.reoffer(call, SDP, peer.now)
    peer.reply(invite, 100)
    peer.reply(invite, 200, sdp=HELD)
    assert peer.take_told() == [ReofferAccepted(call, HELD)]
    assert heard(peer, "ACK").cseq.number == invite.cseq.number
    peer.reply(invite, 200, sdp=HELD)
    assert peer.names() == ["ACK"]
    assert peer.take_told() == []


def test_ack_nobody_waits_for_is_stray() -> None:
    peer, _ = in_call()
    peer.say("ACK", 1)
    assert peer.endpoint.counters.stray_acks == 1


def test_our_change_is_refused() -> None:
    peer, call, invite = reoffering()
    peer.reply(invite, 488)
    assert peer.take_told() == [ReofferRefused(call, 488, "Not Acceptable Here")]
    peer.endpoint.reoffer(call, SDP, peer.now)


def test_our_change_accepted_without_an_answer_ends_the_call() -> None:
    peer, call, invite = reoffering()
    peer.reply(invite, 200)
    assert peer.take_told() == [Ended(call, EndCause.BAD_ANSWER)]
    assert peer.names() == ["ACK", "BYE"]


@pytest.mark.parametrize("is_heard", [True, False])
def test_our_change_nobody_answers_ends_the_call(is_heard: bool) -> None:
    peer, call, invite = reoffering()
    if is_heard:
        peer.reply(invite, 100)
    peer.wait(33.0)
    assert peer.take_told() == [
        ReofferRefused(call, 408, "no response"),
        Ended(call, EndCause.DIALOG_LOST),
    ]


def test_our_change_in_a_lost_dialog_ends_the_call() -> None:
    peer, _, invite = reoffering()
    peer.reply(invite, 481)
    assert [type(each) for each in peer.take_told()] == [ReofferRefused, Ended]


def test_replies_after_the_end_are_acknowledged_and_not_told() -> None:
    for status in (200, 488):
        peer, _, invite = reoffering()
        peer.say("BYE", 2)
        peer.take()
        peer.take_told()
        peer.reply(invite, status, sdp=HELD if status == 200 else b"")
        assert peer.names() == ["ACK"]
        assert peer.take_told() == []


def test_glare_is_refused_and_tried_again() -> None:
    peer, call, invite = reoffering()
    peer.say("INVITE", 2, (), SDP + b"a=inactive\r\n")
    assert peer.names() == ["491"]
    peer.reply(invite, 491)
    peer.take()
    peer.wait(2.0)
    again = heard(peer, "INVITE")
    assert again.sdp == HOLD
    peer.reply(again, 200, sdp=HELD)
    assert peer.take_told() == [ReofferAccepted(call, HELD)]


def test_caller_waits_longer_after_glare() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    peer.endpoint.reoffer(call, HOLD, peer.now)
    peer.reply(heard(peer, "INVITE"), 491)
    peer.take()
    peer.wait(2.05)
    assert peer.names() == []
    peer.wait(2.0)
    assert peer.names()[0] == "INVITE"


def test_peers_change_goes_before_ours_that_waits() -> None:
    peer, call, invite = reoffering()
    peer.reply(invite, 491)
    peer.say("INVITE", 2, (), SDP + b"a=inactive\r\n")
    peer.take()
    peer.wait(2.0)
    assert peer.names() == []
    peer.endpoint.accept_reoffer(call, HELD, peer.now)
    peer.say("ACK", 2)
    peer.take()
    peer.wait(1.0)
    assert heard(peer, "INVITE").sdp == HOLD


def test_glare_without_end_is_a_refusal() -> None:
    peer, call, invite = reoffering()
    for _ in range(MOST_TRIES - 1):
        peer.reply(invite, 491)
        peer.wait(2.0)
        invite = heard(peer, "INVITE")
    peer.reply(invite, 491)
    assert peer.take_told() == [ReofferRefused(call, 491, "Request Pending")]


def test_change_that_waits_is_dropped_with_the_call() -> None:
    peer, _, invite = reoffering()
    peer.reply(invite, 491)
    peer.say("BYE", 2)
    peer.take()
    peer.wait(10.0)
    assert peer.names() == []


def test_longer_session_is_asked_for_where_the_peer_insists() -> None:
    peer, call, invite = reoffering()
    peer.reply(invite, 422, (("Min-SE", "7200"),))
    again = heard(peer, "INVITE")
    assert again.headers.get("Session-Expires") == "7200"
    peer.reply(again, 422, (("Min-SE", "x"),))
    assert peer.take_told() == [ReofferRefused(call, 422, "Session Interval Too Small")]


def test_too_short_or_malformed_sessions_are_refused() -> None:
    peer, _ = in_call()
    peer.say("UPDATE", 2, (TIMER, ("Session-Expires", "10")))
    peer.say("UPDATE", 3, (TIMER, ("Session-Expires", "soon")))
    peer.say("UPDATE", 4, (TIMER, ("Min-SE", "soon")))
    small, bad, odd = peer.take()
    assert isinstance(small, Response)
    assert isinstance(bad, Response)
    assert isinstance(odd, Response)
    assert (small.status, small.headers.get("Min-SE"), bad.status) == (422, "90", 400)
    assert (odd.status, odd.headers.get("Session-Expires")) == (200, None)


def test_session_is_refreshed_by_update_where_the_peer_takes_it() -> None:
    peer, _ = in_call((TIMER, ("Allow", "INVITE, UPDATE")))
    peer.wait(900.0)
    update = heard(peer, "UPDATE")
    assert update.body == b""
    peer.reply(update, 100)
    peer.reply(update, 200, (("Session-Expires", "600;refresher=uac"),))
    peer.wait(300.0)
    again = heard(peer, "UPDATE")
    peer.reply(again, 422, (("Min-SE", "3600"),))
    peer.wait(150.0)
    assert heard(peer, "UPDATE").headers.get("Session-Expires") == "3600"
    assert peer.take_told() == []


def test_session_is_refreshed_by_invite_where_the_peer_takes_no_update() -> None:
    peer, call = in_call((TIMER,))
    peer.wait(900.0)
    invite = heard(peer, "INVITE")
    assert invite.sdp == OTHER_SDP
    peer.reply(invite, 500)
    peer.wait(450.0)
    again = heard(peer, "INVITE")
    peer.reply(again, 200, (("Session-Expires", "1800;refresher=uac"),), SDP)
    assert peer.take_told() == []
    peer.endpoint.reoffer(call, HOLD, peer.now)


def test_peer_that_refuses_updates_is_sent_invites() -> None:
    peer, _ = in_call((TIMER, ("Allow", "UPDATE")))
    peer.wait(900.0)
    peer.reply(heard(peer, "UPDATE"), 405)
    peer.wait(450.0)
    heard(peer, "INVITE")


def test_refresh_waits_while_the_session_changes() -> None:
    peer, call = in_call((TIMER, ("Allow", "UPDATE")))
    peer.wait(899.0)
    peer.say("INVITE", 2, (), HOLD)
    peer.take()
    peer.wait(2.0)
    assert peer.names() == []
    peer.endpoint.refuse_reoffer(call, peer.now)
    peer.take()
    peer.wait(450.0)
    heard(peer, "UPDATE")


def test_refresh_of_a_lost_dialog_ends_the_call() -> None:
    peer, call = in_call((TIMER, ("Allow", "UPDATE")))
    peer.wait(900.0)
    peer.reply(heard(peer, "UPDATE"), 481)
    assert peer.take_told() == [Ended(call, EndCause.DIALOG_LOST)]


def test_refresh_answered_after_the_end_is_not_told() -> None:
    peer, _ = in_call((TIMER, ("Allow", "UPDATE")))
    peer.wait(900.0)
    update = heard(peer, "UPDATE")
    peer.say("BYE", 2)
    peer.take_told()
    peer.reply(update, 481)
    assert peer.take_told() == []


def test_session_the_peer_does_not_refresh_ends() -> None:
    peer, call = in_call((TIMER, ("Session-Expires", "300;refresher=uac")))
    peer.wait(269.0)
    assert peer.take_told() == [Ended(call, EndCause.SESSION_EXPIRED)]
    assert set(peer.names()) == {"BYE"}


def test_answer_that_waits_for_its_ack_is_dropped_with_the_call() -> None:
    peer, call = in_call()
    peer.say("INVITE", 2, (), HOLD)
    peer.endpoint.accept_reoffer(call, HELD, peer.now)
    peer.say("BYE", 3)
    peer.take()
    peer.wait(40.0)
    assert peer.names() == []


def test_peer_that_lists_update_takes_it() -> None:
    def listing(value: str) -> bool:
        return takes_updates(Request("INVITE", f"sip:{HOST}", Headers([("Allow", value)])))

    assert [listing(each) for each in ("INVITE, Update", "INVITE", '"')] == [True, False, False]
