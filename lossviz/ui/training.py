"""The train page's pieces: the form that makes a RunSpec, and the component that follows a run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from lossviz.figures import DASHES
from lossviz.figures import training as figures
from lossviz.live.service import service
from lossviz.losses import get
from lossviz.losses.entry import Number, Vector
from lossviz.models import NETWORKS
from lossviz.runs import ARTICLE, OPTIMIZERS, LossChoice, Run, RunSpec
from lossviz.runs.spec import MAX_BATCH, MAX_EPOCHS, MAX_LEARNING_RATE, MAX_LOSSES, MAX_SEED
from lossviz.training import BRIDGES, offered
from lossviz.ui.components import mount, person
from lossviz.ui.words import tr

KEY = "run"
OPENING = RunSpec(losses=(LossChoice("cross_entropy", {}), LossChoice("mse", {})), epochs=3)
_MODELS = {"softmax": "Softmax layer", "mlp": "MLP, 128 hidden", "cnn": "Small CNN"}
_OPTIMIZERS = {"adam": "Adam", "sgd": "SGD", "momentum": "SGD with momentum 0.9"}
_STATUSES = {
    "queued": "Waiting",
    "running": "Training",
    "done": "Finished",
    "failed": "Failed",
    "stopped": "Stopped",
    "interrupted": "Interrupted",
}


def fill_form(spec: RunSpec) -> None:
    """Set the form's widgets to ``spec``; call it before they are made."""
    st.session_state["losses"] = [choice.key for choice in spec.losses]
    for name in ("model", "optimizer", "learning_rate", "batch_size", "epochs", "seed"):
        st.session_state[name] = getattr(spec, name)
    for place, choice in enumerate(spec.losses):
        st.session_state[f"loss.{place}"] = choice.key
        for name, value in get(choice.key).resolve(choice.params).items():
            st.session_state[_param_key(place, choice.key, name)] = value


def opening_with(key: str) -> RunSpec:
    """The opening run with this loss beside cross-entropy; as it is where the loss can't be trained."""
    if key not in offered():
        return OPENING
    return replace(OPENING, losses=tuple(LossChoice(name, {}) for name in dict.fromkeys((key, "cross_entropy"))))


def form() -> dict[str, Any]:
    """Show the rail's widgets; return what they say as the JSON that `RunSpec.parse` checks."""
    losses = [_loss_row(place) for place in range(len(st.session_state["losses"]))]
    st.button(
        tr("Add a loss"),
        key="add",
        icon=":material/add:",
        type="tertiary",
        disabled=len(losses) >= MAX_LOSSES,
        on_click=_add,
        help=tr("Compare up to eight; the same loss with other parameters counts as another."),
    )
    model = st.radio(
        tr("Network"),
        list(NETWORKS),
        format_func=lambda key: tr(_MODELS[key]),
        key="model",
        help=tr("All losses start from the same weights of this network and see the same batches."),
    )
    left, right = st.columns(2)
    optimizer = left.selectbox(
        tr("Optimiser"), OPTIMIZERS, format_func=lambda key: tr(_OPTIMIZERS[key]), key="optimizer"
    )
    rate = right.number_input(
        tr("Learning rate"), 1e-6, MAX_LEARNING_RATE, step=1e-3, format="%.4g", key="learning_rate"
    )
    batch = left.number_input(tr("Batch size"), 1, MAX_BATCH, step=16, key="batch_size")
    epochs = right.number_input(tr("Epochs"), 1, MAX_EPOCHS, step=1, key="epochs")
    seed = left.number_input(
        tr("Seed"), 0, MAX_SEED, step=1, key="seed", help=tr("The same seed gives the same run again.")
    )
    return {
        "losses": losses,
        "model": model,
        "optimizer": optimizer,
        "learning_rate": rate,
        "batch_size": batch,
        "epochs": epochs,
        "seed": seed,
    }


def bridges(spec: RunSpec) -> None:
    """Show how each loss is joined to the network's ten outputs."""
    with st.expander(tr("How each loss is joined to the network"), icon=":material/conversion_path:"):
        for label, choice in zip(names(spec), spec.losses, strict=True):
            bridge = BRIDGES[choice.key]
            st.markdown(f"**{label}**: {tr(bridge.text)}  \n${bridge.latex}$")


def names(spec: RunSpec) -> list[str]:
    """Return one name a member for people, with parameters that are not the default ones."""
    shown: list[str] = []
    for choice in spec.losses:
        loss = get(choice.key)
        special = {name: value for name, value in choice.params.items() if value != loss.params[name].default}
        params = ", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in special.items()
        )
        name = f"{tr(loss.name)} ({params})" if params else tr(loss.name)
        shown.append(f"{name} #{shown.count(name) + 1}" if name in shown else name)
    return shown


def follow(run: Run) -> None:
    """Mount the component that draws ``run`` as it learns, for its owner with a Stop button."""
    told = {"id": run.id, "status": run.status, "message": run.message}
    _mount(run.spec, told, mine=run.owner == person(), on={"stop": lambda: _stop(run.id), "over": lambda: None})


def preview(spec: RunSpec) -> None:
    """Mount the same pictures, still empty, so that the first point finds everything loaded."""
    _mount(spec, {"id": "", "status": "", "message": ""}, mine=False, on={"stop": lambda: None, "over": lambda: None})


def _mount(spec: RunSpec, told: Mapping[str, str], mine: bool, on: Mapping[str, Callable[[], None]]) -> None:
    labels = names(spec)
    words = tr("Epoch"), tr("Test accuracy"), tr("Train loss"), tr("Gradient norm"), tr("Test loss")
    steps = {"total_steps": spec.total_steps, "steps_per_epoch": spec.steps_per_epoch}
    data = {
        "run": {**told, **steps, "names": labels},
        "mine": mine,
        "dashes": DASHES,
        "figures": figures.curves(labels, spec.epochs, words),
        "text": _text(),
    }
    mount("training", KEY, data, on)


def is_article(spec: RunSpec) -> bool:
    """Say whether ``spec`` is the article's experiment, whatever other losses stand beside its own."""
    same = ("model", "optimizer", "learning_rate", "batch_size", "epochs")
    return all(getattr(spec, name) == getattr(ARTICLE, name) for name in same)


def status_word(status: str) -> str:
    """Return a run's status for people."""
    return tr(_STATUSES[status])


def _stop(run_id: str) -> None:
    ours = service()
    if ours.store.get(run_id).owner == person():
        try:
            ours.queue.stop_run(run_id)
        except ValueError as error:
            st.toast(str(error), icon=":material/error:")


def _loss_row(place: int) -> dict[str, Any]:
    keys = offered()
    box, away = st.columns([5, 1], vertical_alignment="bottom")
    key = box.selectbox(
        tr("Loss {number}", number=place + 1),
        keys,
        format_func=lambda each: tr(get(each).name),
        key=f"loss.{place}",
        label_visibility="visible" if place == 0 else "collapsed",
        help=tr(BRIDGES[st.session_state[f"loss.{place}"]].text),
    )
    away.button(
        "",
        key=f"remove.{place}",
        help=tr("Remove this loss"),
        icon=":material/close:",
        type="tertiary",
        on_click=_remove,
        args=(place,),
        disabled=len(st.session_state["losses"]) == 1,
    )
    st.session_state["losses"][place] = key
    return {"key": key, "params": {name: value for name, value in _params(place, key)}}


def _params(place: int, key: str) -> list[tuple[str, Any]]:
    chosen: list[tuple[str, Any]] = []
    for name, param in get(key).params.items():
        widget = _param_key(place, key, name)
        if isinstance(param, Vector) or (isinstance(param, Number) and param.integer):
            continue  # class weights and the ignored index mean nothing here: every digit counts, once
        if isinstance(param, Number):
            st.session_state.setdefault(widget, param.default)
            step = 0.1 if param.scale == "linear" else None
            value = st.number_input(
                f"{tr(get(key).name)}: {name}",
                param.low,
                param.high,
                step=step,
                format="%.4g",
                key=widget,
                help=tr(param.meaning),
            )
            chosen.append((name, value))
    return chosen


def _param_key(place: int, key: str, name: str) -> str:
    return f"{place}.{key}.{name}"


def _add() -> None:
    rest = [key for key in offered() if key not in st.session_state["losses"]]
    st.session_state["losses"] = [*st.session_state["losses"], (rest or offered())[0]]
    st.session_state[f"loss.{len(st.session_state['losses']) - 1}"] = st.session_state["losses"][-1]


def _remove(place: int) -> None:
    """Take a row out; the rows below move up with their parameters."""
    losses = st.session_state["losses"]
    for row in range(place, len(losses) - 1):
        st.session_state[f"loss.{row}"] = st.session_state[f"loss.{row + 1}"]
        for name in get(losses[row + 1]).params:
            below = _param_key(row + 1, losses[row + 1], name)
            if below in st.session_state:
                st.session_state[_param_key(row, losses[row + 1], name)] = st.session_state[below]
    st.session_state["losses"] = [key for row, key in enumerate(losses) if row != place]


def _text() -> Mapping[str, Any]:
    return {
        "accuracy": tr("Test accuracy: line, 1,000 fixed test images; dots, all 10,000 at each epoch's end"),
        "train_loss": tr("Train loss, each in its own unit"),
        "grad_norm": tr("Gradient norm"),
        "test_loss": tr("Test loss, each in its own unit"),
        "accuracyShort": tr("Test accuracy"),
        "testLossShort": tr("Test loss"),
        "trainLossShort": tr("Train loss"),
        "progress": tr("Progress"),
        "stop": tr("Stop"),
        "stopping": tr("Stopping …"),
        "empty": tr("Press Train: the curves begin here within a second."),
        "steps": tr("step {step} of {total}"),
        "remaining": tr("{time} left"),
        "took": tr("took {time}"),
        "waiting": tr("it begins when a worker is free"),
        "statuses": {status: tr(word) for status, word in _STATUSES.items()},
        "sentence": tr("{name} reads {accuracy} of the test images."),
        "table": tr("Epochs as a table"),
        "epoch": tr("Epoch"),
        "missing": tr("There is no such run; it may have been deleted."),
        "offline": tr("Connection lost at {time}. The curves stay; trying again."),
    }
