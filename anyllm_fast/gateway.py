"""The life of a call: screen, read, admit, forward, relay, settle. The only file that knows the order.

Everything before the commit point (the first thing in a reply that a client would act on) can still become an error with a true
status; what happens after it becomes the dialect's in-band error. Both are written here and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from anyllm_fast import body, faults, headers, operations
from anyllm_fast.bridge import Bridge, open_bridge, refusal, refuse_losses
from anyllm_fast.call import Call, Policies, Policy, Route, Target
from anyllm_fast.config import Settings
from anyllm_fast.departures import Departures
from anyllm_fast.errors import GatewayError, Internal, UpstreamBroken, UpstreamRefused
from anyllm_fast.relay import Relay, answer
from anyllm_fast.router import Router
from anyllm_fast.upstream import Timeouts, Upstream, UpstreamReply, UpstreamRequest

_ERROR_BODY_LIMIT = 1 << 20


class Gateway:
    """One per worker. Owns nothing but references: the upstream client, the router, the policies in their order."""

    def __init__(self, settings: Settings, router: Router, upstreams: Mapping[str, Upstream], policies: Policies) -> None:
        self.settings = settings
        self.router = router
        self.upstreams = upstreams
        self.policies = policies
        self._screens = tuple((place, policy.screen) for place, policy in enumerate(policies) if _has(policy, "screen"))
        self._admits = tuple(policy.admit for policy in policies if _has(policy, "admit"))
        self._settles = tuple((place, policy.settle) for place, policy in enumerate(policies) if _has(policy, "settle"))[::-1]
        self._last = len(policies)
        self._departures = Departures()
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
        peek = call.dialect.peek(call.body)
        call.model, call.stream, call.include_usage = peek.model, peek.stream, peek.include_usage
        target = self.aim(call)
        bridge = open_bridge(call, target, self.settings.max_frame_bytes)
        if call.losses and self.settings.on_loss == "refuse":
            refuse_losses(call)
        reply = await self.forward(call, target, target.generate, bridge.body, self._streamed if call.stream else self._whole)
        try:
            if reply.status >= 400:
                raise refusal(reply, await reply.read(_ERROR_BODY_LIMIT), bridge.upstream, bridge.client)
            call.response_headers += headers.to_client(reply.headers, target.dialect, call.dialect.name)
            if call.stream:
                await Relay(call, bridge, reply, self.settings).run()
            else:
                await self._whole_reply(call, bridge, reply)
        except BaseException:  # a reply that was not taken to its end holds a connection
            reply.abort()
            raise

    def aim(self, call: Call) -> Target:
        """Chooses the target and lets the policies judge it."""
        target = call.target = self.router.target(call)
        call.target_model = target.model_of(call.model)
        for admit in self._admits:
            admit(call)
        return target

    async def forward(self, call: Call, target: Target, path: bytes, payload: bytes, timeouts: Timeouts) -> UpstreamReply:
        """The reply to a POST, or to a GET where there is no payload. Raises UpstreamError, also for a redirect."""
        request = UpstreamRequest(
            target.origin,
            b"POST" if payload else b"GET",
            path,
            headers.to_upstream(call, target),
            payload,
            timeouts,
        )
        reply = await self.upstreams[target.name].send(request)
        call.outcome.upstream_status = reply.status
        if 300 <= reply.status < 400:
            reply.abort()
            raise UpstreamBroken(f"the upstream answered with a redirect ({reply.status}), which is never followed")
        return reply

    async def _whole_reply(self, call: Call, bridge: Bridge, reply: UpstreamReply) -> None:
        raw = await reply.read(self.settings.max_reply_bytes)
        payload, call.outcome.usage, call.outcome.stop_reason = bridge.whole(raw, call)
        await answer(call, 200, payload)

    async def _refuse(self, call: Call, error: GatewayError) -> None:
        outcome = call.outcome
        outcome.error, outcome.message = error.kind, outcome.message or str(error)
        if outcome.status:  # headers are out already: Relay has said it in-band
            return
        call.response_headers += error.headers
        verbatim = error.verbatim if isinstance(error, UpstreamRefused) else None
        payload = verbatim or call.dialect.write_error(error, call.request_id)
        await answer(call, error.status if verbatim else call.dialect.status_of(error), payload)


def _has(policy: Policy, hook: str) -> bool:
    """Whether a policy does something there: a call does not walk through empty hooks."""
    return getattr(type(policy), hook) is not getattr(Policy, hook)
