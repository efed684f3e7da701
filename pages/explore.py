"""Explore: choose a scene and losses, drag, read the numbers."""

from dataclasses import replace

import streamlit as st

from lossviz.losses import CATALOGUE, get
from lossviz.scenes import SCENES, get_scene
from lossviz.scenes.state import State, parse
from lossviz.ui.code import write_code
from lossviz.ui.explore import leaving, stage, write_query
from lossviz.ui.frame import alone
from lossviz.ui.training import address, trainable
from lossviz.ui.words import tr

state, problems = parse(st.query_params.to_dict(), CATALOGUE)


def choose_scene() -> None:
    """Start the chosen scene with its own opening losses."""
    write_query(parse({"scene": st.session_state["scene"]}, CATALOGUE)[0])


def choose_losses() -> None:
    """Keep handles and parameters; only the list of losses changes."""
    losses = tuple(get(key) for key in st.session_state["losses"])
    params = {loss.key: state.params.get(loss.key, state.scene.resolve(loss)) for loss in losses}
    keys = state.scene.keys(losses)
    focus = state.focus if state.focus in keys else next(iter(keys), "")
    write_query(replace(state, losses=losses, params=params, focus=focus))


def about(state: State) -> None:
    """Show where more is to be read of the loss in focus, and the loss as a program."""
    made = {loss.key: loss for loss in state.scene.made(state.handles)}
    for loss in made.values():
        write_code(loss, state.scene.inputs(state.handles, loss), {})
    if state.focus in made:
        return
    focus = state.scene.drawn(state.handles, get(state.focus))
    st.page_link(
        "catalogue.py",
        label=tr("All about {name}: derivation, properties, other libraries", name=tr(focus.name)),
        icon=":material/menu_book:",
        query_params={"loss": focus.key},
    )
    write_code(focus, state.scene.inputs(state.handles, focus), state.params[state.focus])


# The address is the truth: Back, a link or a reload changes it, and the widgets follow.
st.session_state["scene"] = state.scene.key
st.session_state["losses"] = [loss.key for loss in state.losses]
present = st.query_params.get("present") == "1"
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
        max_selections=state.scene.most,
        help=tr("Each one gets a curve; colour and dash follow the order of this list."),
    )
if present:
    alone()
st.markdown(f"**{tr(state.scene.task)}**")
for problem in problems:
    st.warning(problem, icon=":material/error:")
if state.losses or state.scene.own:
    stage(state, present=present, more={"go": address(trainable(state))} if leaving() else {})
    if not present:
        about(state)
else:
    st.info(tr("Choose at least one loss on the left."), icon=":material/arrow_back:")
