"""Home: one live loss already moving, and the doors."""

import streamlit as st

from lossviz.losses import CATALOGUE
from lossviz.scenes.state import parse
from lossviz.ui.explore import stage
from lossviz.ui.words import tr

st.title(tr("Take hold of a loss function"), anchor=False)
st.markdown(tr("Drag the orange point: see what each loss charges for the error, and how hard it pulls back."))
opening, _ = parse({"scene": "regression", "loss": "mse,mae,huber", "pred": "3"}, CATALOGUE)
stage(opening, hero=True, key="hero")
doors = st.columns(3)
with doors[0].container(border=True):
    st.page_link("explore.py", label=f"**{tr('Explore')}**", icon=":material/touch_app:")
    st.markdown(tr("Drag predictions and labels; curves, surfaces and exact gradients follow your finger."))
with doors[1].container(border=True):
    st.page_link("catalogue.py", label=f"**{tr('Catalogue')}**", icon=":material/grid_view:")
    st.markdown(tr("Every loss as a live curve, with derivation, properties and what other libraries make of it."))
with doors[2].container(border=True):
    st.page_link("train.py", label=f"**{tr('Train')}**", icon=":material/model_training:")
    st.markdown(tr("Press Train and watch what a loss does to a real network on MNIST, side by side with others."))
