"""The catalogue's two faces: the gallery of all losses, and one loss with all that is known of it."""

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from inspect import getdoc
from math import isfinite
from typing import Any, cast, get_args
from urllib.parse import urlencode

import streamlit as st

from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Loss, Params, Properties, Property, Task, nearest, split_weight
from lossviz.losses.libraries import Comparison, across, versions
from lossviz.losses.precision import Record, measured_with, precision
from lossviz.losses.witness import SENTENCES
from lossviz.scenes import SCENES, SLICE
from lossviz.scenes.slice import share_at_start
from lossviz.scenes.slices import slice_of
from lossviz.scenes.state import State, parse, plain, to_query
from lossviz.training import offered
from lossviz.ui.components import mount, reported
from lossviz.ui.explore import mathml, reported_query, stage
from lossviz.ui.words import tr

GALLERY, ENTRY = "gallery", "entry"
MAX_WORDS = 80

TASKS: Mapping[Task, tuple[str, str]] = {
    "regression": ("Regression", "回归"),
    "classification": ("Classification", "分类"),
    "similarity": ("Similarity and metric learning", "相似度 度量学习"),
    "detection": ("Detection", "目标检测"),
    "segmentation": ("Segmentation", "分割"),
    "sequence": ("Sequences", "序列"),
    "gan": ("Adversarial networks (GAN)", "生成对抗网络"),
    "multi-task": ("Several tasks", "多任务"),
    "adaptive": ("Adaptive", "自适应"),
    "adversarial": ("Attacks and defence", "对抗训练"),
    "joint": ("Joint training", "联合训练 蒸馏"),
    "sparse": ("Sparsity", "稀疏"),
    "unsupervised": ("Unsupervised", "无监督 自监督"),
    "semi-supervised": ("Semi-supervised", "半监督"),
    "ranking": ("Ranking", "排序"),
}
"""English heading, and Chinese words to find it by."""

PROPERTIES: Mapping[str, tuple[str, str, str]] = {
    "convex_in_pred": (
        "Convex in the prediction",
        "Between two predictions the loss lies on or below the chord.",
        "It takes logits: see the next line.",
    ),
    "convex_in_logits": (
        "Convex in the logits",
        "Between two vectors of logits the loss lies on or below the chord.",
        "It takes no logits.",
    ),
    "bounded": (
        "Bounded",
        "No value exceeds a constant, however wrong the prediction.",
        "Its value depends on the network.",
    ),
    "lipschitz": (
        "Lipschitz",
        "The gradient is never longer than a constant.",
        "Its gradient leads through a network.",
    ),
    "smooth": ("Smooth", "The gradient changes gradually: no kinks.", "Its gradient leads through a network."),
    "robust": (
        "Robust",
        "Wrong labels have a bounded pull, or shift no minimum.",
        "A single wrong label is not what it is about.",
    ),
    "symmetric": ("Symmetric", "Exchanging sides, classes or partners changes nothing.", "It has nothing to exchange."),
    "proper": (
        "Proper scoring rule",
        "It is cheapest to forecast the true probabilities.",
        "It judges no forecast of probabilities.",
    ),
    "calibrated": (
        "Classification-calibrated",
        "The cheapest prediction decides for the likeliest class.",
        "It does not decide between classes.",
    ),
    "scale_invariant": (
        "Scale-invariant",
        "Multiplying by a positive number changes nothing.",
        "Scaling its input leaves its domain.",
    ),
    "needs_pairs": (
        "Needs pairs or a miner",
        "Examples are compared with one another; somebody has to choose which.",
        "Its rows belong together without being compared.",
    ),
}
"""Label, meaning, and why it does not apply where it does not."""

FILTERS = ("convex", *[name for name in PROPERTIES if not name.startswith("convex")])
"""What the gallery filters by: convexity once, in whatever the loss takes."""


_QUIET, _BADGE = ":gray[{}]", ":gray-badge[{}]"
"""Markdown of a second name and of a tag."""


# --- the gallery


def gallery() -> None:
    """Mount the gallery in the state that the address names."""
    state = _read_filter(st.query_params.to_dict())
    data = {
        **_gallery_data(),
        "state": state,
        "revision": st.session_state.get(f"{GALLERY}.revision", 0),
    }
    mount("catalogue", GALLERY, data, {"state": _keep_filter, "open": _open}, skeleton="lv-skeleton")


def _read_filter(query: Mapping[str, str]) -> dict[str, Any]:
    """Untrusted query parameters as the gallery's state; what is unknown is left out."""
    task = query.get("task", "")
    claims = {name: query[name] for name in FILTERS if query.get(name) in ("yes", "no")}
    return {"q": query.get("q", "")[:MAX_WORDS], "task": task if task in TASKS else "", "claims": claims}


def _keep_filter() -> None:
    report = reported(GALLERY, "state")
    if not isinstance(report, Mapping):
        return
    told = cast("Mapping[str, Any]", report)
    if isinstance(told.get("revision"), int):
        st.session_state[f"{GALLERY}.revision"] = told["revision"]
    claims = told.get("claims")
    query = {name: str(value) for name, value in claims.items()} if isinstance(claims, Mapping) else {}
    state = _read_filter(query | {name: str(told.get(name, "")) for name in ("q", "task")})
    _write({name: state[name] for name in ("q", "task") if state[name]} | state["claims"])


def _write(query: Mapping[str, str]) -> None:
    """Put the page's own parameters into the address, beside what others keep there."""
    ours = {"q", "task", "loss", "t", *FILTERS}
    kept = {name: value for name, value in st.query_params.items() if name not in ours and "." not in name}
    st.query_params.from_dict({**query, **kept})


def _open() -> None:
    key = reported(GALLERY, "open")
    if any(loss.key == key for loss in CATALOGUE):
        _write({"loss": str(key)})


@lru_cache(1)
def _gallery_data() -> dict[str, Any]:
    tasks = [
        {"key": task, "label": tr(TASKS[task][0]), "count": sum(task in loss.tasks for loss in CATALOGUE)}
        for task in get_args(Task)
    ]
    shown = {"convex": (tr("Convex"), tr(PROPERTIES["convex_in_pred"][1]))}
    shown |= {name: (tr(label), tr(meaning)) for name, (label, meaning, _) in PROPERTIES.items() if name in FILTERS}
    return {
        "losses": [_card(loss) for loss in CATALOGUE],
        "tasks": tasks,
        "properties": [{"key": name, "label": shown[name][0], "meaning": shown[name][1]} for name in FILTERS],
        "text": {
            "search": tr("Search by name, 中文名, task, author or key"),
            "count": tr("{count} of {total} losses"),
            "task": tr("Task"),
            "property": tr("Property"),
            "yes": tr("yes"),
            "no": tr("no"),
            "empty": tr("No loss is like that."),
            "clear": tr("Clear the search"),
            "lossIs": tr("loss {value}"),
            "slopeIs": tr(", slope {value}"),
            "undefined": tr("not defined here"),
        },
    }


def _card(loss: Loss) -> dict[str, Any]:
    words = [loss.key, loss.name, loss.name_zh, loss.family, loss.reference, summary(loss)]
    words += [word for task in loss.tasks for word in (task, *TASKS[task])]
    return {
        "key": loss.key,
        "name": tr(loss.name),
        "zh": loss.name_zh,
        "summary": tr(summary(loss)),
        "tasks": loss.tasks,
        "claims": {name: _word(_claim(loss, name)) for name in FILTERS},
        "words": " ".join(words).lower(),
        "start": share_at_start(loss),
        "href": f"?{urlencode({'loss': loss.key})}",
    }


def _claim(loss: Loss, name: str) -> bool | None:
    if name != "convex":
        return getattr(loss.properties, name).holds
    claims = {loss.properties.convex_in_pred.holds, loss.properties.convex_in_logits.holds}
    return True if True in claims else False if False in claims else None


def _word(holds: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[holds]


def summary(loss: Loss) -> str:
    """What the loss does, in a sentence."""
    return (getdoc(loss.fn) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "")


# --- one loss


def chosen() -> tuple[State | None, list[str]]:
    """The loss that the address names, where its handle and parameters are, and what was wrong with them."""
    query = st.query_params.to_dict()
    key = query.get("loss")
    if not key:
        return None, []
    keys = [loss.key for loss in CATALOGUE]
    if key not in keys:
        return None, [tr("There is no loss {key}; nearest: {near}.", key=repr(key[:40]), near=nearest(key, keys))]
    return _state(get(key), query)


def _state(loss: Loss, query: Mapping[str, str]) -> tuple[State, list[str]]:
    start = {"t": f"{share_at_start(loss):.12g}"}
    return parse({**start, **query, "scene": SLICE.key, "loss": loss.key}, CATALOGUE, (SLICE,))


def head(loss: Loss) -> None:
    """Show the way back, what the loss is, and where else it can be taken hold of."""
    back, title, explore, train = st.columns([1.1, 6, 1.5, 1.2], vertical_alignment="center")
    back.page_link("catalogue.py", label=tr("All losses"), icon=":material/arrow_back:")
    tags = [*(tr(TASKS[task][0]) for task in loss.tasks), loss.key]
    title.subheader(f"{tr(loss.name)} {_QUIET.format(loss.name_zh)}", anchor=False)
    st.markdown(" ".join([tr(summary(loss)), *map(_BADGE.format, tags)]))
    scene = next((scene for scene in SCENES if loss in scene.losses(CATALOGUE)), None)
    explore.page_link(
        "explore.py",
        label=tr("Open in the explorer"),
        icon=":material/touch_app:",
        disabled=scene is None,
        help=None if scene else tr("No scene of the explorer draws its inputs yet; drag it here."),
        query_params={"scene": scene.key if scene else "", "loss": loss.key},
        width="stretch",
    )
    can_train = loss.key in offered()
    train.page_link(
        "train.py",
        label=tr("Train with it"),
        icon=":material/model_training:",
        disabled=not can_train,
        help=None if can_train else tr("Nothing leads from a classifier's ten outputs to the inputs of this loss."),
        query_params={"loss": loss.key},
        width="stretch",
    )


def entry(state: State) -> None:
    """Mount the loss's picture, numbers and all that is known of it."""
    loss = state.losses[0]
    params = state.params[loss.key]
    defaults = {"handles": {"t": share_at_start(loss)}, "params": {loss.key: plain(loss.resolve())}}
    more = {"defaults": defaults, "entry": _entry_data(loss, params)}
    stage(state, key=f"{ENTRY}.{loss.key}", more=more, keep=lambda: _keep_entry(loss))


def _keep_entry(loss: Loss) -> None:
    query = reported_query(f"{ENTRY}.{loss.key}", (SLICE,))
    if query is None:
        return
    written = to_query(_state(loss, query)[0])
    for name in ("scene", "focus", "tab"):
        written.pop(name, None)
    if written.get("t") == f"{share_at_start(loss):.12g}":
        del written["t"]
    _write(written)


def inputs_now(state: State) -> Mapping[str, Any]:
    """The loss's inputs at the handle."""
    return SLICE.inputs(state.handles, state.losses[0])


def _entry_data(loss: Loss, params: Params) -> dict[str, Any]:
    moved = {split_weight(name)[0] for name in slice_of(loss).direction}
    return {
        "inputs": {name: {"meaning": tr(meaning), "moves": name in moved} for name, meaning in loss.inputs.items()},
        "derivation": [mathml(line.latex) for line in loss.derivation],
        "properties": [_property(loss, field.name, params) for field in fields(Properties)],
        "libraries": [_comparison(row) for row in across(loss.key)],
        "versions": tr("Measured with {versions}.", versions=", ".join(f"{k} {v}" for k, v in versions().items())),
        "precision": _precision(loss),
        "text": _entry_text(),
    }


def _property(loss: Loss, name: str, params: Params) -> dict[str, Any]:
    claim: Property = getattr(loss.properties, name)
    label, meaning, reason = PROPERTIES[name]
    if loss.returns == "gradients":
        reason = "It gives gradients, not a value."
    return {
        "name": name,
        "label": tr(label),
        "meaning": tr(meaning),
        "holds": claim.holds,
        "domain": tr(claim.domain) if claim.holds is not None else tr(reason),
        "evidence": tr(claim.evidence),
        "constant": _constant(name, claim, params),
    }


def _constant(name: str, claim: Property, params: Params) -> str:
    if claim.constant is None:
        return ""
    value = f"{claim.constant({**params, **claim.fixed}):.4g}"
    words = {
        "bounded": tr("at most {value}"),
        "lipschitz": tr("slope at most {value}"),
        "smooth": tr("curvature at most {value}"),
        "robust": tr("pull at most {value}"),
    }
    return words[name].format(value=value)


def _comparison(row: Comparison) -> dict[str, Any]:
    numbers = {name: _json_number(getattr(row, name)) for name in ("ours", "theirs", "difference", "adjusted")}
    return {
        **numbers,
        "library": row.library,
        "call": row.call,
        "params": ", ".join(f"{name}={value!r}" for name, value in row.params.items()),
        "kind": row.kind,
        "adjust": row.adjust,
        "adjusts": row.adjusts,
        "reason": tr(row.reason),
        "gradient": _gradients(row),
    }


def _gradients(row: Comparison) -> str:
    if row.gradient:
        return tr(row.gradient)
    if not row.gradient_difference:
        return tr("The gradients are the same.")
    return tr("The gradients agree to {share} of the largest slope.", share=f"{row.gradient_difference:.0e}")


def _json_number(value: float | None) -> float | str | None:
    # JSON has no infinity, so its name stands for it.
    return value if value is None or isfinite(value) else str(value)


def _precision(loss: Loss) -> dict[str, Any]:
    head = [tr("Type"), tr("Error of the value"), tr("Error of the gradient"), tr("Finite up to")]
    note = tr(
        "Measured on the CPU with PyTorch {version} along the line above, relative to float64's largest value there.",
        version=measured_with(),
    )
    return {"head": head, "rows": [_precision_row(record) for record in precision(loss.key)], "note": note}


def _precision_row(record: Record) -> list[str]:
    if record.failure:
        return [record.dtype, tr("cannot be computed: {why}", why=record.failure), "–", "–"]
    errors = ["–" if error is None else f"{error:.1e}" for error in (record.value, record.gradient)]
    if not record.scaled:
        reach = tr("the end of its domain")
    elif record.stops is None:
        reach = tr("the largest number of the type")
    else:
        reach = tr("{name} below {size}", name=record.scaled, size=f"{record.stops:.3g}")
    return [record.dtype, *errors, reach]


@lru_cache(1)
def _entry_text() -> dict[str, Any]:
    return {
        "derivation": tr("The gradient, derived line by line"),
        "derivationHelp": tr("One rule a line, with its numbers now; the last line is the gradient for each sample."),
        "properties": tr("Properties, with their evidence"),
        "propertiesHelp": tr("Each yes has stood up to a search that can refute it; each no is shown at work."),
        "yes": tr("yes"),
        "no": tr("no"),
        "na": tr("n/a"),
        "witnesses": {kind: tr(sentence) for kind, sentence in SENTENCES.items()},
        "chord": tr("How far the loss rises above the chord between the two predictions"),
        "libraries": tr("The same loss in other libraries"),
        "librariesHelp": tr("Called with the same inputs; where the numbers differ, the reason was tried and checked."),
        "oursAt": tr("ours at {params}"),
        "noLibraries": tr("None of the libraries that we compare with has this loss."),
        "library": tr("Library"),
        "call": tr("Call"),
        "ours": tr("Here"),
        "theirs": tr("There"),
        "off": tr("Difference"),
        "verdict": tr("Verdict"),
        "why": tr("Why"),
        "same": tr("same"),
        "explained": tr("explained"),
        "different": tr("another loss"),
        "adjusted": {"theirs": tr("Theirs as this is {value}:"), "ours": tr("Ours as this is {value}:")},
        "precision": tr("In reduced precision"),
        "know": tr("Good to know"),
        "reference": tr("Source:"),
    }
