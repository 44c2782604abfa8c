"""A double of LiveKit SIP before a real LiveKit server: its API answered here, its phones scripted.

Everything else, HTTP and WebSocket, goes through to the server, so whoever is given the double's
address has a LiveKit with telephony. Phones are participants as the service makes them: kind,
attributes, tracks, keys and reasons of leaving are those measured on the service itself.
"""

from tests.fakes.livekit_sip.behaviour import Answers, Callee, RefersTo, Refuses, Unreachable
from tests.fakes.livekit_sip.caller import Caller
from tests.fakes.livekit_sip.line import Line
from tests.fakes.livekit_sip.server import SipDouble, running_double

__all__ = [
    "Answers",
    "Callee",
    "Caller",
    "Line",
    "RefersTo",
    "Refuses",
    "SipDouble",
    "Unreachable",
    "running_double",
]
