"""What a study must say before people may be asked: `bapps-collect serve` refuses it until then."""

from collection_app.errors import StudyError
from collection_app.studies.study import FILL_IN, Study, Terms

# What the consent must tell people, by its name there: what GDPR, Article 13, asks for, and what they are paid.
TOLD = (
    "controller",
    "ethics",
    "purposes",
    "legal_basis",
    "stored",
    "recipients",
    "transfer",
    "publishing",
    "retention",
)
TOLD += ("rights", "withdrawing", "complaint", "minutes", "pay")


def missing(study: Study) -> list[str]:
    """Everything that keeps a study from being served, each with the name of its setting; empty if it is ready."""
    terms = study.terms
    texts = {f"terms.{name}": value for name, value in terms.model_dump().items() if isinstance(value, str)}
    del texts["terms.stored"]  # empty, it is made of what the database holds
    texts |= {"title": study.title, "contact": study.contact, "consent": study.consent}
    found = [f"{name}: fill it in" for name, value in texts.items() if not value or FILL_IN in value]
    found += _money(terms)
    if not terms.adults_only:
        found.append("terms.adults_only: only people of 18 and over may be asked; set it to true and see to it")
    if "18" not in study.consent:
        found.append("consent: does not say that people must be 18 or older")
    found += [
        f"consent: does not tell {{{name}}}"
        for name in TOLD
        if f"{{{name}}}" not in study.consent and study.told[name] not in study.consent
    ]
    return found + study.platform.problems(study.outcomes.needed())


def _money(terms: Terms) -> list[str]:
    found = [
        f"terms.{name}: fill it in" for name in ("minutes", "pay", "least_per_hour") if not getattr(terms, name) > 0
    ]
    if not found and terms.per_hour < terms.least_per_hour:
        found.append(
            f"terms.pay: {terms.pay:g} {terms.currency} for {terms.minutes:g} minutes is {terms.per_hour:.2f} an hour, "
            f"less than least_per_hour, {terms.least_per_hour:.2f}"
        )
    return found


def require_ready(study: Study) -> None:
    """Raise StudyError, naming everything that is missing, unless a study may be served."""
    if problems := missing(study):
        raise StudyError(
            f"{study.name}: not ready for people: {'; '.join(problems)} "
            "(`serve --rehearsal` serves it as it is, and marks every session as simulated)"
        )
