"""A loss as a program that can be run, to copy."""

import streamlit as st

from lossviz.losses import Inputs, Library, Loss, Params, snippet
from lossviz.ui.words import tr

LIBRARIES: dict[Library, str] = {"pytorch": "PyTorch", "keras": "Keras", "optax": "Optax"}


def write_code(loss: Loss, inputs: Inputs, params: Params) -> None:
    """Show the loss as a program in each library, at the inputs and parameters on screen."""
    st.markdown(f"**{tr('{name} as a program, at these inputs', name=tr(loss.name))}**")
    try:
        programs = {library: snippet(loss, library, inputs, params) for library in LIBRARIES}
    except ValueError as error:
        # What is wrong with the inputs is wrong with them in every library.
        st.info(str(error), icon=":material/error:")
        return
    for tab, (library, name) in zip(st.tabs(list(LIBRARIES.values())), LIBRARIES.items(), strict=True):
        program = programs[library]
        if program:
            tab.code(program, language="python")
        else:
            tab.info(tr("{library} does not have this loss.", library=name))
    if loss.code.note:
        st.caption(tr(loss.code.note))
