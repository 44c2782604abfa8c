"""Digest authentication (RFC 7616, RFC 8760, RFC 3261 section 22): both ends of it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from bridges.wire.sip import grammar
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import HeaderFields
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.profile import DIGEST_ALGORITHMS
from bridges.wire.sip.uri import Uri

NONCE_LIFETIME_S = 60.0
MAX_PARAMS = 32
MAX_REALMS = 8
"""Whose challenges one call answers: each of its requests carries a proof for every one."""

_PARAM = re.compile(r'\s*([A-Za-z0-9\-.!%*_+`\'~]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s",]+)\s*(?:,|$)')
_SCHEMES = (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization"))


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password; the latter does not appear in a representation."""

    username: str
    password: str = field(repr=False)


class Verdict(Enum):
    """What a request proves."""

    PROVEN = auto()
    MISSING = auto()
    """It carries no proof for this realm."""
    STALE = auto()
    """Its proof is right, but of a challenge too old: a new one is enough."""
    WRONG = auto()


def parse_params(value: str) -> dict[str, str]:
    """Return the parameters of a challenge or a proof, names in lower case, values unquoted.

    Raises:
        ProtocolError: it is no Digest, or malformed, or names a parameter twice.
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise ProtocolError("authentication: expected Digest")
    params: dict[str, str] = {}
    place = 0
    rest = rest.strip()
    while place < len(rest):
        match = _PARAM.match(rest, place)
        if match is None or match[1].lower() in params or len(params) >= MAX_PARAMS:
            raise ProtocolError("authentication: expected parameters, each once")
        params[match[1].lower()] = grammar.unquote(match[2])
        place = match.end()
    return params


def proof(algorithm: str, credentials: Credentials, method: str, params: dict[str, str]) -> str:
    """Return the `response` to a challenge.

    `params` are the proof's: `realm`, `nonce` and `uri`; with a `qop`, `nc` and `cnonce` too.
    """

    def digest(*parts: str) -> str:
        octets = ":".join(parts).encode("utf-8", "surrogateescape")
        return hashlib.new(
            algorithm.replace("-", "").lower(), octets, usedforsecurity=False
        ).hexdigest()

    secret = digest(credentials.username, params["realm"], credentials.password)
    asked = digest(method, params["uri"])
    # RFC 2069's without a qop is still spoken.
    counted = [params[each] for each in ("nc", "cnonce", "qop")] if "qop" in params else []
    return digest(secret, params["nonce"], *counted, asked)


class Prover:
    """The client's end: answers challenges, and proves beforehand what was asked before."""

    def __init__(self, credentials: Credentials, random: Callable[[int], bytes]) -> None:
        self._credentials = credentials
        self._random = random
        self._challenges: dict[tuple[str, str], dict[str, str]] = {}
        self._counts: dict[str, int] = {}

    def take(self, response: Response) -> bool:
        """Take a 401's or 407's challenges; return whether trying again makes sense.

        It does not if we cannot do what is asked, or if what was refused had been our proof of
        this very challenge or of one that the peer does not call stale.
        """
        is_new = False
        for asked, answered in _SCHEMES:
            offers: dict[str, dict[str, dict[str, str]]] = {}
            for value in response.headers.lines(asked):
                challenge = _usable(value)
                if challenge is not None:
                    offers.setdefault(challenge["realm"], {})[challenge["algorithm"]] = challenge
            for realm, by_algorithm in offers.items():
                best = next(
                    by_algorithm[each] for each in DIGEST_ALGORITHMS if each in by_algorithm
                )
                known = self._challenges.get((answered, realm))
                if known is None and len(self._challenges) >= MAX_REALMS:
                    continue
                is_stale = best.get("stale", "").lower() == "true"
                if known is None or (is_stale and known["nonce"] != best["nonce"]):
                    is_new = True
                self._challenges[answered, realm] = best
        return is_new

    def headers(self, method: str, uri: str) -> HeaderFields:
        """Return the header fields that prove who we are, for a request with this target."""
        return tuple(
            (answered, self._answer(challenge, method, uri))
            for (answered, _), challenge in self._challenges.items()
        )

    def _answer(self, challenge: dict[str, str], method: str, uri: str) -> str:
        params = {
            "username": self._credentials.username,
            "realm": challenge["realm"],
            "nonce": challenge["nonce"],
            "uri": uri,
        }
        if "qop" in challenge:
            count = self._counts[params["nonce"]] = self._counts.get(params["nonce"], 0) + 1
            params |= {"qop": "auth", "nc": f"{count:08x}", "cnonce": self._random(8).hex()}
        response = proof(challenge["algorithm"], self._credentials, method, params)
        quoted = {name: grammar.quote(value) for name, value in params.items()}
        quoted |= {name: params[name] for name in ("qop", "nc") if name in params}
        quoted["response"] = grammar.quote(response)
        quoted["algorithm"] = challenge["algorithm"]
        if "opaque" in challenge:
            quoted["opaque"] = grammar.quote(challenge["opaque"])
        return "Digest " + ", ".join(f"{name}={value}" for name, value in quoted.items())


class Verifier:
    """The server's end. It keeps nothing: a nonce says itself when it was made, and for whom."""

    def __init__(self, secret: bytes, algorithms: Sequence[str] = DIGEST_ALGORITHMS) -> None:
        self._secret = secret
        self._algorithms = tuple(algorithms)

    def challenge(self, realm: str, host: str, now: float, *, is_stale: bool) -> HeaderFields:
        """Return the challenges of a 401 to the peer at `host`."""
        nonce = self._nonce(f"{int(now * 1000):x}", realm, host)
        stale = ", stale=true" if is_stale else ""
        return tuple(
            (
                "WWW-Authenticate",
                f'Digest realm={grammar.quote(realm)}, nonce="{nonce}", '
                f'algorithm={algorithm}, qop="auth"{stale}',
            )
            for algorithm in self._algorithms
        )

    def check(
        self, request: Request, realm: str, credentials: Credentials, host: str, now: float
    ) -> Verdict:
        """Return what the request proves about knowing these credentials."""
        params = _proof_for(request, realm)
        if params is None:
            return Verdict.MISSING
        algorithm = params.get("algorithm", "MD5").upper()
        needed = {"nonce", "uri", "response", "username"}
        if "qop" in params:
            needed |= {"nc", "cnonce"}
        if (
            algorithm not in self._algorithms
            or params.get("qop", "auth") != "auth"
            or needed - params.keys()
        ):
            return Verdict.WRONG
        expected = proof(algorithm, credentials, request.method, params)
        is_right = _equal(expected, params["response"].lower()) & _equal(
            params["username"], credentials.username
        )
        # A proxy may have changed the host on the way here, but not whom the request is for.
        if not is_right or not _is_same_user(params["uri"], request):
            return Verdict.WRONG
        return (
            Verdict.PROVEN if self._is_fresh(params["nonce"], realm, host, now) else Verdict.STALE
        )

    def _nonce(self, stamp: str, realm: str, host: str) -> str:
        signed = f"{stamp}\0{realm}\0{host}".encode("utf-8", "surrogateescape")
        return f"{stamp}.{hmac.new(self._secret, signed, hashlib.sha256).hexdigest()[:40]}"

    def _is_fresh(self, nonce: str, realm: str, host: str, now: float) -> bool:
        stamp, _, _ = nonce.partition(".")
        # Whoever signed it wrote it: only our own are read.
        if not _equal(self._nonce(stamp, realm, host), nonce):
            return False
        return now - int(stamp, 16) / 1000 <= NONCE_LIFETIME_S


def claimed_username(request: Request) -> str:
    """Return whom an Authorization header field claims to be, `""` for nobody."""
    for value in request.headers.lines("Authorization"):
        try:
            return parse_params(value).get("username", "")
        except ProtocolError:
            continue
    return ""


def _usable(value: str) -> dict[str, str] | None:
    """Return the challenge if we can answer it."""
    try:
        challenge = parse_params(value)
    except ProtocolError:
        return None
    challenge["algorithm"] = challenge.get("algorithm", "MD5").upper()
    offered = [each.strip().lower() for each in challenge.get("qop", "auth").split(",")]
    if challenge["algorithm"] not in DIGEST_ALGORITHMS or "auth" not in offered:
        return None
    return challenge if {"realm", "nonce"} <= challenge.keys() else None


def _proof_for(request: Request, realm: str) -> dict[str, str] | None:
    for value in request.headers.lines("Authorization"):
        try:
            params = parse_params(value)
        except ProtocolError:
            continue
        if params.get("realm") == realm:
            return params
    return None


def _is_same_user(uri: str, request: Request) -> bool:
    try:
        return Uri.parse(uri).user == request.uri.user
    except ProtocolError:
        return False


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )
