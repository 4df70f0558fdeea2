"""The life of a call: screen, read, admit, forward, relay, settle. The only file that knows the order.

Everything before the commit point (the first thing in a reply that a client would act on) can still become an error with a true
status; what happens after it becomes the dialect's in-band error. Both are written here and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from anyllm_fast import body, faults, headers, operations
from anyllm_fast.bridge import Bridge, open_bridge, refuse_losses, unpack
from anyllm_fast.call import Call, Outgoing, Policies, Policy, Route, Target
from anyllm_fast.config import Settings
from anyllm_fast.departures import Departures
from anyllm_fast.errors import GatewayError, Internal, InvalidRequest, UpstreamBroken, UpstreamRefused
from anyllm_fast.relay import Relay, answer
from anyllm_fast.responses.background import Background, asks_background
from anyllm_fast.responses.replay import Replay
from anyllm_fast.responses.state import Keeper, State, Turn
from anyllm_fast.responses.store import MemoryStore, Shelf, Store
from anyllm_fast.router import Router
from anyllm_fast.upstream import Timeouts, Upstream, UpstreamReply, UpstreamRequest

_ERROR_BODY_LIMIT = 1 << 20


class Gateway:
    """One per worker. Owns nothing but references: the upstream client, the router, the policies in their order."""

    def __init__(
        self,
        settings: Settings,
        router: Router,
        upstreams: Mapping[str, Upstream],
        policies: Policies,
        store: Store | None = None,
    ) -> None:
        self.settings = settings
        self.router = router
        self.upstreams = upstreams
        self.policies = policies
        self._screens = tuple((place, policy.screen) for place, policy in enumerate(policies) if _has(policy, "screen"))
        self._admits = tuple(policy.admit for policy in policies if _has(policy, "admit"))
        self._settles = tuple((place, policy.settle) for place, policy in enumerate(policies) if _has(policy, "settle"))[::-1]
        self._last = len(policies)
        self._departures = Departures()
        self.shelf = Shelf(store or MemoryStore())
        self.state = State(self.shelf)
        self.background = Background(self.state, self.shelf.store)
        self.replay = Replay(self.shelf)
        self.operations = operations.OPERATIONS
        limits = settings.timeouts
        self._whole = Timeouts(limits.connect, limits.first_byte, limits.idle, 0.0)
        self._streamed = Timeouts(limits.connect, limits.first_byte, limits.idle, limits.stream_total)

    def serve(self, call: Call) -> Awaitable[None]:
        """Answers `call`, whatever happens, and settles every policy that let it in."""
        return self._run(call, self.operations.get(call.route.operation, Gateway.generate))

    async def _run(self, call: Call, operation: Callable[[Gateway, Call], Awaitable[None]]) -> None:
        try:
            for call.entered, screen in self._screens:
                screen(call)
            call.entered = self._last
            if call.method == "POST":
                call.body = await body.read(call, self.settings.max_body_bytes)
            self._departures.arm(call)
            await operation(self, call)
        except GatewayError as error:
            await self._refuse(call, error)
        except asyncio.CancelledError:
            call.outcome.error = call.outcome.error or "cancelled"
            if not call.outcome.client_gone:
                raise
        except Exception as error:  # a fault of ours: the caller gets an answer, the log gets the reason
            call.outcome.message = f"{type(error).__name__}: {error}"
            faults.report(call.request_id, error)
            await self._refuse(call, Internal("internal error in the gateway; the log has the details under this request id"))
        finally:
            self._departures.disarm(call)
            self._settle(call)

    def _settle(self, call: Call) -> None:
        call.outcome.ended_at = time.monotonic()
        for place, settle in self._settles:
            if place < call.entered:
                settle(call)

    async def reject(self, call: Call, error: GatewayError) -> None:
        """Answers a call that has no route. It is screened first: an address that may not connect learns nothing."""

        async def refuse(gateway: Gateway, call: Call) -> None:
            raise error

        call.route = Route("root", call.dialect.name, public=True)
        await self._run(call, refuse)

    async def generate(self, call: Call) -> None:
        self.look(call)
        target = self.aim(call)
        if not call.route.stateful or (call.surface is not None and call.surface.dialect == call.dialect.name):
            await self.complete(call, target, None)
            return
        background = asks_background(call.body)
        turn = await self.state.resume(call)
        if not background or call.stream:
            await self.complete(call, target, turn)
            return
        if not turn.keep:
            raise InvalidRequest("a background response has to be stored", where="store")
        await answer(call, 200, await self.background.begin(call.detached(), turn, self._unwatched))

    async def complete(self, call: Call, target: Target, turn: Turn | None) -> None:
        """The call to its target and the reply back. `turn`: its reply may be named by later calls."""
        surface = call.surface
        assert surface is not None  # noqa: S101 - for the type checker: aim has set it
        bridge = await open_bridge(call, surface, self.settings.max_frame_bytes, self.replay)
        if turn is not None:
            bridge.tail = Keeper(self.state, turn)
        if call.losses and on_loss(call, self.settings) == "refuse":
            refuse_losses(call)
        outgoing = Outgoing(surface.path(call.target_model, call.stream), bridge.body, surface.dialect, bridge.accept)
        reply = await self.forward(call, target, outgoing, self._streamed if call.stream else self._whole)
        try:
            if reply.status >= 400:
                raise bridge.refusal(reply, await reply.read(_ERROR_BODY_LIMIT))
            call.response_headers += headers.to_client(reply.headers, surface.dialect, call.dialect.name)
            if call.stream:
                await Relay(call, bridge, reply, self.settings).run()
            else:
                await self._whole_reply(call, bridge, reply, turn)
        except BaseException:  # a reply that was not taken to its end holds a connection
            reply.abort()
            raise

    def look(self, call: Call) -> None:
        """What the path or the body says of a call: which model, streamed or not. Raises InvalidRequest."""
        route = call.route
        if route.carrier:
            unpack(call)
        peek = call.dialect.peek(call.body)
        call.model = route.model or peek.model
        call.stream = peek.stream if route.stream is None else route.stream
        call.include_usage = peek.include_usage

    def aim(self, call: Call) -> Target:
        """Chooses the target and lets the policies judge it."""
        target = call.target = self.router.target(call)
        call.target_model = target.model_of(call.model)
        call.surface = target.surface(call.target_model, call.dialect.name)
        for admit in self._admits:
            admit(call)
        return target

    async def forward(self, call: Call, target: Target, outgoing: Outgoing, timeouts: Timeouts) -> UpstreamReply:
        """The reply to what goes out. Raises UpstreamError, also for a redirect."""
        request = UpstreamRequest(
            target.origin,
            outgoing.method or (b"POST" if outgoing.body else b"GET"),
            outgoing.path,
            headers.to_upstream(call, target, outgoing.dialect, outgoing.accept),
            outgoing.body,
            timeouts,
        )
        if target.sign is not None:
            await target.sign(request)
        reply = await self.upstreams[target.name].send(request)
        call.outcome.upstream_status = reply.status
        if 300 <= reply.status < 400:
            reply.abort()
            raise UpstreamBroken(f"the upstream answered with a redirect ({reply.status}), which is never followed")
        return reply

    async def _unwatched(self, call: Call) -> None:
        """A call whose client has had its answer already: in the background. Never raises a GatewayError."""
        try:
            await self.complete(call, self.aim(call), None)
        except GatewayError as error:
            await self._refuse(call, error)
        finally:
            self._settle(call)

    async def _whole_reply(self, call: Call, bridge: Bridge, reply: UpstreamReply, turn: Turn | None) -> None:
        raw = await reply.read(self.settings.max_reply_bytes)
        payload, call.outcome.usage, call.outcome.stop_reason = bridge.whole(raw, call)
        if turn is not None:
            payload = self.state.finish(turn, payload)
        await answer(call, 200, payload)

    async def _refuse(self, call: Call, error: GatewayError) -> None:
        outcome = call.outcome
        outcome.error, outcome.message = error.kind, outcome.message or str(error)
        if outcome.status:  # headers are out already: Relay has said it in-band
            return
        call.response_headers += error.headers
        verbatim = error.verbatim if isinstance(error, UpstreamRefused) else None
        if verbatim:
            await answer(call, error.status, verbatim)
            return
        call.response_headers += call.errors.error_headers(error)
        await answer(call, call.errors.status_of(error), call.errors.write_error(error, call.request_id))


def on_loss(call: Call, settings: Settings) -> str:
    """`announce` or `refuse`: the server's setting, or what the caller asks for in a header. Raises InvalidRequest."""
    asked = call.headers.get(b"x-anyllm-on-loss")
    if asked is None:
        return settings.on_loss
    wanted = asked.decode("latin-1").strip().lower()
    if wanted not in ("announce", "refuse"):
        raise InvalidRequest(f"expected announce or refuse, got {wanted[:40]!r}", where="x-anyllm-on-loss")
    return wanted


def _has(policy: Policy, hook: str) -> bool:
    """Whether a policy does something there: a call does not walk through empty hooks."""
    return getattr(type(policy), hook) is not getattr(Policy, hook)
