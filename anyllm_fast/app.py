"""The ASGI callable: lifespan, route, gateway.serve, last-resort error. Knows no dialect by name and no policy."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from anyllm_fast import faults, ids, routes
from anyllm_fast.call import Call, Policies, Receive, Route, Send
from anyllm_fast.config import Settings, current_settings
from anyllm_fast.cors import Cors
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.errors import GatewayError
from anyllm_fast.gateway import Gateway
from anyllm_fast.policy import open_policies
from anyllm_fast.policy.log import Log
from anyllm_fast.providers import demo, open_target
from anyllm_fast.responses.store import open_store
from anyllm_fast.router import Router
from anyllm_fast.upstream import Upstream
from anyllm_fast.upstream.client import UpstreamOptions, open_upstream

_UNROUTED = Route("root", "anthropic")


class App:
    """One per worker. Opens what the settings name at the first event, on the loop that will use it; closes it at shutdown."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        targets = [open_target(backend) for backend in settings.backends]
        self._router = Router(targets)
        self._policies: Policies = ()
        self._upstreams: dict[str, Upstream] = {}
        self._gateway: Gateway | None = None
        self._prefixes = self._router.names
        self._cors = Cors(settings.cors_origins) if settings.cors_origins else None
        self._announce = settings.expose_degradation

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        gateway = self._gateway or self._open()
        call = Call(scope, receive, send, _UNROUTED, DIALECTS["anthropic"], "")
        call.request_id = ids.request_id(call.headers.get(b"x-request-id"))
        call.announce = self._announce
        if self._cors is not None and await self._cors.handle(call):
            return
        try:
            call.route = routes.find(call.method, call.path, call.query, call.headers, self._prefixes)
            call.dialect = DIALECTS[call.route.dialect]
            call.errors = DIALECTS[call.route.errors] if call.route.errors else call.dialect
        except GatewayError as error:
            call.dialect = call.errors = DIALECTS[routes.dialect_of(call.path, call.headers)]
            await gateway.reject(call, error)
            return
        await gateway.serve(call)

    def _open(self) -> Gateway:
        """In the worker, inside its loop."""
        settings = self.settings
        self._policies = open_policies(settings)
        tls = settings.tls
        options = UpstreamOptions(
            ca_file=tls.ca_file,
            p12_file=tls.p12_file,
            p12_password=tls.p12_password,
            http2=settings.http2_upstream,
            proxy=settings.proxy,
        )
        shared: Upstream | None = None
        for name, target in self._router.targets.items():
            if target.in_process:
                self._upstreams[name] = demo.DemoUpstream()
            else:
                shared = shared or open_upstream(options)
                self._upstreams[name] = shared
        store = open_store(settings.responses_store, settings.responses_ttl)
        self._gateway = Gateway(settings, self._router, self._upstreams, self._policies, store)
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the worker: the collector need not look at it again
        gc.set_threshold(20_000, 20, 20)  # a call makes no cycles: the default of 700 looks for them every few calls
        return self._gateway

    async def _close(self) -> None:
        if self._gateway is not None:
            await self._gateway.background.close()
            await self._gateway.shelf.close()
        for upstream in set(self._upstreams.values()):
            await upstream.close()
        for policy in self._policies:
            if isinstance(policy, Log):
                await asyncio.to_thread(policy.close)

    async def _other(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self._open()
                except Exception as error:
                    faults.report("startup", error)
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    continue
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return


app = App(current_settings())
