"""Components: one place in a page where an ES module of ours draws."""

from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from typing import Any

import streamlit as st
from streamlit.components import v2

from lossviz.live.access import person_in
from lossviz.live.service import service
from lossviz.ui import WEB

# Streamlit finds file-backed modules only in installed packages; ours come from our own route, so that the app also
# runs from a plain checkout and the modules may import each other.
_LOADER = """
export default function (component) {
  const { folder, module } = component.data;
  const loading = import(new URL(`${folder}/${module}.js`, location.origin).href);
  loading.then((loaded) => loaded.render(component));
  return () => loading.then((loaded) => loaded.unmounted(component));
}
"""


def person() -> str:
    """Return the random id of whoever looks at this page; "nobody" where the browser takes no cookies."""
    return person_in("; ".join(f"{name}={value}" for name, value in st.context.cookies.items())) or "nobody"


def mount(
    module: str, key: str, data: Mapping[str, Any], on: Mapping[str, Callable[[], None]], skeleton: str = "lv-skeleton"
) -> None:
    """Draw ``module`` with ``data`` in the page; ``on`` maps the names of what it reports to callbacks.

    The module gets the address of our files and sockets and a fresh token beside its data. Until it has loaded, a box
    of its size stands in its place, with the class ``skeleton``.
    """
    ours = service()
    data = {
        **data,
        "module": module,
        "folder": f"{ours.base}/live/files/{ours.assets.version}",
        "base": ours.base,
        "token": ours.gate.token(person()),
    }
    callbacks = {f"on_{name}_change": callback for name, callback in {"token": _nothing, **on}.items()}
    _component(skeleton)(key=key, data=data, **callbacks)  # pyright: ignore[reportArgumentType]


def reported(key: str, name: str) -> object:
    """Return what the component ``key`` reported last as ``name``: untrusted JSON, or ``None``."""
    state: Any = st.session_state.get(key)
    return state.get(name) if state else None


def _nothing() -> None:
    """The token trigger needs no more than the page's run that follows it."""


@cache
def _style() -> str:
    return (WEB / "lossviz.css").read_text()


def _component(skeleton: str) -> Callable[..., Any]:
    html = f'<div class="lv-root"><div class="{escape(skeleton)}"></div></div>'
    return v2.component(f"lossviz.{skeleton}", html=html, css=_style(), js=_LOADER, isolate_styles=False)
