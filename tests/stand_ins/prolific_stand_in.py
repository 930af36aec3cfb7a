"""Prolific's side, as far as this project speaks to it: submissions, approving, bonuses - and faults on demand."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, request

TOKEN = "token"


@dataclass
class Prolific:
    """What it holds, and what it was asked.

    Attributes
    ----------
    submissions : dict of id to record
    paid : Counter
        Hundredths that each submission was really paid, approvals counted as "approved".
    faults : list of (part of a path, what happens)
        Each is used up once: "refuse" (400), "fail" (500 and nothing done), "fail after" (done, then 500),
        "drop" (done, then no reply).
    """

    submissions: dict[str, dict[str, Any]] = field(default_factory=dict)
    bonuses: dict[str, tuple[str, int]] = field(default_factory=dict)
    paid: Counter[str] = field(default_factory=Counter)
    approved: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def fault(self, path: str) -> str:
        for place, (part, what) in enumerate(self.faults):
            if part in path:
                del self.faults[place]
                return what
        return ""

    def app(self) -> Flask:
        app = Flask("prolific")

        @app.before_request
        def allowed() -> Any:
            self.asked.append(f"{request.method} {request.path}")
            if request.headers.get("Authorization") != f"Token {TOKEN}":
                return {"error": "who are you?"}, 401
            request.environ["fault"] = what = self.fault(request.path)
            if what == "refuse":
                return {"error": "no"}, 400
            if what == "fail":
                return {"error": "oh"}, 500
            return None

        @app.after_request
        def broken(response: Any) -> Any:
            what = request.environ.get("fault")
            if what == "fail after":
                response.status_code = 500
            if what == "drop":
                # Less than was promised, and the connection closed: the client never sees a whole reply.
                response.headers["Content-Length"] = str(response.content_length + 100)
            return response

        @app.get("/api/v1/submissions/")
        def listed() -> Any:
            page, size = int(request.args["page"]), int(request.args["page_size"])
            rows = [row for row in self.submissions.values() if row["study_id"] == request.args["study"]]
            return {"results": rows[(page - 1) * size : page * size]}

        @app.get("/api/v1/submissions/<name>/")
        def one(name: str) -> Any:
            return self.submissions.get(name, ({"error": "none"}, 404))

        @app.post("/api/v1/submissions/<name>/transition/")
        def transition(name: str) -> Any:
            if self.submissions[name]["status"] != "AWAITING REVIEW" or request.json != {"action": "APPROVE"}:
                return {"error": "not now"}, 400
            self.submissions[name]["status"] = "APPROVED"
            self.approved[name] += 1
            return self.submissions[name]

        @app.post("/api/v1/submissions/bonus-payments/")
        def set_up() -> Any:
            body: Any = request.json
            name, amount = body["csv_bonuses"].split(",")
            if name not in self.submissions or self.submissions[name]["study_id"] != body["study_id"]:
                return {"error": "no such submission"}, 400
            made = f"bonus{len(self.bonuses)}"
            self.bonuses[made] = (name, round(float(amount) * 100))
            return {"id": made, "total_amount": self.bonuses[made][1]}

        @app.post("/api/v1/bulk-bonus-payments/<name>/pay/")
        def pay(name: str) -> Any:
            submission, amount = self.bonuses[name]
            self.paid[submission] += amount  # again pays again
            return {}, 202

        return app
