"""Explore: choose a scene and losses, drag, read the numbers."""

from dataclasses import replace

import streamlit as st

from lossviz.losses import CATALOGUE, Library, Loss, get, snippet
from lossviz.scenes import MAX_LOSSES, SCENES, get_scene
from lossviz.scenes.state import parse
from lossviz.ui.explore import stage, write_query
from lossviz.ui.words import tr

LIBRARIES: dict[Library, str] = {"pytorch": "PyTorch", "keras": "Keras", "optax": "Optax"}

state, problems = parse(st.query_params.to_dict(), CATALOGUE)


def choose_scene() -> None:
    """Start the chosen scene with its own opening losses."""
    write_query(parse({"scene": st.session_state["scene"]}, CATALOGUE)[0])


def choose_losses() -> None:
    """Keep handles and parameters; only the list of losses changes."""
    losses = tuple(get(key) for key in st.session_state["losses"])
    params = {loss.key: state.params.get(loss.key, loss.resolve({})) for loss in losses}
    focus = state.focus if state.focus in params else next(iter(params), "")
    write_query(replace(state, losses=losses, params=params, focus=focus))


def write_code(loss: Loss) -> None:
    """Show the loss as a program that can be run, at the inputs and parameters on screen."""
    inputs = state.scene.inputs(state.handles, loss)
    st.markdown(f"**{tr('{name} as a program, at these inputs', name=tr(loss.name))}**")
    for tab, (library, name) in zip(st.tabs(list(LIBRARIES.values())), LIBRARIES.items(), strict=True):
        try:
            program = snippet(loss, library, inputs, state.params[loss.key])
        except ValueError as error:
            tab.info(str(error), icon=":material/error:")
            continue
        if program:
            tab.code(program, language="python")
        else:
            tab.info(tr("{library} does not have this loss.", library=name))
    if loss.code.note:
        st.caption(tr(loss.code.note))


# The address is the truth: Back, a link or a reload changes it, and the widgets follow.
st.session_state["scene"] = state.scene.key
st.session_state["losses"] = [loss.key for loss in state.losses]
with st.sidebar:
    st.radio(
        tr("Scene"),
        [scene.key for scene in SCENES],
        format_func=lambda key: tr(get_scene(key).name),
        key="scene",
        on_change=choose_scene,
        help=tr("What you drag: numbers on a line, or the probabilities of three classes."),
    )
    st.multiselect(
        tr("Losses"),
        [loss.key for loss in state.scene.losses(CATALOGUE)],
        format_func=lambda key: tr(get(key).name),
        key="losses",
        on_change=choose_losses,
        max_selections=MAX_LOSSES,
        help=tr("Each one gets a curve; colour and dash follow the order of this list."),
    )
st.markdown(f"**{tr(state.scene.task)}**")
for problem in problems:
    st.warning(problem, icon=":material/error:")
if state.losses:
    stage(state)
    write_code(get(state.focus))
else:
    st.info(tr("Choose at least one loss on the left."), icon=":material/arrow_back:")
