"""Results as objects for Python: they print as the commands do, show as tables in a notebook, and give data frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.report import score_tables
from analysis.report.evidence_tables import sections_of
from analysis.report.tables import Section, as_text
from analysis.scoring.distances import distance_table
from analysis.scoring.score import ScoreReport
from analysis.scoring.score_evidence import Key

SCORE_COLUMNS = ("task", "set", "metric", "measure", "score", "low", "high")


@dataclass(frozen=True)
class Scores:
    """Scores of metrics; printed as `bapps-score` does.

    Attributes
    ----------
    report : ScoreReport
        Everything that was found, as records.
    sections : sequence of Section
        What was asked for beside the scores: intervals, comparisons, groups of items.
    """

    report: ScoreReport
    sections: Sequence[Section]

    @classmethod
    def of(cls, report: ScoreReport) -> "Scores":
        """Show a report; BappsError if the items' facts do not include what it is asked to be divided by."""
        return cls(report, tuple(sections_of(report)))

    @property
    def items(self) -> pd.DataFrame:
        """The distances of every item and what people said: task, metric, set, id, d0, d1, judge or distance, same."""
        tables = [distance_table([result]) for result in self.report.results]
        for table, result in zip(tables, self.report.results, strict=True):
            table.insert(0, "task", result.task)
        return pd.concat(tables, ignore_index=True)

    def to_frame(self) -> pd.DataFrame:
        """One row a score: task, set, metric, measure, score, low, high.

        Scores are in [0, 1]. `low` and `high` are the ends of the interval, NaN where none was asked for or there is
        none. A row may be about people ("human ...") or about a mean over sets ("mean of ...").
        """
        intervals = self.report.intervals if self.report.evidence.ci else {}
        rows = []
        for row in self.report.scores:
            estimate = intervals.get(Key(row.task, row.metric, row.measure, row.set))
            ends = (estimate.low, estimate.high) if estimate else (float("nan"), float("nan"))
            rows.append((row.task, row.set, row.metric, row.measure, row.value, *ends))
        return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))

    def __str__(self) -> str:
        return score_tables.as_text(self.report, self.sections)

    def __repr__(self) -> str:
        metrics = list(dict.fromkeys(name for result in self.report.results for name in result.metrics))
        return f"<Scores of {', '.join(metrics)} on {self.report.data}>"

    def _repr_html_(self) -> str:
        return score_tables.as_html(self.report, self.sections)


@dataclass(frozen=True)
class Sections:
    """Titled tables; printed as the commands do.

    Attributes
    ----------
    sections : sequence of Section
    """

    sections: Sequence[Section]

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """The tables by their titles; shares in [0, 1], a range as a pair."""
        return {one.title: pd.DataFrame(one.as_record()["rows"]) for one in self.sections}

    def __str__(self) -> str:
        return as_text(self.sections)

    def __repr__(self) -> str:
        return f"<Sections {', '.join(one.title for one in self.sections)}>"

    def _repr_html_(self) -> str:
        return "\n".join(map(score_tables.section_as_html, self.sections))
