"""A run to take with you: CSV for a table program, JSON for everything else."""

import csv
import io
import json
import math
from collections.abc import Iterable
from typing import Any

from lossviz.runs.store import Point, Run

COLUMNS = ("run", "member", "loss", "params", "seed", "step", "metric", "value")


def to_csv(run: Run, points: Iterable[Point]) -> str:
    """One line a point, in order of arrival; numbers in full, as ``nan`` and ``inf`` where they are that."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    params = [json.dumps(dict(choice.params)) for choice in run.spec.losses]
    members = run.spec.members()
    for point in points:
        member = members[point.member]
        who = (run.id, point.member, member.loss, params[member.place], member.seed)
        rows.writerow((*who, point.step, point.metric, repr(point.value)))
    return text.getvalue()


def to_json(run: Run, points: Iterable[Point]) -> str:
    """The run with its spec (which ``RunSpec.parse`` reads) and its points as ``[member, step, metric, value]``."""
    return json.dumps(
        {
            "run": run.id,
            "status": run.status,
            "message": run.message,
            "created": run.created,
            "started": run.started,
            "finished": run.finished,
            "device": run.device,
            "threads": run.threads,
            "bridges": run.bridges,
            "way": run.way,
            "total_steps": run.total_steps,
            "members": [{"loss": member.loss, "seed": member.seed} for member in run.spec.members()],
            "spec": run.spec.to_json(),
            "points": [[p.member, p.step, p.metric, json_number(p.value)] for p in points],
        },
        allow_nan=False,
        indent=1,
    )


def json_number(value: float) -> float | str:
    """JSON has no word for NaN and the infinities: they become ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def summary(run: Run) -> dict[str, Any]:
    """What a list of runs shows of one, as JSON values."""
    return {
        "run": run.id,
        "status": run.status,
        "message": run.message,
        "losses": [choice.label() for choice in run.spec.losses],
        "model": run.spec.model,
        "optimizer": run.spec.optimizer,
        "epochs": run.spec.epochs,
        "seed": run.spec.seed,
        "seeds": run.spec.seeds,
        "step": run.step,
        "total_steps": run.total_steps,
        "created": run.created,
        "finished": run.finished,
        "device": run.device,
    }
