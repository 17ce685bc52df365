"""Tells the helpdesk which customer an email address belongs to."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import Flask, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

SECRET = os.environ.get("LOOKUP_SECRET", "").encode()
SIGNING_KEY_BYTES = range(24, 65)  # standardwebhooks.com
SIGNED_SECONDS_AGO = 5 * 60  # at most: a request that somebody recorded cannot be sent again later
PORT = int(os.environ.get("LOOKUP_PORT", "8103"))
DATABASE = Path(os.environ.get("LOOKUP_DATABASE", Path(__file__).with_name("customers.sqlite3"))).resolve()
BADGES = {"enterprise": ("Enterprise", "green"), "business": ("Business", "blue"), "trial": ("Trial", "yellow")}

if not SECRET:
    sys.exit("Set LOOKUP_SECRET to the header value that you gave the connector.")


def signing_key(text: str) -> bytes | None:
    """None where signatures are not checked; a key that is cut off or mistyped must not be taken for that."""
    if not text:
        return None
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) not in SIGNING_KEY_BYTES:
        sys.exit("LOOKUP_SIGNING_KEY is no signing key: copy all of it, from whsec_ to its end.")
    return key


SIGNING_KEY = signing_key(os.environ.get("LOOKUP_SIGNING_KEY", ""))

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 16 * 1024


@app.route("/lookup", methods=["POST"], provide_automatic_options=False)
def lookup() -> Response:
    """Read nothing before the secret is right, because anyone on the internet can send a request."""
    # A plain == would tell by its timing how many characters were right; bytes, because text that is not ASCII would raise.
    if not hmac.compare_digest(request.headers.get("X-Api-Key", "").encode("latin-1"), SECRET):
        abort(401, "X-Api-Key is missing or wrong.")
    if SIGNING_KEY is not None and not is_signed(SIGNING_KEY, request.get_data()):
        abort(401, "The signature is missing or wrong.")
    question = request.get_json(force=True, silent=True)
    email = question.get("email") if isinstance(question, dict) else None
    if not isinstance(email, str):
        abort(400, 'Send a JSON object with a string "email".')
    # Not jsonify, which sorts the keys: the panel shows the fields in the order in which they come.
    return Response(json.dumps(answer(customer_by_email(email))), mimetype="application/json")


def is_signed(key: bytes, body: bytes) -> bool:
    """Whether the helpdesk signed exactly these bytes, and just now (standardwebhooks.com)."""
    message, moment, signatures = (request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not re.fullmatch("[0-9]{1,12}", moment) or abs(time.time() - int(moment)) > SIGNED_SECONDS_AGO:
        return False
    signature = hmac.digest(key, f"{message}.{moment}.".encode("latin-1") + body, "sha256")
    expected = b"v1," + base64.b64encode(signature)
    # While the key is being changed there are two, of the new key and of the old one.
    return any(hmac.compare_digest(one.encode("latin-1"), expected) for one in signatures.split(" "))


def customer_by_email(email: str) -> sqlite3.Row | None:
    """Open read-only, because a lookup never has to write; a parameter, so that an address can never become SQL."""
    with closing(sqlite3.connect(f"{DATABASE.as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        customer: sqlite3.Row | None = database.execute("SELECT * FROM customers WHERE email = ?", (email,)).fetchone()
        return customer


def answer(customer: sqlite3.Row | None) -> dict[str, Any]:
    """The panel shows text, five fields at most: what you do not know is left out, numbers become strings (0 is known)."""
    if customer is None:
        return {"found": False}
    badge, color = ("Blocked", "red") if customer["blocked"] else BADGES.get(customer["plan"], ("Customer", "gray"))
    fields = {
        "Plan": customer["plan"],
        "Yearly value (CZK)": customer["yearly_value"],
        "Seats": customer["seats"],
        "Customer since": customer["since"],
        "Owner": customer["owner"],
    }
    return {
        "found": True,
        "customer_id": str(customer["id"]),
        "name": customer["name"],
        "badge": badge,
        "badge_color": color,
        "fields": {key: str(value) for key, value in fields.items() if value is not None},
    }


@app.errorhandler(HTTPException)
def refuse(error: HTTPException) -> Response:
    """Flask's own error pages are HTML; the headers are kept, such as the Allow of a 405."""
    response = error.get_response()
    response.data = json.dumps({"error": error.description})
    response.content_type = "application/json"
    return response


if __name__ == "__main__":
    # Loopback only: a proxy with a certificate belongs before it, because connectors ask over https.
    # This server is for trying it out; in production run lookup:app under gunicorn or waitress.
    server = make_server("127.0.0.1", PORT, app, threaded=True)
    print(f"Lookup endpoint on http://127.0.0.1:{PORT}/lookup", flush=True)
    server.serve_forever()
