"""What real phones do, as scenarios of `sipp`: they wait for a word (`WORD`) in a call's ear.

The word is a request with the call's Call-ID that nobody but the test sends: with it a phone that
rings gives up, and one that talks hangs up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tests.fakes.livekit_sip.behaviour import Answers, Callee, RefersTo, Refuses
from tests.fakes.livekit_sip.failure import PHRASES
from tests.fakes.sipp_script import SDP, expect_request, pause, respond, scenario

WORD = "INFO"
_FINAL = (401, 403, 404, 407, 408, 480, 486, 487, 488, 500, 503, 600, 603)
_RINGS, _GIVES_UP, _IS_REFUSED, _IS_ASKED, _TALKS, _HANGS_UP, _IS_LEFT, _ANSWERS = range(1, 9)
_LAST = 20
"""Labels."""
_REMEMBER = """\
<recv request="INVITE"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="callee"/>
<ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="cseq"/>
<ereg regexp="sips?:[^>]*" search_in="hdr" header="Contact:" assign_to="contact"/>
</action></recv>
<Reference variables="caller,callee,cseq,contact"/>"""
_OWN_REQUEST = """\
{method} [$contact] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From:[$callee];tag=[pid]u[call_number]
To:[$caller]
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
{headers}Content-Length: [len]

{body}"""
_CALLER_REQUEST = """\
{method} sip:{dialled}@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-{branch}-[pid]-[call_number];rport
From: <sip:{number}@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:{dialled}@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:{number}@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
{headers}Content-Length: [len]

{body}"""
_GIVEN_UP = """\
<send><![CDATA[
SIP/2.0 487 Request Terminated
[last_Via:]
From:[$caller]
To:[$callee];tag=[pid]u[call_number]
Call-ID: [call_id]
CSeq: [$cseq] INVITE
Content-Length: 0

]]></send>"""


def caller_script(
    number: str,
    dialled: str,
    headers: Mapping[str, str],
    credentials: tuple[str, str] | None = None,
) -> str:
    """Return what somebody does who calls in.

    Args:
        number: who calls.
        dialled: whom.
        headers: put on the INVITE.
        credentials: a name and a password for whoever asks.
    """
    fields = "".join(f"{name}: {value}\n" for name, value in headers.items())

    def send(method: str, cseq: int, *, in_dialog: bool = False, **parts: str) -> str:
        text = _CALLER_REQUEST.format(
            method=method,
            number=number,
            dialled=dialled,
            cseq=cseq,
            tag="[peer_tag_param]" if in_dialog else "",
            branch=parts.get("branch", f"{method}{cseq}"),
            headers=parts.get("headers", ""),
            body=parts.get("body", ""),
        )
        again = "" if method == "ACK" else ' retrans="500"'
        return f"<send{again}><![CDATA[\n{text}\n]]></send>"

    def attempt(cseq: int, more: str = "", *, is_last: bool) -> Iterator[str]:
        """Call, and follow it to its answer."""
        labels = 10 * (cseq - 1)
        invite = f"INVITE{cseq}"
        kind = "Content-Type: application/sdp\n"
        sdp = SDP.format(direction="sendrecv")
        yield send("INVITE", cseq, branch=invite, headers=fields + more + kind, body=sdp)
        yield _label(labels + _RINGS)
        yield from (_maybe(status, labels + _RINGS) for status in (100, 180, 183))
        if not is_last:
            yield _maybe(401, labels + _IS_ASKED, is_challenge=True)
            yield _maybe(407, labels + _IS_ASKED, is_challenge=True)
        finals = _FINAL if is_last else [each for each in _FINAL if each not in (401, 407)]
        yield from (_maybe(status, labels + _IS_REFUSED) for status in finals)
        yield _on(WORD, labels + _GIVES_UP)
        yield '<recv response="200"/>'
        yield _then(send("ACK", cseq, in_dialog=True, branch=f"ACK{cseq}"), _TALKS)
        yield _label(labels + _GIVES_UP)
        yield send("CANCEL", cseq, branch=invite)
        yield '<recv response="200"/>'
        yield '<recv response="487"/>'
        yield _then(send("ACK", cseq, in_dialog=True, branch=invite), _LAST)
        yield _label(labels + _IS_REFUSED)
        yield _then(send("ACK", cseq, in_dialog=True, branch=invite), _LAST)
        if not is_last:
            yield _label(labels + _IS_ASKED)
            yield send("ACK", cseq, in_dialog=True, branch=invite)

    if credentials is None:
        attempts = [*attempt(1, is_last=True)]
    else:
        username, password = credentials
        shown = f"[authentication username={username} password={password}]\n"
        attempts = [*attempt(1, is_last=False), *attempt(2, shown, is_last=True)]
    return scenario(
        attempts,
        _label(_TALKS),
        _on(WORD, _HANGS_UP),
        expect_request("BYE"),
        _then(respond("200 OK", tag=""), _LAST),
        _label(_HANGS_UP),
        send("BYE", 10, in_dialog=True),
        '<recv response="200"/>',
        _label(_LAST),
    )


def callee_script(callee: Callee) -> str:
    """Return what a phone does that is called."""
    return scenario(_REMEMBER, [*_until_answered(callee)], [*_talks(callee)], _label(_LAST))


def _until_answered(callee: Callee) -> Iterator[str]:
    does = callee.does
    assert isinstance(does, Answers | Refuses)
    if does.rings:
        yield respond("180 Ringing")
    if does.after_s is None:
        yield expect_request("CANCEL")
    elif does.after_s:
        wait = f'timeout="{round(does.after_s * 1000)}" ontimeout="{_ANSWERS}"'
        yield f'<recv request="CANCEL" {wait}/>'
    if does.after_s is None or does.after_s:
        yield respond("200 OK", tag="")
        yield _GIVEN_UP
        yield _then(expect_request("ACK"), _LAST)
    yield _label(_ANSWERS)
    if isinstance(does, Refuses):
        status = f"{does.status_code} {PHRASES.get(does.status_code, 'Refused')}"
        yield _to_invite(status)
        yield _then(expect_request("ACK"), _LAST)
    else:
        yield _to_invite("200 OK", sdp=True)
        yield expect_request("ACK")


def _to_invite(status: str, *, sdp: bool = False) -> str:
    # Where it has waited, sipp still answers what came last: the INVITE.
    return respond(status, sdp=sdp)


def _talks(callee: Callee) -> Iterator[str]:
    yield _label(_TALKS)
    yield _on(WORD, _HANGS_UP)
    yield _on("BYE", _IS_LEFT)
    yield expect_request("REFER")
    yield from _referred(callee)
    yield _label(_IS_LEFT)
    yield _then(respond("200 OK", tag=""), _LAST)
    yield _label(_HANGS_UP)
    yield _own("BYE", 30)
    yield '<recv response="200"/>'


def _referred(callee: Callee) -> Iterator[str]:
    accepted = respond("202 Accepted", tag="")
    thinks = pause(round(callee.refer_s * 1000))
    match callee.refers:
        case RefersTo.NOT_ALLOWED:
            yield _then(respond("405 Method Not Allowed", tag=""), _TALKS)
        case RefersTo.SILENCE:
            yield _then(accepted, _TALKS)
        case RefersTo.HANGS_UP:
            yield accepted
            yield _then(thinks, _HANGS_UP)
        case RefersTo.BUSY | RefersTo.SUCCESS:
            said = "200 OK" if callee.refers is RefersTo.SUCCESS else "486 Busy Here"
            yield accepted
            yield from _notified("100 Trying", 20)
            yield thinks
            yield from _notified(said, 21, then=_TALKS)


def _notified(status: str, cseq: int, then: int = 0) -> Iterator[str]:
    state = "active" if status.startswith("1") else "terminated;reason=noresource"
    headers = (
        f"Event: refer\nSubscription-State: {state}\nContent-Type: message/sipfrag;version=2.0\n"
    )
    yield _own("NOTIFY", cseq, headers, f"SIP/2.0 {status}\n")
    answer = '<recv response="200"/>'
    yield _then(answer, then) if then else answer


def _own(method: str, cseq: int, headers: str = "", body: str = "") -> str:
    text = _OWN_REQUEST.format(method=method, cseq=cseq, headers=headers, body=body)
    return f'<send retrans="500"><![CDATA[\n{text}\n]]></send>'


def _label(number: int) -> str:
    return f'<label id="{number}"/>'


def _then(step: str, label: int) -> str:
    # Not a step of its own: what comes meanwhile would be unexpected.
    return re.sub(r"^<(\w+)", rf'<\1 next="{label}"', step, count=1)


def _on(method: str, label: int) -> str:
    return f'<recv request="{method}" optional="true" next="{label}"/>'


def _maybe(status: int, label: int, *, is_challenge: bool = False) -> str:
    auth = ' auth="true"' if is_challenge else ""
    return f'<recv response="{status}" optional="true" next="{label}"{auth}/>'
