"""The runs page's pieces: the list, the comparison, what can be taken along, deletion with undo."""

from collections.abc import Sequence
from statistics import fmean

import pandas as pd
import streamlit as st

from lossviz.figures.comparison import overlay
from lossviz.live.service import service
from lossviz.runs import STATUSES, Point, Run, StoreError, to_csv, to_json
from lossviz.ui.components import person
from lossviz.ui.training import names, status_word
from lossviz.ui.words import tr

_ROW = 35
"""Pixels a row of Streamlit's tables."""
_LONG = 60
"""Characters of a typed formula in the table."""
_METRICS = {
    "test_accuracy": "Test accuracy (10,000 images)",
    "test_accuracy_sample": "Test accuracy (1,000 images)",
    "train_loss": "Train loss",
    "test_loss": "Test loss",
    "grad_norm": "Gradient norm",
}


def body() -> None:
    """Show the whole page; run again every two seconds while a run is under way."""
    undo()
    chosen = listing()
    if chosen:
        downloads(chosen)
    if len(chosen) > 1:
        compare(chosen)


def under_way() -> bool:
    """Say whether any run waits or trains."""
    store = service().store
    return bool(store.runs(status="running", limit=1) or store.runs(status="queued", limit=1))


def listing() -> list[Run]:
    """Show the filters and the table; return the runs that are ticked."""
    words, state, owner = st.columns([3, 2, 1], vertical_alignment="bottom")
    text = words.text_input(
        tr("Search"), key="search", placeholder=tr("a loss, a network, an optimiser, a run's id"), max_chars=200
    )
    status = state.selectbox(
        tr("Status"),
        STATUSES,
        index=None,
        key="status",
        placeholder=tr("any"),
        format_func=status_word,
    )
    mine = owner.toggle(tr("Only mine"), key="mine")
    runs = service().store.runs(owner=person() if mine else None, status=status, text=text)
    if not runs:
        if text or status or mine:
            st.info(tr("No run fits. Clear the filters to see all."), icon=":material/filter_alt_off:")
        else:
            st.info(tr("No runs yet."), icon=":material/hourglass_empty:")
            st.page_link("train.py", label=tr("Train the first one"), icon=":material/model_training:")
        return []
    event = st.dataframe(
        _table(runs),
        key="table",
        hide_index=True,
        height=min(_ROW * (len(runs) + 1) + 3, 10 * _ROW),
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            "open": st.column_config.LinkColumn(tr("Run"), display_text=tr("Open")),
            "progress": st.column_config.ProgressColumn(tr("Progress"), min_value=0.0, max_value=1.0, format="percent"),
            "created": st.column_config.DatetimeColumn(
                tr("Started"), format="YYYY-MM-DD HH:mm", timezone=st.context.timezone
            ),
            "accuracy": st.column_config.TextColumn(tr("Test accuracy")),
            "losses": st.column_config.TextColumn(tr("Losses"), width="large"),
            "status": st.column_config.TextColumn(tr("Status")),
            "model": st.column_config.TextColumn(tr("Network")),
            "settings": st.column_config.TextColumn(tr("Settings")),
            "mine": st.column_config.CheckboxColumn(tr("Mine")),
            "message": st.column_config.TextColumn(tr("Note")),
        },
    )
    return [runs[row] for row in event["selection"]["rows"] if row < len(runs)]


def compare(runs: Sequence[Run]) -> None:
    """Overlay the chosen runs' curves."""
    metric = st.selectbox(
        tr("Compare by"), list(_METRICS), format_func=lambda name: tr(_METRICS[name]), key="metric", width=320
    )
    lines: list[tuple[str, list[float], list[float]]] = []
    for run in runs:
        points = [point for point in service().store.points(run.id) if point.metric == metric]
        for place, name in enumerate(names(run.spec)):
            own = _by_step(run, points, place)
            epochs = [step / run.spec.steps_per_epoch for step in own]
            parts = [name, *([tr("mean of {count} seeds", count=run.spec.seeds)] if run.spec.seeds > 1 else [])]
            lines.append((" · ".join([*parts, run.spec.model, run.id[:5]]), epochs, list(map(fmean, own.values()))))
    st.plotly_chart(overlay(lines, tr("Epoch"), tr(_METRICS[metric])), key="comparison")


def _by_step(run: Run, points: Sequence[Point], place: int) -> dict[int, list[float]]:
    """The values of the loss at ``place``, one for each seed that has one at that step."""
    places = [member.place for member in run.spec.members()]
    found: dict[int, list[float]] = {}
    for point in points:
        if places[point.member] == place:
            found.setdefault(point.step, []).append(point.value)
    return found


def downloads(runs: Sequence[Run]) -> None:
    """Offer the chosen runs as CSV and JSON, and the deletion of one's own."""
    store = service().store
    with st.container(horizontal=True):
        for run in runs[:4]:
            for kind, mime, write in (("csv", "text/csv", to_csv), ("json", "application/json", to_json)):
                st.download_button(
                    tr("{run} as {kind}", run=run.id[:5], kind=kind.upper()),
                    data=lambda run=run, write=write: write(run, store.points(run.id)),
                    file_name=f"lossviz-{run.id}.{kind}",
                    mime=mime,
                    key=f"{run.id}.{kind}",
                    icon=":material/download:",
                    on_click="ignore",
                )
        own = [run for run in runs if run.owner == person()]
        st.button(
            tr("Delete {count} of mine", count=len(own)) if own else tr("Delete"),
            key="delete",
            icon=":material/delete:",
            disabled=not own,
            help=None if own else tr("Only its owner may delete a run."),
            on_click=_delete,
            args=([run.id for run in own],),
        )


def undo() -> None:
    """Offer to take the last deletion back."""
    if gone := st.session_state.get("deleted"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(tr("{count} deleted.", count=len(gone)))
            st.button(tr("Undo"), key="undo", icon=":material/undo:", on_click=_restore, args=(gone,))


def _delete(runs: list[str]) -> None:
    ours = service()
    try:
        for run_id in runs:
            if not ours.store.get(run_id).over:
                ours.queue.stop_run(run_id)
            ours.store.delete(run_id, person())
    except (StoreError, ValueError) as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.session_state["deleted"] = runs


def _restore(runs: list[str]) -> None:
    for run_id in runs:
        service().store.restore(run_id, person())
    st.session_state["deleted"] = []


def _table(runs: Sequence[Run]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "open": [f"train?run={run.id}" for run in runs],
            "status": [status_word(run.status) for run in runs],
            "losses": [", ".join(names(run.spec, _LONG)) for run in runs],
            "accuracy": [_accuracy(run) for run in runs],
            "model": [run.spec.model for run in runs],
            "settings": [_settings(run) for run in runs],
            "progress": [run.step / run.total_steps for run in runs],
            "created": pd.to_datetime([run.created for run in runs], unit="s", utc=True),
            "mine": [run.owner == person() for run in runs],
            "message": [run.message for run in runs],
        }
    )


def _accuracy(run: Run) -> str:
    """One number a loss; where it has seeds their mean, with the lowest and the highest."""
    latest = service().store.latest(run.id, "test_accuracy")
    shown: list[str] = []
    for place in range(len(run.spec.losses)):
        members = [number for number, member in enumerate(run.spec.members()) if member.place == place]
        values = [latest[number].value for number in members if number in latest]
        text = f"{fmean(values):.4f}" if values else "–"
        shown.append(f"{text} ({min(values):.4f}–{max(values):.4f})" if len(values) > 1 else text)
    return ", ".join(shown)


def _settings(run: Run) -> str:
    spec = run.spec
    seeds = f"seeds {spec.seed} to {spec.seed + spec.seeds - 1}" if spec.seeds > 1 else f"seed {spec.seed}"
    parts = [f"{spec.optimizer} {spec.learning_rate:g}", f"batch {spec.batch_size}", f"{spec.epochs} epochs", seeds]
    if spec.schedule != "constant":
        parts.append(spec.schedule)
    if spec.weight_decay:
        parts.append(f"weight decay {spec.weight_decay:g}")
    if spec.clip:
        parts.append(f"gradient up to {spec.clip:g}")
    return ", ".join(parts)
