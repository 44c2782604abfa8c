"""Offer and answer, RFC 3264, as pure functions from descriptions to plans and back; their state is
kept by `bridges.wire.negotiation`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridges.wire.media_plan import (
    FRAME_MS,
    RATE_HZ,
    SHORT_FRAME_MS,
    Capabilities,
    Codec,
    LocalMedia,
    MediaPlan,
    Refusal,
    RefusalReason,
    SrtpKeys,
    SrtpUse,
)
from bridges.wire.sdp import (
    SRTP_KEY_BYTES,
    Attribute,
    Crypto,
    Direction,
    Media,
    Origin,
    RtpMap,
    Session,
)
from bridges.wire.srtp import SUITES

DTMF_PAYLOAD_TYPE = 101
COMFORT_NOISE_PAYLOAD_TYPE = 13
"""RFC 3389. Understood wherever it comes, but named in no description of ours: a line on which
silence is not sent cannot be told from a dead one."""
_COMFORT_NOISE = RtpMap("CN", RATE_HZ)
_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")


@dataclass(frozen=True, slots=True)
class Answer:
    """A plan, and the description that tells the peer so."""

    plan: MediaPlan
    session: Session


def build_offer(
    local: LocalMedia,
    capabilities: Capabilities,
    keys: tuple[Crypto, ...],
    previous: Session | None = None,
) -> Session:
    """Return our own offer.

    Args:
        keys: from `new_keys`, or what is in use.
        previous: what we said last in this dialog: its media keep their places, and the audio its
            protocol (RFC 3264 section 8).
    """
    payload_types = {codec.static_payload_type: codec for codec in capabilities.codecs}
    formats = [str(each) for each in payload_types]
    lines = [_rtpmap(number, codec.encoding) for number, codec in payload_types.items()]
    if capabilities.dtmf:
        formats.append(str(DTMF_PAYLOAD_TYPE))
        lines += _dtmf_lines(DTMF_PAYLOAD_TYPE)
    lines += [*(key.serialize() for key in keys), Attribute("ptime", str(FRAME_MS))]
    lines.append(Attribute(Direction.SENDRECV.value))
    protocol = "RTP/SAVP" if capabilities.srtp is SrtpUse.REQUIRED else "RTP/AVP"
    media = list(previous.media) if previous is not None else []
    if previous is not None:
        protocol = media[_audio_at(previous)].protocol
    audio = Media("audio", local.port, protocol, tuple(formats), attributes=tuple(lines))
    if previous is not None:
        media[_audio_at(previous)] = audio
    return _session(local, tuple(media) or (audio,))


def new_keys(
    capabilities: Capabilities, random_bytes: Callable[[int], bytes]
) -> tuple[Crypto, ...]:
    """Return fresh keys for an offer, one per suite; none unless encryption is required."""
    if capabilities.srtp is not SrtpUse.REQUIRED:
        return ()
    return tuple(
        Crypto(str(tag), suite, random_bytes(SRTP_KEY_BYTES))
        for tag, suite in enumerate(SUITES, start=1)
    )


def answer_offer(
    offer: Session,
    local: LocalMedia,
    capabilities: Capabilities,
    random_bytes: Callable[[int], bytes],
    previous: MediaPlan | None = None,
) -> Answer | Refusal:
    """Answer a peer's offer: the first audio that suits, every other medium refused by port 0.

    Args:
        previous: what is agreed so far; its keys are kept as long as the peer keeps its own.
    """
    refusal = Refusal(RefusalReason.NO_AUDIO)
    for index, media in enumerate(offer.media):
        if media.kind != "audio" or not media.port:
            continue
        plan = _plan_offered(offer, media, local, capabilities, random_bytes, previous)
        if isinstance(plan, Refusal):
            refusal = plan
            continue
        answers = [replace(each, port=0, address=None, attributes=()) for each in offer.media]
        answers[index] = _answer_media(media, plan, local)
        return Answer(plan, _session(local, tuple(answers)))
    return refusal


def read_answer(
    offer: Session, answer: Session, local: LocalMedia, capabilities: Capabilities
) -> MediaPlan | Refusal:
    """Read a peer's answer to our offer: the first codec it lists is what both send."""
    at = _audio_at(offer)
    if len(answer.media) <= at or answer.media[at].kind != "audio" or not answer.media[at].port:
        return Refusal(RefusalReason.NO_AUDIO)
    ours, theirs = offer.media[at], answer.media[at]
    srtp = _keys_answered(ours, theirs, capabilities)
    if isinstance(srtp, Refusal):
        return srtp
    listed = _codecs(theirs, capabilities.codecs)
    if not listed:
        return Refusal(RefusalReason.NO_COMMON_CODEC)
    remote = _remote(answer, theirs, local)
    if isinstance(remote, Refusal):
        return remote
    payload_type, codec = next(iter(listed.items()))
    dtmf = _dtmf_payload_type(theirs) if capabilities.dtmf else None
    return MediaPlan(
        codec,
        payload_type,
        dtmf,
        # We told what numbers we receive; a peer that answers with others sends those (section 6.1
        # lets it choose what it receives itself).
        {**_codecs(ours, capabilities.codecs), **listed},
        frozenset(each for each in (_dtmf_payload_type(ours), dtmf) if each is not None),
        _noise(theirs),
        _ptime_ms(theirs),
        _our_direction(answer, theirs, remote),
        remote,
        srtp,
    )


def _plan_offered(
    offer: Session,
    media: Media,
    local: LocalMedia,
    capabilities: Capabilities,
    random_bytes: Callable[[int], bytes],
    previous: MediaPlan | None,
) -> MediaPlan | Refusal:
    srtp = _keys_offered(media, capabilities, random_bytes, previous)
    if isinstance(srtp, Refusal):
        return srtp
    listed = _codecs(media, capabilities.codecs)
    if not listed:
        return Refusal(RefusalReason.NO_COMMON_CODEC)
    remote = _remote(offer, media, local)
    if isinstance(remote, Refusal):
        return remote
    payload_type = next(iter(listed))
    if capabilities.own_order:
        payload_type = min(listed, key=lambda each: capabilities.codecs.index(listed[each]))
    dtmf = _dtmf_payload_type(media) if capabilities.dtmf else None
    return MediaPlan(
        listed[payload_type],
        payload_type,
        dtmf,
        # The answer names one codec, but phones exist that go on with another one they offered.
        listed,
        frozenset(() if dtmf is None else (dtmf,)),
        _noise(media),
        _ptime_ms(media),
        _our_direction(offer, media, remote),
        remote,
        srtp,
    )


def _answer_media(offered: Media, plan: MediaPlan, local: LocalMedia) -> Media:
    formats = [str(plan.payload_type)]
    lines = [_rtpmap(plan.payload_type, plan.codec.encoding)]
    if plan.dtmf_payload_type is not None:
        formats.append(str(plan.dtmf_payload_type))
        lines += _dtmf_lines(plan.dtmf_payload_type)
    if plan.srtp is not None:
        lines.append(plan.srtp.local.serialize())
    lines += [Attribute("ptime", str(plan.ptime_ms)), Attribute(plan.direction.value)]
    return Media("audio", local.port, offered.protocol, tuple(formats), attributes=tuple(lines))


def _audio_at(ours: Session) -> int:
    """Return which medium of a description of ours is the audio in use."""
    return next(at for at, media in enumerate(ours.media) if media.port)


def _session(local: LocalMedia, media: tuple[Media, ...]) -> Session:
    origin = Origin("-", str(local.session_id), "0", local.address)
    return Session(origin, local.address, media)


def _codecs(media: Media, codecs: tuple[Codec, ...]) -> dict[int, Codec]:
    """Return the payload types that carry one of `codecs`, in the order the peer lists them."""
    maps = {
        codec.static_payload_type: RtpMap(codec.encoding, RATE_HZ) for codec in Codec
    } | media.rtpmaps()
    wanted = {RtpMap(codec.encoding, RATE_HZ): codec for codec in codecs}
    found = (
        (number, wanted.get(maps[number])) for number in media.payload_types() if number in maps
    )
    return {number: codec for number, codec in found if codec is not None}


def _dtmf_payload_type(media: Media) -> int | None:
    events = RtpMap("TELEPHONE-EVENT", RATE_HZ)
    maps = media.rtpmaps()
    return next((each for each in media.payload_types() if maps.get(each) == events), None)


def _noise(media: Media) -> frozenset[int]:
    meaning = media.rtpmaps().get(COMFORT_NOISE_PAYLOAD_TYPE, _COMFORT_NOISE)
    return frozenset({COMFORT_NOISE_PAYLOAD_TYPE} if meaning == _COMFORT_NOISE else ())


def _ptime_ms(media: Media) -> int:
    longest = media.milliseconds("maxptime")
    return FRAME_MS if longest is None or longest >= FRAME_MS else SHORT_FRAME_MS


def _remote(session: Session, media: Media, local: LocalMedia) -> tuple[str, int] | Refusal | None:
    """Return where media go, None for nowhere; names are refused: nobody here looks them up."""
    host = media.address or session.address or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return Refusal(RefusalReason.BAD_ADDRESS)
    if address.is_unspecified:
        return None
    family = ipaddress.ip_address(local.address).version
    if address.is_multicast or address.is_reserved or address.version != family:
        return Refusal(RefusalReason.BAD_ADDRESS)
    return str(address), media.port


def _our_direction(session: Session, media: Media, remote: tuple[str, int] | None) -> Direction:
    theirs = session.direction(media)
    if remote is None:
        # RFC 2543's hold: sent nowhere, so its side at most sends.
        theirs = Direction.SENDONLY if theirs.sends else Direction.INACTIVE
    return theirs.mirrored()


def _keys_offered(
    media: Media,
    capabilities: Capabilities,
    random_bytes: Callable[[int], bytes],
    previous: MediaPlan | None,
) -> SrtpKeys | Refusal | None:
    if media.protocol not in _PLAIN + _SECURE:
        return Refusal(RefusalReason.SRTP_UNSUPPORTED)
    usable = [crypto for crypto in media.cryptos() if crypto.suite in SUITES]
    if capabilities.srtp is SrtpUse.NEVER or not usable:
        if media.protocol in _SECURE:
            return Refusal(RefusalReason.SRTP_UNSUPPORTED)
        if capabilities.srtp is SrtpUse.REQUIRED:
            return Refusal(RefusalReason.SRTP_REQUIRED)
        return None
    if previous is not None and previous.srtp is not None and previous.srtp.remote in usable:
        return previous.srtp
    remote = usable[0]
    return SrtpKeys(Crypto(remote.tag, remote.suite, random_bytes(SRTP_KEY_BYTES)), remote)


def _keys_answered(
    ours: Media, theirs: Media, capabilities: Capabilities
) -> SrtpKeys | Refusal | None:
    if (ours.protocol in _SECURE) != (theirs.protocol in _SECURE):
        return Refusal(RefusalReason.MISMATCH)
    chosen = theirs.cryptos()
    if not chosen or not ours.cryptos():
        required = capabilities.srtp is SrtpUse.REQUIRED
        return Refusal(RefusalReason.SRTP_REQUIRED) if required else None
    for crypto in ours.cryptos():
        if (crypto.tag, crypto.suite) == (chosen[0].tag, chosen[0].suite):
            return SrtpKeys(crypto, chosen[0])
    return Refusal(RefusalReason.MISMATCH)


def _rtpmap(number: int, encoding: str) -> Attribute:
    return Attribute("rtpmap", f"{number} {encoding}/{RATE_HZ}")


def _dtmf_lines(number: int) -> list[Attribute]:
    return [_rtpmap(number, "telephone-event"), Attribute("fmtp", f"{number} 0-15")]
