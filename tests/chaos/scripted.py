"""The scripted engine in a process of its own, fast, and with a memory of stated size."""

from aiohttp import web

from paste_proxy.lab.scripted_engine import ScriptedEngine
from paste_proxy.lab.workload import load_workload
from tests.chaos.engine import Engine, main

SCALE = 0.002
"""Of the real time: turns of some 20 ms."""


def scripted(engine: Engine) -> web.Application:
    app = engine.without_turns()
    for route in ScriptedEngine(load_workload(), SCALE).application().router.routes():
        if route.resource is not None and route.method != "HEAD":
            app.router.add_route(route.method, route.resource.canonical, route.handler)
    return app


if __name__ == "__main__":
    main(scripted)
