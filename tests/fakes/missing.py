"""Programs that tests speak to and a machine may lack: skipped by name, or a failure of the run."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import NoReturn

import pytest


class Required(StrEnum):
    """What a run can insist on: the variable that does so, set to 1."""

    CHROMIUM = "REQUIRE_CHROMIUM"
    NGINX = "REQUIRE_NGINX"
    POSTGRES = "REQUIRE_POSTGRES"
    REDIS = "REQUIRE_REDIS"
    S3 = "REQUIRE_S3"
    SIP_PEERS = "REQUIRE_SIP_PEERS"


def missing(required: Required, what: str) -> NoReturn:
    """Skip a test for want of a program, or fail it where the program must be there.

    Args:
        required: the variable that makes it a failure.
        what: which program that is, and how it is had.
    """
    if os.environ.get(required) == "1":
        pytest.fail(f"{required}=1, but there is no {what}")
    pytest.skip(f"no {what}")
