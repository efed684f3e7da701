"""The routes beside Streamlit's own: live sockets, the components' files, health."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from lossviz.live import service as shared
from lossviz.live.run_socket import run_socket
from lossviz.live.scene_socket import scene_socket


def routes(base: str) -> list[BaseRoute]:
    """Return the routes, under the path ``base`` that the app is served at ("" or "/somewhere")."""
    return [
        WebSocketRoute(f"{base}/live/scene", _scene),
        WebSocketRoute(f"{base}/live/runs/{{run}}", _run),
        Route(f"{base}/live/files/{{version}}/{{name}}", _file),
        Route(f"{base}/live/health", _health),
    ]


async def _scene(socket: WebSocket) -> None:
    await scene_socket(socket, shared.service().gate, shared.service().evaluator)


async def _run(socket: WebSocket) -> None:
    await run_socket(socket, shared.service().gate, shared.service().store, shared.service().queue)


async def _file(request: Request) -> Response:
    return shared.service().assets.respond(request)


async def _health(request: Request) -> Response:
    queue = shared.service().queue
    return JSONResponse({"status": "ok", "device": queue.device, "waiting": queue.waiting})
