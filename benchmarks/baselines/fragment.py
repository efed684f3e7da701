"""The explorer's pictures as a tuned Streamlit fragment: what a drag costs without a socket of one's own.

    streamlit run benchmarks/baselines/fragment.py

A strip that sends where the pointer is while it moves (``st.slider`` would report on release only), a fragment that
evaluates the same arrays with lossviz, and ``st.plotly_chart`` for each picture. Tuned: the strip waits until the
charts show its last position before it sends the newest; run from the repository's root it has the app's own
configuration (no garbage collection after a run, no file watcher, uvloop); torch runs on one thread; and every chart
has a key, so that Plotly updates it in place. Each figure carries its own number and that of the move it
answers in ``layout.meta``.
"""

from typing import Any

import plotly.graph_objects as go
import streamlit as st
import torch

from lossviz.losses import get
from lossviz.scenes import get_scene

STRIP = """
export default function ({ parentElement, setStateValue }) {
  const strip = parentElement.querySelector(".strip");
  if (strip.dataset.ready) return;
  strip.dataset.ready = "yes";
  let n = 0, sent = 0, share = 0;
  strip.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    const box = strip.getBoundingClientRect();
    n += 1;
    share = (event.clientX - box.left) / box.width;
    send();
  });
  // One move under way, the newest waiting: without that the charts fall further behind with every move.
  // Streamlit may leave a chart's former element beside the new one for a while.
  const drawn = () => {
    const metas = [...document.querySelectorAll(".js-plotly-plot")].map((plot) => plot.layout?.meta ?? {});
    return metas.every(({ chart }) => metas.some((meta) => meta.chart === chart && meta.n === sent));
  };
  const send = () => {
    if (sent === n || !drawn()) return;
    sent = n;
    setStateValue("held", { n, share });
  };
  const look = () => {
    send();
    requestAnimationFrame(look);
  };
  look();
}
"""
HTML = '<div class="strip" style="height:60px;background:#8884;touch-action:none"></div>'
LOSSES = {"regression": ("huber", "mse"), "classes": ("cross_entropy", "softmax_focal")}
HELD = {"regression": "pred", "classes": "z1"}


def regression(arrays: dict[str, torch.Tensor], keys: tuple[str, ...]) -> list[go.Figure]:
    """Curve with tangents, derivative, contour."""
    x = torch.linspace(-5, 5, 401).numpy()
    side = torch.linspace(-5, 5, 61).numpy()
    curves = [go.Scatter(x=x, y=y.numpy()) for y in arrays["curve"]]
    tangents = [go.Scatter(x=t[0].numpy(), y=t[1].numpy()) for t in arrays["tangent"]]
    slopes = [go.Scatter(x=x, y=y.numpy()) for y in arrays["derivative"]]
    contour = go.Contour(x=side, y=side, z=arrays[f"surface:{keys[0]}"].numpy(), ncontours=14)
    return [go.Figure([*curves, *tangents]), go.Figure(slopes), go.Figure(contour)]


def classes(arrays: dict[str, torch.Tensor], keys: tuple[str, ...]) -> list[go.Figure]:
    """Contour over the simplex with arrows, bars."""
    x = torch.linspace(0, 1, 81)
    steps = arrays[f"arrows:{keys[0]}"]
    ends = [[v for a, d in zip(steps[:, i], steps[:, i + 2], strict=True) for v in (a, a + d, None)] for i in (0, 1)]
    contour = go.Contour(x=x.numpy(), y=(x * 3**0.5 / 2).numpy(), z=arrays[f"surface:{keys[0]}"].numpy(), ncontours=16)
    bars = [go.Bar(y=y.numpy()) for y in arrays["bars"]]
    return [go.Figure([contour, go.Scatter(x=ends[0], y=ends[1])]), go.Figure(bars)]


@st.fragment
def stage(name: str) -> None:
    """Run again at every move of the pointer."""
    strip = st.components.v2.component("strip", html=HTML, js=STRIP)
    held: Any = strip(key="strip", default={"held": {"n": 0, "share": 0.5}}, on_held_change=lambda: None).held
    scene, keys = get_scene(name), LOSSES[name]
    handle = next(each for each in scene.handles if each.name == HELD[name])
    share = min(1.0, max(0.0, held["share"]))
    handles = scene.parse_handles({handle.name: handle.low + share * (handle.high - handle.low)})
    views = [view for view in scene.view_names if view not in ("surface", "arrows", "formula")]
    frame = scene.views([get(key) for key in keys], handles, {}, [*views, f"surface:{keys[0]}", f"arrows:{keys[0]}"])
    arrays = {key: array.float() for key, array in frame.arrays.items()}
    figures = regression(arrays, keys) if name == "regression" else classes(arrays, keys)
    for i, (column, figure) in enumerate(zip(st.columns(len(figures)), figures, strict=True)):
        figure.update_layout(height=360, showlegend=False, meta={"n": held["n"], "chart": i})
        column.plotly_chart(figure, key=f"chart{i}", config={"staticPlot": True})


torch.set_num_threads(1)
st.set_page_config(layout="wide")
stage(st.query_params.get("scene", "regression"))
