"""The few pages the server writes itself: to sign in, and while Gradio's are not there."""

from __future__ import annotations

from html import escape

_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; }}
main {{ width: min(22rem, 90vw); }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box; font: inherit; }}
input, button {{ margin-top: .5rem; padding: .5rem .75rem; }}
[role=alert] {{ color: #c62828; }}
</style>
</head>
<body><main>{body}</main></body>
</html>
"""

_LOGIN = """<h1>Latentloom</h1>
<form method="post" action="/login">
<input type="hidden" name="next" value="{place}">
<label for="secret">Password or token of this server</label>
<input id="secret" name="secret" type="password" data-testid="secret" autocomplete="current-password" required
autofocus>
{alert}<button data-testid="sign-in">Sign in</button>
</form>"""


def login(place: str, wrong: str = "") -> str:
    """Asks for the secret and leads on to `place`; `wrong` says why the one before was refused."""
    alert = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    return _FRAME.format(head="", title="Sign in - Latentloom", body=_LOGIN.format(place=escape(place), alert=alert))


def starting() -> str:
    """Asks again each second."""
    body = "<h1>Latentloom</h1><p>The page is being prepared; this takes a few seconds.</p>"
    return _FRAME.format(head='<meta http-equiv="refresh" content="1">', title="Starting - Latentloom", body=body)


def failed(sentence: str) -> str:
    body = f'<h1>Latentloom</h1><p role="alert">{escape(sentence)}</p>'
    return _FRAME.format(head="", title="Latentloom", body=body)
