"""The train page's pieces: the form that makes a RunSpec, and the component that follows a run."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from lossviz.figures import DASHES
from lossviz.figures import training as figures
from lossviz.language import KEY as TYPED
from lossviz.language import MOST_CHARACTERS, FormulaError
from lossviz.live.service import service
from lossviz.losses import get
from lossviz.losses.entry import Loss, Number, Vector
from lossviz.losses.typed import typed_loss
from lossviz.models import NETWORKS
from lossviz.runs import ARTICLE, MAX_SEEDS, OPTIMIZERS, SCHEDULES, LossChoice, Run, RunSpec
from lossviz.runs.spec import (
    MAX_BATCH,
    MAX_CLIP,
    MAX_EPOCHS,
    MAX_LEARNING_RATE,
    MAX_LOSSES,
    MAX_SEED,
    MAX_WEIGHT_DECAY,
    shortened,
)
from lossviz.scenes.formula import TEXT, own_params
from lossviz.scenes.state import State, plain
from lossviz.training import bridge_to, loss_of, offered, validate
from lossviz.ui.components import mount, person
from lossviz.ui.words import tr

KEY = "run"
OPENING = RunSpec(losses=(LossChoice("cross_entropy", {}), LossChoice("mse", {})), epochs=3)
_BESIDE = "cross_entropy"
"""What a single loss is compared with."""
_SHORT = 28
"""Characters of a typed formula where a loss's name stands beside a curve."""
_BEFORE, _AFTER = 20, 8
"""Characters shown around the one at fault, in the narrow rail."""
_MODELS = {"softmax": "Softmax layer", "mlp": "MLP, 128 hidden", "cnn": "Small CNN"}
_OPTIMIZERS = {
    "adam": "Adam",
    "sgd": "SGD",
    "momentum": "SGD, momentum 0.9",
    "nesterov": "SGD, Nesterov 0.9",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
}
_SCHEDULES = {
    "constant": "Constant",
    "cosine": "Cosine, down to 0",
    "one-cycle": "One cycle, up and down",
    "step": "Steps, a tenth each third",
}
_SETTINGS = (
    *("model", "optimizer", "learning_rate", "batch_size", "epochs", "seed", "seeds"),
    *("schedule", "weight_decay", "clip"),
)
"""Fields of a run's spec that have a widget of the same name."""
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
    for name in _SETTINGS:
        st.session_state[name] = getattr(spec, name)
    for place, choice in enumerate(spec.losses):
        st.session_state[f"loss.{place}"] = choice.key
        if choice.formula:
            st.session_state[_text_key(place)] = choice.formula
        for name, value in loss_of(choice).resolve(choice.params).items():
            st.session_state[_param_key(place, choice.key, name)] = value


def trainable(state: State) -> tuple[LossChoice, ...]:
    """Return what the explorer shows and a classifier can be trained on: the typed formula first."""
    own = (LossChoice(TYPED, own_params(state.handles), state.handles[TEXT.name]),) if TYPED in state.scene.own else ()
    fit = (loss for loss in state.losses if loss.key in offered())
    return (*own, *(LossChoice(loss.key, _special(loss, plain(state.params[loss.key]))) for loss in fit))


def address(losses: Sequence[LossChoice]) -> str:
    """Return where the train page opens with these losses, at most one of them typed."""
    query = {"loss": ",".join(choice.key for choice in losses)}
    for choice in losses:
        query |= {f"{choice.key}.{name}": json.dumps(value) for name, value in choice.params.items()}
        query |= {TYPED: choice.formula} if choice.formula else {}
    return f"{service().base}/train?{urlencode(query)}"


def open_form(run: Run | None) -> str:
    """Fill in the form where it is new here: what the address asks for, else what ``run`` was, else as it was left.

    Losses that the address asks for are filled in once, a single one beside cross-entropy.

    Returns:
        What was wrong with them.
    """
    query = st.query_params.to_dict()
    asked = {name: text for name, text in query.items() if name in ("loss", TYPED) or "." in name}
    # Streamlit forgets a page's widgets when it is left.
    fresh = "loss.0" not in st.session_state
    problem = ""
    if "loss" in asked and (fresh or asked != st.session_state.get("asked")):
        st.session_state["asked"] = asked
        try:
            fill_form(_opening_with(asked))
        except ValueError as error:
            fill_form(OPENING)
            problem = str(error)
    elif fresh:
        fill_form(run.spec if run else st.session_state.get("left", OPENING))
    return problem


def _opening_with(query: Mapping[str, str]) -> RunSpec:
    keys = list(dict.fromkeys(key.strip() for key in query["loss"].split(",")))
    entries: list[dict[str, Any]] = []
    for key in keys if len(keys) > 1 else dict.fromkeys((*keys, _BESIDE)):
        params = {name.partition(".")[2]: _value(text) for name, text in query.items() if name.startswith(f"{key}.")}
        entries.append({"key": key, "params": params, **({TYPED: query.get(TYPED)} if key == TYPED else {})})
    chosen = RunSpec.parse({"losses": entries})
    validate(chosen)
    return replace(OPENING, losses=chosen.losses)


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


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
    seeds = right.number_input(
        tr("Seeds"),
        1,
        MAX_SEEDS,
        step=1,
        key="seeds",
        help=tr(
            "Train every loss from so many seeds: the line is their mean, the band reaches from the lowest to the "
            "highest of them."
        ),
    )
    wanted = {
        "losses": losses,
        "model": model,
        "optimizer": optimizer,
        "learning_rate": rate,
        "batch_size": batch,
        "epochs": epochs,
        "seed": seed,
        "seeds": seeds,
        **_more(),
    }
    with suppress(ValueError):
        st.session_state["left"] = RunSpec.parse(wanted)
    return wanted


def bridges(spec: RunSpec) -> None:
    """Show how each loss is joined to the network's ten outputs."""
    with st.expander(tr("How each loss is joined to the network"), icon=":material/conversion_path:"):
        for label, choice in zip(names(spec), spec.losses, strict=True):
            bridge = bridge_to(choice.key)
            said = f"{tr(bridge.text)}  \n${bridge.latex}$"
            if choice.formula:
                params = "".join(f", {name} = {value}" for name, value in choice.params.items())
                st.markdown(f"`{choice.formula}`{params}: {said}, ${loss_of(choice).formula[-1].latex}$")
            else:
                st.markdown(f"**{label}**: {said}")


def names(spec: RunSpec, most: int = _SHORT) -> list[str]:
    """Return one name a loss for people, with parameters that are not the default ones.

    A typed formula is shown with at most so many characters, and with all of its parameters.
    """
    shown: list[str] = []
    for choice in spec.losses:
        loss = loss_of(choice)
        special = choice.params if choice.formula else _special(loss, choice.params)
        params = ", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in special.items()
        )
        called = shortened(choice.formula, most) if choice.formula else tr(loss.name)
        name = f"{called} ({params})" if params else called
        shown.append(f"{name} #{shown.count(name) + 1}" if name in shown else name)
    return shown


def _special(loss: Loss, params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value != loss.params[name].default}


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
    steps = {"total_steps": spec.total_steps, "steps_per_epoch": spec.steps_per_epoch, "seeds": spec.seeds}
    data = {
        "run": {**told, **steps, "names": labels},
        "mine": mine,
        "dashes": DASHES,
        "figures": figures.curves(labels, spec.epochs, words, banded=spec.seeds > 1),
        "text": _text(spec.seeds),
    }
    mount("training", KEY, data, on)


def _more() -> dict[str, Any]:
    """Show what few people change; return it by field."""
    with st.expander(tr("More settings"), icon=":material/tune:"):
        schedule = st.selectbox(
            tr("Learning rate over the run"),
            SCHEDULES,
            format_func=lambda key: tr(_SCHEDULES[key]),
            key="schedule",
            help=tr("The learning rate above is the highest that it takes."),
        )
        decay = st.number_input(
            tr("Weight decay"),
            0.0,
            MAX_WEIGHT_DECAY,
            step=1e-4,
            format="%.4g",
            key="weight_decay",
            help=tr("Pulls the weights towards 0: added to the gradient, or by AdamW taken off the weights."),
        )
        clip = st.number_input(
            tr("Longest gradient"),
            0.0,
            MAX_CLIP,
            step=0.5,
            format="%.4g",
            key="clip",
            help=tr("A longer gradient is shortened to this norm; 0 leaves every gradient as it is."),
        )
    return {"schedule": schedule, "weight_decay": decay, "clip": clip}


def is_article(spec: RunSpec) -> bool:
    """Say whether ``spec`` is the article's experiment, whatever other losses stand beside its own."""
    same = set(_SETTINGS) - {"seed", "seeds"}
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
    box, away = st.columns([5, 1], vertical_alignment="bottom")
    key = box.selectbox(
        tr("Loss {number}", number=place + 1),
        (*offered(), TYPED),
        format_func=lambda each: tr("Your formula") if each == TYPED else tr(get(each).name),
        key=f"loss.{place}",
        label_visibility="visible" if place == 0 else "collapsed",
        help=tr(bridge_to(st.session_state[f"loss.{place}"]).text),
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
    if key == TYPED:
        return {"key": key, **_typed(place)}
    return {"key": key, "params": _params(place, get(key))}


def _typed(place: int) -> dict[str, Any]:
    """The field for a formula with its parameters, or with what is wrong with it."""
    st.session_state.setdefault(_text_key(place), TEXT.default)
    text = st.text_input(tr("loss(pred, target) ="), max_chars=MOST_CHARACTERS, key=_text_key(place))
    try:
        return {"formula": text, "params": _params(place, typed_loss(text))}
    except FormulaError as error:
        start = max(0, error.position - _BEFORE)
        at = error.position - start
        st.code(f"{text[start : error.position + _AFTER]}\n{' ' * at}^", language=None)
        st.error(str(error), icon=":material/error:")
        return {"formula": text, "params": {}}


def _params(place: int, loss: Loss) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name, param in loss.params.items():
        widget = _param_key(place, loss.key, name)
        if isinstance(param, Vector) or (isinstance(param, Number) and param.integer):
            continue  # class weights and the ignored index mean nothing here: every digit counts, once
        if isinstance(param, Number):
            st.session_state.setdefault(widget, param.default)
            step = 0.1 if param.scale == "linear" else None
            chosen[name] = st.number_input(
                name if loss.key == TYPED else f"{tr(loss.name)}: {name}",
                param.low,
                param.high,
                step=step,
                format="%.4g",
                key=widget,
                help=tr(param.meaning),
            )
    return chosen


def _text_key(place: int) -> str:
    return f"{TYPED}.{place}"


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
        below, here = _param_key(row + 1, losses[row + 1], ""), _param_key(row, losses[row + 1], "")
        for name in [str(name) for name in st.session_state if str(name).startswith(below)]:
            st.session_state[here + name.removeprefix(below)] = st.session_state[name]
        if losses[row + 1] == TYPED:
            st.session_state[_text_key(row)] = st.session_state[_text_key(row + 1)]
    st.session_state["losses"] = [key for row, key in enumerate(losses) if row != place]


def _text(seeds: int) -> Mapping[str, Any]:
    sentence = tr("{name} reads {accuracy} of the test images.")
    titles = {
        "accuracy": tr("Test accuracy: line, 1,000 fixed test images; dots, all 10,000 at each epoch's end"),
        "train_loss": tr("Train loss, each in its own unit"),
        "grad_norm": tr("Gradient norm"),
        "test_loss": tr("Test loss, each in its own unit"),
    }
    if seeds > 1:
        sentence = tr("{name} reads {accuracy} of the test images, from {low} to {high} over its seeds.")
        titles["accuracy"] = tr(
            "Test accuracy: line, mean of {count} seeds; band, lowest to highest; dots, all 10,000 images", count=seeds
        )
    return {
        **titles,
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
        "sentence": sentence,
        "span": tr("{low} to {high}"),
        "table": tr("Epochs as a table"),
        "epoch": tr("Epoch"),
        "missing": tr("There is no such run; it may have been deleted."),
        "offline": tr("Connection lost at {time}. The curves stay; trying again."),
    }
