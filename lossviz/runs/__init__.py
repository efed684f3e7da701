"""Runs: what one is (``RunSpec``), where they are kept (``Store``), how they leave (``to_csv``, ``to_json``)."""

from lossviz.runs.export import json_number, summary, to_csv, to_json
from lossviz.runs.spec import ARTICLE, MAX_LOSSES, MAX_SEEDS, MODELS, OPTIMIZERS, SCHEDULES, LossChoice, Member, RunSpec
from lossviz.runs.store import OVER, STATUSES, Measured, Point, Run, Status, Store, StoreError, default_path

__all__ = [
    "ARTICLE",
    "MAX_LOSSES",
    "MAX_SEEDS",
    "MODELS",
    "OPTIMIZERS",
    "OVER",
    "SCHEDULES",
    "STATUSES",
    "LossChoice",
    "Measured",
    "Member",
    "Point",
    "Run",
    "RunSpec",
    "Status",
    "Store",
    "StoreError",
    "default_path",
    "json_number",
    "summary",
    "to_csv",
    "to_json",
]
