"""How long sessions really took, from arrival to end, and what their pay comes to an hour."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, select

from collection_app.database.models import Identity, Participant, Session
from collection_app.database.models import Study as StudyRow
from collection_app.sessions.declining import NO_CONSENT
from collection_app.sessions.steps import WITHDRAWN
from collection_app.sessions.vouching import OUTCOME as MADE_UP

_MINUTE_MS = 60_000
# How people are turned away, or leave, who are asked to return the work, or are paid by share.
_UNPAID = (WITHDRAWN, NO_CONSENT, MADE_UP)
# Of people who are known: the times of those who were erased are rounded to the day.
_LONG = (
    select(Session.state, Session.outcome, Session.finished_at - Session.arrived_at)
    .join(Participant, Participant.id == Session.participant_id)
    .join(Identity, Identity.participant_id == Participant.id)
    .where(
        Participant.study_id == bindparam("study_id"), Session.finished_at.is_not(None), Session.outcome.is_not(None)
    )
)
_SETTINGS = select(StudyRow.settings).where(StudyRow.id == bindparam("study_id"))


@dataclass(frozen=True)
class Duration:
    """How long the sessions of one outcome took.

    Attributes
    ----------
    outcome : str
    sessions : int
    quarter, median, three_quarters : float
        Minutes in which a quarter, half and three quarters of them were done.
    per_hour : float or None
        What the pay of this outcome comes to an hour in the median session; None where it is a share, or nothing.
    promised : float
        What `pay` for `minutes` was to come to at least.
    currency : str
    """

    outcome: str
    sessions: int
    quarter: float
    median: float
    three_quarters: float
    per_hour: float | None
    promised: float
    currency: str

    @property
    def too_little(self) -> bool:
        """Whether half of the people got less an hour than was promised."""
        return self.per_hour is not None and self.per_hour < self.promised


def durations(connection: Connection, study_id: int) -> tuple[Duration, ...]:
    """Sum up how long the sessions of each outcome took, those first that are many."""
    terms = json.loads(connection.scalars(_SETTINGS, {"study_id": study_id}).one() or "{}").get("terms", {})
    found: dict[tuple[str, str], list[int]] = {}
    for state, outcome, took in connection.execute(_LONG, {"study_id": study_id}):
        found.setdefault((state, str(outcome)), []).append(took)
    made = [_duration(terms, state, outcome, took) for (state, outcome), took in found.items()]
    return tuple(sorted(made, key=lambda one: (-one.sessions, one.outcome)))


def _duration(terms: Mapping[str, Any], state: str, outcome: str, took: list[int]) -> Duration:
    quarter, median, three_quarters = (float(q) for q in np.quantile(np.asarray(took) / _MINUTE_MS, (0.25, 0.5, 0.75)))
    pay = {"complete": terms.get("pay", 0), "turned away": terms.get("turned_away_pay", 0)}.get(state, 0)
    if outcome in _UNPAID:
        pay = 0
    per_hour = pay * 60 / median if pay and median > 0 else None
    least, currency = terms.get("least_per_hour", 0), terms.get("currency", "")
    return Duration(outcome, len(took), quarter, median, three_quarters, per_hour, least, currency)
