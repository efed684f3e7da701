"""The ASGI root: Streamlit's pages, our live routes beside them, and the queue that trains."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware

from lossviz.live import routes
from lossviz.live.access import PersonCookie
from lossviz.ui.frame import base_path, serve


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncGenerator[None]:
    """Hold the service open as long as the server runs."""
    with serve():
        yield


app = st.App("pages/_router.py", routes=routes(base_path()), lifespan=lifespan, middleware=[Middleware(PersonCookie)])
