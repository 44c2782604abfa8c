"""Offer and answer as tables: descriptions in, plans, answers or refusals out."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.media_plan import (
    Capabilities,
    Codec,
    LocalMedia,
    MediaPlan,
    Refusal,
    RefusalReason,
    SrtpUse,
)
from bridges.wire.offer_answer import Answer, answer_offer, build_offer, new_keys, read_answer
from bridges.wire.sdp import Crypto, Direction, SdpError, Session

VECTORS = Path(__file__).parents[2] / "vectors/sdp"
LOCAL = LocalMedia("198.51.100.99", 20_000, 42)
LOCAL_V6 = LocalMedia("2001:db8::99", 20_000, 42)
CAN = Capabilities()
HEAD = "v=0\r\no=- 42 0 IN IP4 198.51.100.99\r\ns=-\r\nc=IN IP4 198.51.100.99\r\nt=0 0\r\n"
KEY = b"\x11" * 30
INLINE = "inline:ERERERERERERERERERERERERERERERERERERERER"


def eleven(size: int) -> bytes:
    return b"\x11" * size


def offered(name: str) -> Session:
    return Session.parse((VECTORS / name).read_bytes())


def described(*lines: str) -> Session:
    head = ("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0")
    return Session.parse("\n".join((*head, *lines)).encode())


def answered(
    offer: Session | str,
    can: Capabilities = CAN,
    local: LocalMedia = LOCAL,
    previous: MediaPlan | None = None,
) -> Answer:
    session = offered(offer) if isinstance(offer, str) else offer
    result = answer_offer(session, local, can, eleven, previous)
    assert isinstance(result, Answer), result
    return result


def refused(
    offer: Session | str, can: Capabilities = CAN, local: LocalMedia = LOCAL
) -> RefusalReason:
    session = offered(offer) if isinstance(offer, str) else offer
    result = answer_offer(session, local, can, eleven)
    assert isinstance(result, Refusal)
    return result.reason


def lines_of(session: Session) -> list[str]:
    """Return a description's text below the part that never changes."""
    text = session.serialize().decode()
    assert text.startswith(HEAD)
    return text[len(HEAD) :].splitlines()


def test_offer_of_a_pbx() -> None:
    answer = answered("asterisk_offer.sdp")
    assert answer.plan == MediaPlan(
        codec=Codec.PCMA,
        payload_type=8,
        dtmf_payload_type=101,
        receives={8: Codec.PCMA, 0: Codec.PCMU},
        receives_dtmf=frozenset({101}),
        receives_noise=frozenset({13}),
        ptime_ms=20,
        direction=Direction.SENDRECV,
        remote=("198.51.100.7", 14226),
        srtp=None,
    )
    assert lines_of(answer.session) == [
        "m=audio 20000 RTP/AVP 8 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_the_offerers_number_for_digits_is_taken_over() -> None:
    answer = answered("carrier_offer.sdp")
    assert answer.plan.dtmf_payload_type == 96
    assert answer.plan.remote == ("203.0.113.21", 31876)
    assert lines_of(answer.session)[0] == "m=audio 20000 RTP/AVP 8 96"


@pytest.mark.parametrize(
    ("line", "noise"),
    [("a=x", {13}), ("a=rtpmap:13 CN/8000", {13}), ("a=rtpmap:13 G729/8000", set())],
)
def test_comfort_noise_is_understood_unless_its_number_means_something_else(
    line: str, noise: set[int]
) -> None:
    assert answered(described("m=audio 4000 RTP/AVP 8", line)).plan.receives_noise == noise


@pytest.mark.parametrize(
    ("can", "codec"),
    [
        (Capabilities(), Codec.PCMU),
        (Capabilities(own_order=True), Codec.PCMA),
        (Capabilities(codecs=(Codec.PCMU, Codec.PCMA), own_order=True), Codec.PCMU),
        (Capabilities(codecs=(Codec.PCMA,)), Codec.PCMA),
    ],
)
def test_order_of_codecs_is_theirs_unless_ours_is_asked_for(
    can: Capabilities, codec: Codec
) -> None:
    plan = answered("static_payload_types.sdp", can).plan
    assert (plan.codec, plan.payload_type) == (codec, codec.static_payload_type)
    assert plan.dtmf_payload_type is None


def test_digits_may_be_declined() -> None:
    answer = answered("asterisk_offer.sdp", Capabilities(dtmf=False))
    assert answer.plan.dtmf_payload_type is None
    assert answer.plan.receives_dtmf == frozenset()
    assert lines_of(answer.session)[0] == "m=audio 20000 RTP/AVP 8"


def test_first_usable_audio_is_taken_and_every_medium_answered() -> None:
    answer = answered("video_first.sdp")
    assert answer.plan.remote == ("192.0.2.10", 49172)
    assert (answer.plan.codec, answer.plan.payload_type) == (Codec.PCMU, 98)
    # maxptime:10
    assert answer.plan.ptime_ms == 10
    assert lines_of(answer.session) == [
        "m=video 0 RTP/AVP 31 32",
        "m=audio 0 RTP/AVP 8",
        "m=audio 20000 RTP/AVP 98",
        "a=rtpmap:98 PCMU/8000",
        "a=ptime:10",
        "a=sendrecv",
        "m=audio 0 RTP/AVP 0",
        "m=application 0 TCP/BFCP *",
    ]


def test_payload_type_that_was_given_another_meaning_is_not_ours() -> None:
    offer = described(
        "m=audio 4000 RTP/AVP 8 0", "a=rtpmap:8 opus/48000/2", "a=rtpmap:0 PCMU/16000"
    )
    assert refused(offer) is RefusalReason.NO_COMMON_CODEC


@pytest.mark.parametrize(
    ("name", "direction", "remote"),
    [
        ("hold_sendonly.sdp", Direction.RECVONLY, ("198.51.100.7", 14226)),
        ("hold_inactive_at_session_level.sdp", Direction.INACTIVE, ("198.51.100.7", 14226)),
        ("hold_of_old.sdp", Direction.RECVONLY, None),
    ],
)
def test_holds(name: str, direction: Direction, remote: tuple[str, int] | None) -> None:
    answer = answered(name)
    assert answer.plan.is_held
    assert (answer.plan.direction, answer.plan.remote) == (direction, remote)
    assert lines_of(answer.session)[-1] == f"a={direction.value}"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("inactive", Direction.INACTIVE),
        ("recvonly", Direction.INACTIVE),
        ("sendonly", Direction.RECVONLY),
    ],
)
def test_hold_of_old_with_a_direction_as_well(theirs: str, ours: Direction) -> None:
    offer = described("m=audio 4000 RTP/AVP 8", "c=IN IP4 0.0.0.0", f"a={theirs}")
    assert answered(offer).plan.direction is ours


def test_peer_that_only_listens_is_not_on_hold() -> None:
    plan = answered(described("m=audio 4000 RTP/AVP 8", "a=recvonly")).plan
    assert plan.direction is Direction.SENDONLY
    assert not plan.is_held


def test_ipv6() -> None:
    answer = answered("ipv6_offer.sdp", local=LOCAL_V6)
    assert answer.plan.remote == ("2001:db8::1", 5006)
    assert b"c=IN IP6 2001:db8::99\r\n" in answer.session.serialize()


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        ("fax_only.sdp", RefusalReason.NO_AUDIO),
        ("webrtc_dtls.sdp", RefusalReason.SRTP_UNSUPPORTED),
        ("multicast.sdp", RefusalReason.BAD_ADDRESS),
        ("host_name.sdp", RefusalReason.BAD_ADDRESS),
        ("ipv6_offer.sdp", RefusalReason.BAD_ADDRESS),
        (described(), RefusalReason.NO_AUDIO),
        (described("m=audio 0 RTP/AVP 8"), RefusalReason.NO_AUDIO),
        (described("m=audio 4000 RTP/AVP 18"), RefusalReason.NO_COMMON_CODEC),
        (described("m=audio 4000 RTP/SAVP 8"), RefusalReason.SRTP_UNSUPPORTED),
        (
            described("m=audio 4000 RTP/AVP 8", "c=IN IP4 255.255.255.255"),
            RefusalReason.BAD_ADDRESS,
        ),
    ],
)
def test_refusals(offer: Session | str, reason: RefusalReason) -> None:
    assert refused(offer) is reason


def test_refusal_names_what_the_last_audio_lacked() -> None:
    offer = described("m=audio 4000 RTP/SAVP 8", "m=audio 4002 RTP/AVP 18")
    assert refused(offer) is RefusalReason.NO_COMMON_CODEC


def test_description_without_an_address_is_refused() -> None:
    text = b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 8\n"
    assert refused(Session.parse(text)) is RefusalReason.BAD_ADDRESS


def test_encryption_takes_the_first_usable_key() -> None:
    answer = answered("freeswitch_savp.sdp")
    srtp = answer.plan.srtp
    assert srtp is not None
    assert (srtp.remote.tag, srtp.remote.suite) == ("4", "AES_CM_128_HMAC_SHA1_32")
    assert srtp.remote.key == base64.b64decode("WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")
    assert srtp.local == Crypto("4", "AES_CM_128_HMAC_SHA1_32", KEY)
    assert lines_of(answer.session)[0] == "m=audio 20000 RTP/SAVP 0 101"
    assert f"a=crypto:4 AES_CM_128_HMAC_SHA1_32 {INLINE}" in lines_of(answer.session)


def test_keys_under_plain_rtp_are_taken_as_well() -> None:
    answer = answered("baresip_srtp_offer.sdp")
    assert answer.plan.srtp is not None
    assert lines_of(answer.session)[0] == "m=audio 20000 RTP/AVP 0 101"
    assert answered("baresip_srtp_offer.sdp", Capabilities(srtp=SrtpUse.NEVER)).plan.srtp is None


def test_encryption_that_we_require_or_must_not_use() -> None:
    required, never = Capabilities(srtp=SrtpUse.REQUIRED), Capabilities(srtp=SrtpUse.NEVER)
    assert refused("asterisk_offer.sdp", required) is RefusalReason.SRTP_REQUIRED
    assert refused("freeswitch_savp.sdp", never) is RefusalReason.SRTP_UNSUPPORTED
    assert answered("freeswitch_savp.sdp", required).plan.srtp is not None


def test_our_key_lives_as_long_as_the_peers() -> None:
    first = answered("freeswitch_savp.sdp").plan
    keys = iter([b"\x22" * 30])
    offer = offered("freeswitch_savp.sdp")
    again = answer_offer(offer, LOCAL, CAN, lambda _: next(keys), first)
    assert isinstance(again, Answer)
    assert again.plan.srtp == first.srtp
    other = described("m=audio 4000 RTP/SAVP 8", f"a=crypto:4 AES_CM_128_HMAC_SHA1_32 {INLINE}")
    renewed = answer_offer(other, LOCAL, CAN, lambda _: next(keys), first)
    assert isinstance(renewed, Answer)
    assert renewed.plan.srtp is not None
    assert renewed.plan.srtp.local.key == b"\x22" * 30
    plain = answer_offer(offered("asterisk_offer.sdp"), LOCAL, CAN, eleven, first)
    assert isinstance(plain, Answer)
    secure = answered("freeswitch_savp.sdp", previous=plain.plan)
    assert secure.plan.srtp is not None


def test_our_offer() -> None:
    assert new_keys(CAN, eleven) == ()
    assert lines_of(build_offer(LOCAL, CAN, ())) == [
        "m=audio 20000 RTP/AVP 8 0 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_our_offer_with_encryption_and_without_digits() -> None:
    can = Capabilities(codecs=(Codec.PCMU,), dtmf=False, srtp=SrtpUse.REQUIRED)
    keys = new_keys(can, eleven)
    assert lines_of(build_offer(LOCAL, can, keys)) == [
        "m=audio 20000 RTP/SAVP 0",
        "a=rtpmap:0 PCMU/8000",
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {INLINE}",
        f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 {INLINE}",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_our_later_offer_keeps_the_places_of_all_media() -> None:
    said = answered("video_first.sdp").session
    assert [line for line in lines_of(build_offer(LOCAL, CAN, (), said)) if line[0] == "m"] == [
        "m=video 0 RTP/AVP 31 32",
        "m=audio 0 RTP/AVP 8",
        "m=audio 20000 RTP/AVP 8 0 101",
        "m=audio 0 RTP/AVP 0",
        "m=application 0 TCP/BFCP *",
    ]
    secure = answered("freeswitch_savp.sdp").session
    key = Crypto("4", "AES_CM_128_HMAC_SHA1_32", KEY)
    assert lines_of(build_offer(LOCAL, CAN, (key,), secure))[0] == "m=audio 20000 RTP/SAVP 8 0 101"


def read(answer: Session, can: Capabilities = CAN) -> MediaPlan | Refusal:
    return read_answer(build_offer(LOCAL, can, new_keys(can, eleven)), answer, LOCAL, can)


def test_first_codec_the_answer_lists_wins() -> None:
    plan = read(described("m=audio 4000 RTP/AVP 101 0 8", "a=rtpmap:101 telephone-event/8000"))
    assert plan == MediaPlan(
        codec=Codec.PCMU,
        payload_type=0,
        dtmf_payload_type=101,
        receives={8: Codec.PCMA, 0: Codec.PCMU},
        receives_dtmf=frozenset({101}),
        receives_noise=frozenset({13}),
        ptime_ms=20,
        direction=Direction.SENDRECV,
        remote=("192.0.2.1", 4000),
        srtp=None,
    )


def test_answer_may_drop_digits_or_number_them_anew() -> None:
    plan = read(described("m=audio 4000 RTP/AVP 8"))
    assert isinstance(plan, MediaPlan)
    assert (plan.dtmf_payload_type, plan.receives_dtmf) == (None, frozenset({101}))
    plan = read(described("m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000"))
    assert isinstance(plan, MediaPlan)
    assert (plan.dtmf_payload_type, plan.receives_dtmf) == (96, frozenset({96, 101}))
    plan = read(
        described("m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000"),
        Capabilities(dtmf=False),
    )
    assert isinstance(plan, MediaPlan)
    assert (plan.dtmf_payload_type, plan.receives_dtmf) == (None, frozenset())


def test_answer_with_encryption() -> None:
    can = Capabilities(srtp=SrtpUse.REQUIRED)
    line = f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 {INLINE}"
    plan = read(described("m=audio 4000 RTP/SAVP 8", line), can)
    assert isinstance(plan, MediaPlan)
    assert plan.srtp is not None
    assert plan.srtp.local.suite == plan.srtp.remote.suite == "AES_CM_128_HMAC_SHA1_32"
    # A key for a plain offer of ours is as good as none.
    plan = read(described("m=audio 4000 RTP/AVP 8", line))
    assert isinstance(plan, MediaPlan)
    assert plan.srtp is None


@pytest.mark.parametrize(
    ("lines", "srtp", "reason"),
    [
        ((), SrtpUse.NEVER, RefusalReason.NO_AUDIO),
        (("m=audio 0 RTP/AVP 8",), SrtpUse.NEVER, RefusalReason.NO_AUDIO),
        (("m=video 4000 RTP/AVP 8",), SrtpUse.NEVER, RefusalReason.NO_AUDIO),
        (("m=audio 4000 RTP/AVP 18",), SrtpUse.NEVER, RefusalReason.NO_COMMON_CODEC),
        (("m=audio 4000 RTP/AVP 8", "c=IN IP4 x"), SrtpUse.NEVER, RefusalReason.BAD_ADDRESS),
        (("m=audio 4000 RTP/SAVP 8",), SrtpUse.NEVER, RefusalReason.MISMATCH),
        (("m=audio 4000 RTP/AVP 8",), SrtpUse.REQUIRED, RefusalReason.MISMATCH),
        (("m=audio 4000 RTP/SAVP 8",), SrtpUse.REQUIRED, RefusalReason.SRTP_REQUIRED),
        (
            ("m=audio 4000 RTP/SAVP 8", f"a=crypto:9 AES_CM_128_HMAC_SHA1_80 {INLINE}"),
            SrtpUse.REQUIRED,
            RefusalReason.MISMATCH,
        ),
    ],
)
def test_answers_that_do_not_fit(
    lines: tuple[str, ...], srtp: SrtpUse, reason: RefusalReason
) -> None:
    assert read(described(*lines), Capabilities(srtp=srtp)) == Refusal(reason)


@given(st.binary(max_size=400))
def test_any_offer_gets_an_answer_or_a_refusal(body: bytes) -> None:
    head = b"v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 8\n"
    try:
        offer = Session.parse(head + body)
    except SdpError:
        return
    answer_offer(offer, LOCAL, CAN, eleven)
    read_answer(build_offer(LOCAL, CAN, ()), offer, LOCAL, CAN)
