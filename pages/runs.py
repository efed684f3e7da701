"""Runs: everything trained here, to compare, take along or delete."""

import streamlit as st

from lossviz.ui.runs import body, under_way
from lossviz.ui.words import tr

st.markdown(f"**{tr('Tick runs to compare them, take them along or delete your own.')}**")
st.fragment(body, run_every=2.0 if under_way() else None)()
