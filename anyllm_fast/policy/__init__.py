"""What every call passes, in one order. A policy knows no dialect, no provider and no other policy.

ORDER is the order of `screen` and `admit`; `settle` runs backwards, so the log speaks last and sees everything.
"""

from __future__ import annotations

from anyllm_fast.call import Policies
from anyllm_fast.config import Settings
from anyllm_fast.policy.access import Access
from anyllm_fast.policy.auth import Auth
from anyllm_fast.policy.concurrency import Concurrency
from anyllm_fast.policy.log import Log
from anyllm_fast.policy.metrics import Metrics

ORDER = (Log, Metrics, Access, Auth, Concurrency)


def open_policies(settings: Settings) -> Policies:
    """The policies of one worker. One that the settings leave nothing to do is left out: a call pays for what is on."""
    return tuple(policy for policy in (kind.open(settings) for kind in ORDER) if policy is not None)
