"""The participants' page: one document, whose parts static/study/ shows in turn.

The server renders all words and the consent text; scripts talk to /api. The content policy allows no inline
script or style, and no text to become markup.
"""

from collections.abc import Mapping

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from markdown_it import MarkdownIt

from collection_app.participants.texts_catalogue import choose
from collection_app.platforms.platform import ArrivalError, CannotTell
from collection_app.signing import digest
from collection_app.studies.study import Study
from collection_app.tasks.task_module import TaskModule
from collection_app.web.served_study import running

blueprint = Blueprint("pages", __name__)

_MARKDOWN = MarkdownIt("commonmark", {"html": False})
# What scripts put in while the page is open; all else is in the document.
_SPOKEN = ("bar", "device", "done", "problem", "stuck", "trial", "welcome", "withdraw")


def of_task(task: TaskModule) -> Blueprint:
    """The page and the script of a task, which its folder holds: addresses are as paths in this package."""
    where = task.package.rpartition(".")[2]
    return Blueprint(
        "task",
        task.package,
        template_folder="templates",
        static_folder="static",
        static_url_path=f"/tasks/{where}/static",
    )


@blueprint.get("/")
def study_page() -> ResponseReturnValue:
    """Give the page."""
    study = running().study
    # The consent is in one language, and so is all around it, whatever browser or address ask for.
    language = choose(study.language, study.task)
    state, person = "", ""
    try:
        visitor = study.platform.visitor(request.args, "")
        if visitor is None:
            state = "preview"
        else:
            person = digest(f"{study.name}\0{study.version}\0{visitor.external_id}")[:32]
    except CannotTell:
        state = "unchecked"  # which asks for itself again
    except ArrivalError:
        state = "refused"
    page = render_template(
        "page.html",  # of the study's task, see `of_task`
        study=study,
        language=language.language,
        text=language.text,
        spoken=language.of(*_SPOKEN),
        consent=_MARKDOWN.render(study.consent_text),
        total=_trials(study),
        practice=_practice(study),
        state=state,
        # What this browser keeps is filed under this: neither the id nor the pseudonym.
        person=person,
    )
    return _guarded(make_response(page, {"refused": 400, "unchecked": 503}.get(state, 200)), study)


def _practice(study: Study) -> int:
    return sum(study.practice.values())


def _trials(study: Study) -> int:
    """How many trials a session has at most."""
    return _practice(study) + study.items_per_session + sum(rule.count for rule in study.sentinels.rules)


def _guarded(response: Response, study: Study) -> Response:
    """Add the content policy, and cross-origin isolation where the page is not in a frame of somebody else."""
    framed_by = study.platform.frame_ancestors
    response.headers["Content-Security-Policy"] = policy(
        {
            "default-src": ["'none'"],
            "script-src": ["'self'"],
            "style-src": ["'self'"],
            "img-src": ["'self'"],
            "connect-src": ["'self'"],
            "base-uri": ["'none'"],
            "form-action": list(study.platform.form_targets) or ["'none'"],
            "frame-ancestors": list(framed_by) or ["'none'"],
            "require-trusted-types-for": ["'script'"],
            "trusted-types": ["'none'"],
        }
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    if not framed_by:
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Embedder-Policy"] = "require-corp"
    return response


def policy(rules: Mapping[str, list[str]]) -> str:
    """Write a content security policy."""
    return "; ".join(" ".join((name, *values)) for name, values in rules.items())
