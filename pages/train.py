"""Train: choose losses and a network, press Train, watch the curves arrive."""

import streamlit as st

from lossviz.language import FormulaError
from lossviz.live.service import service
from lossviz.runs import ARTICLE, RunSpec, StoreError
from lossviz.training import validate
from lossviz.ui.components import person
from lossviz.ui.training import bridges, fill_form, follow, form, is_article, open_form, preview
from lossviz.ui.words import tr

ours = service()
run, missing = None, False
if run_id := st.query_params.get("run"):
    try:
        run = ours.store.get(run_id)
        missing = run.deleted is not None
    except KeyError:
        missing = True
problem = open_form(run)

with st.sidebar:
    st.button(
        tr("The article's experiment"),
        key="article",
        icon=":material/article:",
        width="stretch",
        on_click=fill_form,
        args=(ARTICLE,),
        help=tr("A softmax layer 784 → 10, Adam at 0.001, batches of 32, 10 epochs."),
    )
    wanted = form()
    pressed = st.button(tr("Train"), key="train", type="primary", icon=":material/play_arrow:", width="stretch")
    if ours.queue.device:
        st.caption(tr("Trains on {device}.", device=ours.queue.device))
    else:
        st.caption(tr("The worker is warming up; a run pressed now begins when it is ready."))

if pressed:
    try:
        run = ours.queue.submit(RunSpec.parse(wanted), person())
    except (ValueError, StoreError) as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.query_params.from_dict({"run": run.id})
        missing = False

if problem:
    st.warning(problem, icon=":material/error:")
if ours.queue.problem:
    st.error(ours.queue.problem, icon=":material/error:")
if missing:
    st.warning(tr("There is no such run; it may have been deleted. Train a new one on the left."))
elif run:
    st.markdown(f"**{tr('Which loss learns fastest, and which one ends best?')}**")
    follow(run)
    if is_article(run.spec):
        st.info(
            tr(
                "The article prints a test accuracy of 0.99 from the third epoch on. A softmax layer does not get "
                "there: at these settings it ends between 0.920 and 0.930, as you can measure here."
            ),
            icon=":material/science:",
        )
    bridges(run.spec)
else:
    st.markdown(f"**{tr('Choose losses on the left and press Train: what does each do to the same network?')}**")
    try:
        spec = RunSpec.parse(wanted)
        validate(spec)
    except FormulaError:
        st.info(tr("Mend the formula on the left."), icon=":material/arrow_back:")
    except ValueError as error:
        if not pressed:
            st.warning(str(error), icon=":material/error:")
    else:
        preview(spec)
        st.caption(
            tr(
                "All losses start from the same weights and see the same batches of real MNIST digits, "
                "so whatever differs in the curves is the loss's doing."
            )
        )
        bridges(spec)
