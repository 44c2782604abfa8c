"""Scenarios for `sipp`, put together from steps: what a peer sends, and what it insists on."""

from __future__ import annotations

from collections.abc import Iterable

SDP = """\
v=0
o=peer 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a={direction}
"""

_REQUEST = """\
{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0
{via}
From: <sip:1001@[local_ip]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]>{tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:1001@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
{headers}Content-Length: [len]

{body}"""
_NEW_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport"
_RESPONSE = """\
SIP/2.0 {status}
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
{headers}Content-Length: [len]

{body}"""


def scenario(*steps: str | Iterable[str]) -> str:
    """Return a scenario of these steps."""
    flat = [each for step in steps for each in ([step] if isinstance(step, str) else step)]
    return '<?xml version="1.0"?>\n<scenario name="peer">\n' + "\n".join(flat) + "\n</scenario>\n"


def request(
    method: str,
    cseq: int = 1,
    *,
    in_dialog: bool = False,
    same_branch: bool = False,
    headers: str = "",
    body: str = "",
) -> str:
    """Send a request; `same_branch` for a CANCEL and for the ACK of a refusal."""
    text = _REQUEST.format(
        method=method,
        via="[last_Via:]" if same_branch else _NEW_VIA,
        tag="[peer_tag_param]" if in_dialog else "",
        cseq=cseq,
        headers=headers,
        body=body,
    )
    retransmit = "" if method == "ACK" else ' retrans="500"'
    return f"<send{retransmit}><![CDATA[\n{text}\n]]></send>"


def invite(
    cseq: int = 1, *, in_dialog: bool = False, direction: str = "sendrecv", headers: str = ""
) -> str:
    """Send an INVITE with an offer."""
    return request(
        "INVITE",
        cseq,
        in_dialog=in_dialog,
        headers=headers + "Content-Type: application/sdp\n",
        body=SDP.format(direction=direction),
    )


def ack(cseq: int = 1, *, refused: bool = False, headers: str = "") -> str:
    """Acknowledge the answer, or the refusal."""
    return request("ACK", cseq, in_dialog=True, same_branch=refused, headers=headers)


def expect(status: int, *, optional: bool = False, challenged: bool = False) -> str:
    """Insist on a response."""
    attributes = (' optional="true"' if optional else "") + (' auth="true"' if challenged else "")
    return f'<recv response="{status}"{attributes}/>'


def expect_request(method: str) -> str:
    """Insist on a request."""
    return f'<recv request="{method}"/>'


def respond(
    status: str, *, sdp: bool = False, headers: str = "", tag: str = ";tag=[pid]u[call_number]"
) -> str:
    """Answer the last request; give no tag where its To has one."""
    contact = "Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n"
    kind = "Content-Type: application/sdp\n" if sdp else ""
    text = _RESPONSE.format(
        status=status,
        tag=tag,
        headers=contact + headers + kind,
        body=SDP.format(direction="sendrecv") if sdp else "",
    )
    return f"<send><![CDATA[\n{text}\n]]></send>"


def pause(milliseconds: int) -> str:
    """Wait."""
    return f'<pause milliseconds="{milliseconds}"/>'


def answered() -> list[str]:
    """Call, ring and be answered."""
    return [
        invite(),
        expect(100, optional=True),
        expect(180, optional=True),
        expect(200),
        ack(),
    ]


def refused(status: int) -> list[str]:
    """Call and be refused."""
    return [
        invite(),
        expect(100, optional=True),
        expect(180, optional=True),
        expect(status),
        ack(refused=True),
    ]


def hung_up_by_caller() -> list[str]:
    """Hang up."""
    return [request("BYE", 2, in_dialog=True), expect(200)]


def hung_up_by_us() -> list[str]:
    """Be hung up on."""
    return [expect_request("BYE"), respond("200 OK", tag="")]
