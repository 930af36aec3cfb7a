"""/metrics, in the text format of Prometheus, for who has the token of the settings; without a token it is not there.

All numbers come from the database, so that any process gives the same, and none names a person or a session.
"""

import hmac
from collections.abc import Iterator

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from collection_app.database.connections import read
from collection_app.reporting.status import Status, status
from collection_app.studies.study import Study
from collection_app.web.http_errors import Stop
from collection_app.web.served_study import running

_PREFIX = "bapps_collect"


def blueprint(token: str) -> Blueprint:
    """Make the page for holders of a token."""
    pages = Blueprint("prometheus", __name__)

    @pages.get("/metrics")
    def metrics() -> ResponseReturnValue:
        """Give the study's counters."""
        if not token:
            raise Stop(404, "not_found", "not found")
        scheme, _, token_of_request = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(token_of_request.encode(), token.encode()):
            raise Stop(401, "token", "/metrics needs its token, as `Authorization: Bearer TOKEN`")
        run = running()
        figures = read(run.engine, lambda connection: status(connection, run.study_id, now=run.clock()))
        body = exposition(run.study, figures)
        return Response(body, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})

    return pages


def exposition(study: Study, figures: Status) -> bytes:
    """Write a study's state in the text format."""
    registry = CollectorRegistry()
    registry.register(_Families(study, figures))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, study: Study, figures: Status) -> None:
        self._study, self._figures = study, figures

    def collect(self) -> Iterator[Metric]:
        """Give every family of numbers."""
        study, figures = self._study, self._figures
        yield InfoMetricFamily(
            f"{_PREFIX}_study",
            "The study that is served",
            {"name": study.name, "version": str(study.version), "task": study.task},
        )
        yield CounterMetricFamily(f"{_PREFIX}_answers", "Answers stored, used or not", figures.answers)
        yield CounterMetricFamily(f"{_PREFIX}_failed_exposures", "Answers to a bad exposure", figures.failed)
        yield GaugeMetricFamily(f"{_PREFIX}_answers_per_minute", "Over the last five minutes", figures.rate)
        yield GaugeMetricFamily(f"{_PREFIX}_spoiled_trials", "Trials whose every exposure was bad", figures.spoiled)
        yield GaugeMetricFamily(f"{_PREFIX}_places_under_way", "Places whose trial is still open", figures.under_way)
        yield GaugeMetricFamily(f"{_PREFIX}_sessions_excluded", "Sessions whose answers are not used", figures.excluded)
        yield GaugeMetricFamily(f"{_PREFIX}_sessions_simulated", "Sessions of programs", figures.simulated)
        yield _by(figures.sessions, "sessions", "Sessions by state", "state")
        yield _by(figures.pay, "sessions_pay", "Sessions by what the rules suggest to pay", "verdict")
        yield _by(figures.payments, "payments", "Payments by state", "state")
        sets = figures.sets
        yield _by({part.name: part.items for part in sets}, "items", "Test items of a set", "set")
        yield _by({part.name: part.done for part in sets}, "items_done", "Test items with all their answers", "set")
        yield _by({part.name: part.wanted for part in sets}, "places", "Answers wanted in a set", "set")
        yield _by({part.name: part.filled for part in sets}, "places_filled", "Answers that count or come", "set")
        rules = GaugeMetricFamily(
            f"{_PREFIX}_sessions_judged", "Sessions by rule about use, kept or broken", labels=["rule", "result"]
        )
        for rule in figures.rules:
            rules.add_metric([rule.rule, "kept"], rule.kept)
            rules.add_metric([rule.rule, "broken"], rule.broken)
        yield rules


def _by(numbers: dict[str, int], name: str, text: str, label: str) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family
