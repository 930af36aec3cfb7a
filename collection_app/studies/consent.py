"""What people consent to, until a study file has words of its own: all that GDPR, Article 13, asks for."""

from collection_app.studies.study import FILL_IN

CONSENT = """\
You will be asked about small pictures. There are no right or wrong opinions.

It takes about {minutes} minutes, and you are paid {pay}; if you stop early, for the part you did. You must be 18 or
older. Taking part is voluntary: nothing obliges you to tell us anything, and you can stop at any time with the button
on every page.

**Who is responsible:** {controller} Questions: {contact} Ethics: {ethics}

**What for:** {purposes} {legal_basis}

**What we store of you** (who you are apart from all else, which knows you by a pseudonym):

{stored}

**Who gets it:** {recipients} {transfer} {publishing}

**How long:** {retention}

**Your rights:** {rights} {complaint}

**If you change your mind:** {withdrawing}

Programs check answers and decide which of them are used. They never decide that you are not paid.
"""
TERMS = {
    "controller": f"{FILL_IN}: institution and address, and its data protection officer if it has one.",
    "ethics": f"{FILL_IN}: approval with board and number, or why none is needed.",
    "purposes": "We study how alike pictures look to people, and build and test programs that predict it.",
    "legal_basis": f"{FILL_IN}: such as: The legal basis is your consent (GDPR, Article 6(1)(a)).",
    "recipients": f"{FILL_IN}: such as: The research team and the host of our server. The platform that you come from "
    "learns how you ended and what you are paid.",
    "transfer": f"{FILL_IN}: such as: Nothing that says who you are leaves the European Union.",
    "publishing": "Your answers will be published under a pseudonym, without anything that says who you are.",
    "retention": f"{FILL_IN}: how long what is kept, such as: Who you are is deleted 30 days after the study.",
    "rights": "You may ask us what we have stored of you and for a copy, have it corrected or deleted, have its use "
    "restricted, object to it, or take it elsewhere. Write to {contact}.",
    "withdrawing": "Stop with the button on every page, and the answers given until then are not used. Until "
    "{erasure_days} days after the study is closed you can also withdraw later: write to {contact} and name your id on "
    "the platform that you come from; we then delete what leads to you and, if you wish, your answers. What was done "
    "until then stays lawful, and what was published cannot be called back.",
    "complaint": f"{FILL_IN}: such as: You may complain to a data protection authority, ours is ... with its address.",
}
