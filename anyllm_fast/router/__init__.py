"""Model name -> target. Knows no dialect; strategies, fallbacks and cool-downs have their place here."""

from __future__ import annotations

from collections.abc import Sequence

from anyllm_fast.call import Call, Target
from anyllm_fast.errors import NotFound


class Router:
    """The targets of one configuration. The first is the default; `/{backend}/...` names another."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = {target.name: target for target in targets}
        self._default = targets[0]
        self.names = frozenset(self.targets)

    def target(self, call: Call) -> Target:
        name = call.route.backend
        if not name:
            return self._default
        target = self.targets.get(name)
        if target is None:
            raise NotFound(f"no backend is named {name!r}")
        return target
