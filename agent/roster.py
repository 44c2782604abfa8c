"""What a worker's jobs are for: a call each, or waiting for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from contracts.ids import SIP_JOB_METADATA, parse_job_metadata, parse_standby_metadata


class Roster:
    """The jobs that run, and those that are just being taken.

    A job that waits learns of its call from the sidecar, and so does its worker: by `note`. One
    that a rule of LiveKit SIP's called is a call from the first moment; which one, its journal
    tells.

    Args:
        metadata: of each job that runs.
        held: incarnation by call id, of the journals that this worker's jobs hold.
    """

    def __init__(
        self,
        metadata: Callable[[], Iterable[str]],
        held: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._metadata = metadata
        self._held = held
        self._taking: list[str] = []
        self._served: Mapping[str, str] = {}

    def calls(self) -> dict[str, int]:
        """Return the calls being served, or about to be: incarnation by call id."""
        # One that stands still goes on beside the one that replaces it: that one counts.
        dispatched = dict(sorted(parse_job_metadata(each) for each in self._dispatches()))
        woken = {self._served[each]: 1 for each in self.standbys() if each in self._served}
        return dict(self._held() if self._by_rule() else {}) | woken | dispatched

    def busy(self) -> int:
        """Return how many places are taken."""
        # A rule's job has a place before its call is known, and keeps it while it is refused.
        dispatched = {call_id for call_id, _ in map(parse_job_metadata, self._dispatches())}
        woken = {self._served[each] for each in self.standbys() if each in self._served}
        return len(dispatched | woken) + self._by_rule()

    def standbys(self) -> list[str]:
        """Return the jobs that were started without a call, whether they have one by now or not."""
        named = (parse_standby_metadata(each) for each in self._metadata())
        return [standby_id for standby_id in named if standby_id]

    def note(self, served: Mapping[str, str]) -> None:
        """Take note which call each of them serves, of those that do.

        The sidecar forgets one with its call, its job only when it is done.
        """
        known = {**self._served, **served}
        self._served = {each: known[each] for each in self.standbys() if each in known}

    def begin(self, metadata: str) -> None:
        """A job is being taken."""
        self._taking.append(metadata)

    def took(self, metadata: str) -> None:
        """It runs, or does not."""
        self._taking.remove(metadata)

    def has_room(self, metadata: str, max_calls: int) -> bool:
        """Return whether one more job may be taken.

        Those that wait are no calls: they never keep one out. But nobody waits where every place
        is taken.
        """
        if parse_standby_metadata(metadata):
            return len({*self._metadata(), *self._taking}) < max_calls
        return self.busy() < max_calls

    def _by_rule(self) -> int:
        return [*self._metadata(), *self._taking].count(SIP_JOB_METADATA)

    def _dispatches(self) -> list[str]:
        # On a busy host a job waits for its process: the call has an agent all the same.
        named = (*self._metadata(), *self._taking)
        return [
            each for each in named if each != SIP_JOB_METADATA and not parse_standby_metadata(each)
        ]
