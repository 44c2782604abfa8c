"""SRTP, RFC 3711, with keys from the description (RFC 4568): libsrtp with this project's words.

libsrtp derives the keys, counts roll-overs, authenticates before it decrypts and refuses replays.
"""

from __future__ import annotations

from enum import Enum

from pylibsrtp import Error, Policy, Session

from bridges.wire.rtp import MAX_PACKET_BYTES
from bridges.wire.sdp import Crypto

_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
SUITES = tuple(_PROFILES)
"""The suites we have, the stronger tag first."""


class SrtpDefect(Enum):
    """Why an encrypted packet is not taken; the value is the statistics' key."""

    FORGED = "srtp_forged"
    """Not authentic under this key, or no SRTP at all."""
    REPLAYED = "srtp_replayed"


class SrtpSender:
    """Encrypts what we send with our key."""

    def __init__(self, crypto: Crypto) -> None:
        self._session = _session(crypto, Policy.SSRC_ANY_OUTBOUND)

    def protect(self, packet: bytes) -> bytes:
        """Return an RTP packet encrypted and signed.

        Raises:
            pylibsrtp.Error: a sequence number came twice: our bug.
        """
        return self._session.protect(packet)


class SrtpReceiver:
    """Decrypts what a peer sends with its key, of however many sources."""

    def __init__(self, crypto: Crypto) -> None:
        self._session = _session(crypto, Policy.SSRC_ANY_INBOUND)

    def unprotect(self, packet: bytes) -> bytes | SrtpDefect:
        """Return the RTP packet, or why there is none."""
        if len(packet) > MAX_PACKET_BYTES:
            return SrtpDefect.FORGED  # libsrtp's buffer ends here
        try:
            return self._session.unprotect(packet)
        except Error as error:
            replayed = str(error).startswith("replay")
            return SrtpDefect.REPLAYED if replayed else SrtpDefect.FORGED


def _session(crypto: Crypto, ssrc_type: int) -> Session:
    profile = _PROFILES[crypto.suite]
    return Session(Policy(key=crypto.key, ssrc_type=ssrc_type, srtp_profile=profile))
