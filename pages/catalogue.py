"""Catalogue: every loss as a small live curve; and one loss with its derivation, properties, libraries and code."""

import streamlit as st

from lossviz.ui.catalogue import chosen, entry, gallery, head, inputs_now
from lossviz.ui.code import write_code
from lossviz.ui.words import tr

state, problems = chosen()
for problem in problems:
    st.warning(problem, icon=":material/error:")
if state:
    loss = state.losses[0]
    head(loss)
    entry(state)
    write_code(loss, inputs_now(state), state.params[loss.key])
else:
    st.markdown(f"**{tr('Move over a curve to feel it; open one to see how it is made and what it keeps.')}**")
    gallery()
