"""What all pages share: the server's life, the page's width and title, the way between pages."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit import config

from lossviz.live.service import start, stop
from lossviz.ui import WEB
from lossviz.ui.words import tr

SWITCH_SECONDS = 0.0005
"""How long a page's script may keep the interpreter from the live socket; Python's own 5 ms are felt under a finger."""

_STYLE = """<style>
.stMainBlockContainer { padding: 4.25rem 2rem 2rem; max-width: 1680px; }
[data-testid="stSidebarUserContent"] { padding-top: 0; }
@media (max-width: 640px) { .stMainBlockContainer { padding: 4.25rem 1rem 2rem; } }
</style>"""
"""Less air around the page than Streamlit's own, so that one act fits one screen."""


_ALONE = """<style>
[data-testid="stHeader"], [data-testid="stSidebar"], [data-testid="stSidebarCollapsedControl"] { display: none; }
.stMainBlockContainer { padding: 1rem 2rem; max-width: none; }
.stMainBlockContainer [data-testid="stMarkdownContainer"] p { font-size: 1.6rem; }
</style>"""


def alone() -> None:
    """Leave nothing on screen but the page's picture: for a projector."""
    st.html(_ALONE)


def base_path() -> str:
    """Return the path that the app is served under: "" or "/somewhere"."""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


@contextmanager
def serve() -> Iterator[None]:
    """Start the service and stop it in the end; what the imports made is kept out of every later garbage collection."""
    sys.setswitchinterval(SWITCH_SECONDS)
    start(WEB, base_path())
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        stop()


def frame() -> None:
    """Show the navigation and run the page that the address names."""
    icon = str(WEB / "icon.svg")
    st.set_page_config(page_title="lossviz", page_icon=icon, layout="wide", initial_sidebar_state=264)
    st.html(_STYLE)
    pages = [
        st.Page("home.py", title=tr("Home"), icon=":material/home:", default=True),
        st.Page("explore.py", title=tr("Explore"), icon=":material/touch_app:", url_path="explore"),
        st.Page("catalogue.py", title=tr("Catalogue"), icon=":material/grid_view:", url_path="catalogue"),
        st.Page("train.py", title=tr("Train"), icon=":material/model_training:", url_path="train"),
        st.Page("runs.py", title=tr("Runs"), icon=":material/list:", url_path="runs"),
    ]
    st.navigation(pages, position="top").run()
