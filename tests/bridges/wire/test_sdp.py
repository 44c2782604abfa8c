"""Session descriptions: literal texts in and out, limits, and fuzz."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sdp import (
    MAX_FORMATS,
    MAX_LINE_CHARS,
    MAX_LINES,
    MAX_MEDIA,
    MAX_SDP_BYTES,
    Attribute,
    Crypto,
    Direction,
    Media,
    Origin,
    RtpMap,
    SdpError,
    Session,
)

VECTORS = Path(__file__).parents[2] / "vectors/sdp"
NAMES = sorted(path.name for path in VECTORS.glob("*.sdp"))
MINIMAL = b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
KEY = bytes(range(30))
INLINE = "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"


def vector(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def audio(*lines: str) -> Media:
    """Parse an audio medium with more lines."""
    text = "".join(f"{line}\r\n" for line in ("m=audio 4000 RTP/AVP 8 0 101", *lines))
    return Session.parse(MINIMAL + text.encode()).media[0]


def test_offer_of_a_phone_is_read_whole() -> None:
    session = Session.parse(vector("baresip_srtp_offer.sdp"))
    assert session.origin == Origin("-", "2760165399", "396524212", "127.0.0.1")
    assert session.address == "127.0.0.1"
    assert session.attributes == (Attribute("tool", "baresip 1.0.0"),)
    (media,) = session.media
    assert (media.kind, media.port, media.protocol) == ("audio", 54298, "RTP/AVP")
    assert media.payload_types() == (0, 8, 101)
    assert media.address is None
    assert media.rtpmaps() == {
        0: RtpMap("PCMU", 8000),
        8: RtpMap("PCMA", 8000),
        101: RtpMap("TELEPHONE-EVENT", 8000),
    }
    assert media.milliseconds("ptime") == 20
    assert media.milliseconds("maxptime") is None
    assert media.attribute("rtcp-rsize") == ""
    assert media.attribute("candidate") is None
    assert session.direction(media) is Direction.SENDRECV
    assert [(each.tag, each.suite) for each in media.cryptos()] == [
        ("1", "AES_CM_128_HMAC_SHA1_80")
    ]


def test_media_have_addresses_of_their_own_and_zero_ports() -> None:
    session = Session.parse(vector("video_first.sdp"))
    assert [(each.kind, each.port, each.address) for each in session.media] == [
        ("video", 49170, None),
        ("audio", 0, None),
        ("audio", 49172, "192.0.2.10"),
        ("audio", 49174, None),
        ("application", 9, None),
    ]
    assert session.media[2].rtpmaps()[98] == RtpMap("PCMU", 8000, 1)
    assert session.media[4].payload_types() == ()
    assert session.name == "-"


def test_multicast_ttl_and_number_of_ports_are_cut_off() -> None:
    assert Session.parse(vector("multicast.sdp")).address == "233.252.0.1"
    assert Session.parse(MINIMAL + b"m=audio 4000/2 RTP/AVP 8\r\n").media[0].port == 4000


@pytest.mark.parametrize("name", NAMES)
def test_description_survives_the_way_there_and_back(name: str) -> None:
    session = Session.parse(vector(name))
    assert Session.parse(session.serialize()) == session
    assert Session.parse(vector(name).replace(b"\r\n", b"\n")) == session
    assert Session.parse(vector(name) + b"\r\n") == session


def test_serialized_text() -> None:
    session = Session(
        Origin("-", "7", "1", "2001:db8::2"),
        "2001:db8::2",
        (
            Media("audio", 4000, "RTP/SAVP", ("8",), "192.0.2.3", (Attribute("sendrecv"),)),
            Media("video", 0, "RTP/AVP", ("31", "32")),
        ),
        (Attribute("tool", "ours"),),
    )
    assert session.serialize() == (
        b"v=0\r\no=- 7 1 IN IP6 2001:db8::2\r\ns=-\r\nc=IN IP6 2001:db8::2\r\nt=0 0\r\n"
        b"a=tool:ours\r\n"
        b"m=audio 4000 RTP/SAVP 8\r\nc=IN IP4 192.0.2.3\r\na=sendrecv\r\n"
        b"m=video 0 RTP/AVP 31 32\r\n"
    )
    without = Session(session.origin, None, ())
    assert without.serialize() == b"v=0\r\no=- 7 1 IN IP6 2001:db8::2\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize(
    ("at_media", "at_session", "direction"),
    [
        ("", "", Direction.SENDRECV),
        ("sendonly", "", Direction.SENDONLY),
        ("", "inactive", Direction.INACTIVE),
        ("recvonly", "inactive", Direction.RECVONLY),
        ("sendonly:now", "", Direction.SENDRECV),
    ],
)
def test_direction_of_the_medium_wins(at_media: str, at_session: str, direction: Direction) -> None:
    text = MINIMAL.decode()
    text += f"a={at_session}\r\n" if at_session else ""
    text += "m=audio 4000 RTP/AVP 8\r\na=x\r\n"
    text += f"a={at_media}\r\n" if at_media else ""
    session = Session.parse(text.encode())
    assert session.direction(session.media[0]) is direction


@pytest.mark.parametrize(
    ("direction", "mirrored", "sends", "receives"),
    [
        (Direction.SENDRECV, Direction.SENDRECV, True, True),
        (Direction.SENDONLY, Direction.RECVONLY, True, False),
        (Direction.RECVONLY, Direction.SENDONLY, False, True),
        (Direction.INACTIVE, Direction.INACTIVE, False, False),
    ],
)
def test_directions(direction: Direction, mirrored: Direction, sends: bool, receives: bool) -> None:
    assert direction.mirrored() is mirrored
    assert (direction.sends, direction.receives) == (sends, receives)


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:8",
        "a=rtpmap:8 PCMA",
        "a=rtpmap:8 /8000",
        "a=rtpmap:128 PCMA/8000",
        "a=rtpmap:8 PCMA/8000/x",
        "a=rtpmap:8 PCMA/99999999",
        "a=rtpmap:٨ PCMA/8000",
        "a=rtpmap:-8 PCMA/8000",
        "a=rtpmap",
    ],
)
def test_malformed_rtpmap_counts_as_absent(line: str) -> None:
    assert audio(line).rtpmaps() == {}


@pytest.mark.parametrize("value", ["", "0", "x", "-20", "20.0", "1001", "9" * 40])
def test_malformed_ptime_counts_as_absent(value: str) -> None:
    assert audio(f"a=ptime:{value}").milliseconds("ptime") is None


def test_key_is_read_and_written_and_never_shown() -> None:
    crypto = Crypto("7", "AES_CM_128_HMAC_SHA1_32", KEY)
    line = f"7 AES_CM_128_HMAC_SHA1_32 {INLINE}"
    assert crypto.serialize() == Attribute("crypto", line)
    assert audio(f"a=crypto:{line}").cryptos() == [crypto]
    assert audio(f"a=crypto:{line}|2^31").cryptos() == [crypto]
    assert audio(f"a=crypto:{line}|1048576").cryptos() == [crypto]
    assert repr(crypto) == "Crypto(tag='7', suite='AES_CM_128_HMAC_SHA1_32')"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1 AES_CM_128_HMAC_SHA1_80",
        f"x AES_CM_128_HMAC_SHA1_80 {INLINE}",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE};{INLINE}|2^20|2:4",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE[:-4]}",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}AAAA",
        "1 AES_CM_128_HMAC_SHA1_80 inline:#",
        "1 AES_CM_128_HMAC_SHA1_80 inline:\N{LATIN SMALL LETTER U WITH DIAERESIS}",
        f"1 AES_CM_128_HMAC_SHA1_80 uri{INLINE[6:]}",
    ],
)
def test_unusable_key_counts_as_absent(value: str) -> None:
    assert audio(f"a=crypto:{value}").cryptos() == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "v=0"),
        (b"\r\n", "v=0"),
        (b"v=1\r\n" + MINIMAL[5:], "v=0"),
        (b"o=- 1 2 IN IP4 192.0.2.1\r\nv=0\r\n", "v=0"),
        (b"m=audio 4000 RTP/AVP 8\r\n", "v=0"),
        (b"v=0\r\n", "o="),
        (b"v=0\r\no=- 1 2 IN IP4\r\n", "o="),
        (b"v=0\r\no=- 1 2 IN IP5 x\r\n", "o="),
        (MINIMAL.replace(b"c=IN IP4", b"c=IN ATM"), "c="),
        (MINIMAL + b"m=audio x RTP/AVP 8\r\n", "m="),
        (MINIMAL + b"m=audio 65536 RTP/AVP 8\r\n", "m="),
        (MINIMAL + b"m=audio 4000 RTP/AVP\r\n", "m="),
        (MINIMAL + b"m=\r\n", "m="),
        (MINIMAL + b"m=audio 4000 RTP/AVP" + b" 8" * (MAX_FORMATS + 1) + b"\r\n", "formats"),
        (MINIMAL + b"hello\r\n", "line 6"),
        (MINIMAL + b"=x\r\n", "line 6"),
        (MINIMAL + b"a=x\0y\r\n", "line 6"),
        (MINIMAL + b"a=x\ry\r\n", "line 6"),
        (MINIMAL + b"a=" + b"x" * MAX_LINE_CHARS + b"\r\n", "limit 2048"),
        (MINIMAL + b"a=x\r\n" * MAX_LINES, "limit 512"),
        (MINIMAL + b"m=audio 0 RTP/AVP 8\r\n" * (MAX_MEDIA + 1), "limit 16"),
        (MINIMAL + b"x" * MAX_SDP_BYTES, "limit 16384"),
    ],
)
def test_what_is_no_description_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SdpError, match=reason) as caught:
        Session.parse(data)
    assert caught.value.reason == str(caught.value)


def test_limits_themselves_are_allowed() -> None:
    formats = b" 8" * MAX_FORMATS
    media = (b"m=audio 4000 RTP/AVP" + formats + b"\r\n") * MAX_MEDIA
    session = Session.parse(MINIMAL + media + b"a=" + b"x" * (MAX_LINE_CHARS - 2) + b"\r\n")
    assert len(session.media) == MAX_MEDIA
    assert len(session.media[0].formats) == MAX_FORMATS


def test_careless_but_clear_descriptions_are_read() -> None:
    text = b"v=0\no=- 1 2 IN IP4 192.0.2.1\nx=?\nm=AUDIO 4000 RTP/AVP 8\n\na=ptime: 20 \nz=0\n"
    (media,) = Session.parse(text).media
    assert media.kind == "audio"
    assert media.milliseconds("ptime") == 20
    assert (
        Session.parse(MINIMAL.replace(b"s=-", b"s=M\xfcller")).name
        == "M\N{REPLACEMENT CHARACTER}ller"
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        session = Session.parse(data)
    except SdpError:
        return
    assert Session.parse(session.serialize()) == session


@given(st.sampled_from(NAMES), st.data())
def test_mutated_descriptions_are_read_or_refused(name: str, data: st.DataObject) -> None:
    text = bytearray(vector(name))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"\r\n", b":", b" ", b"/", b"99999", b"a="])
        )
        text = text or bytearray(b"v")
    try:
        session = Session.parse(bytes(text))
    except SdpError:
        return
    for media in session.media:
        media.rtpmaps(), media.cryptos(), media.milliseconds("ptime"), session.direction(media)
    assert Session.parse(session.serialize()).media == session.media
