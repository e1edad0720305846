"""One call with httpx under tenacity, as their manuals have it: judged by
holdfast conformance --exec '/usr/bin/python3 tenacious.py {method} {url} {body} {auth} {key}'.

A status of 429 or 5xx, and whatever httpx raises, is tried four times in all with
exponential waits and full jitter. A POST is tried again only with a key.
"""

import pathlib
import ssl
import sys

import httpx
import tenacity

method, url, body, auth, key = sys.argv[1:]
name, value = auth.split(": ")
headers = {name: value, "X-Api-Key": value.removeprefix("Bearer ")}
if key:
    headers["Idempotency-Key"] = key


def worth_repeating(error):
    if method == "POST" and not key:
        return False
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


@tenacity.retry(
    stop=tenacity.stop_after_attempt(4),
    wait=tenacity.wait_random_exponential(multiplier=0.05, max=0.2),
    retry=tenacity.retry_if_exception(worth_repeating),
    reraise=True,
)
def call(client):
    response = client.request(method, url, headers=headers, content=pathlib.Path(body).read_bytes() or None)
    response.raise_for_status()
    return response.content


# The authority comes from SSL_CERT_FILE, which the default context reads.
with httpx.Client(timeout=0.5, verify=ssl.create_default_context(), trust_env=False) as client:
    try:
        answer = call(client)
    except (httpx.HTTPError, httpx.DecodingError) as error:
        sys.exit(type(error).__name__)
sys.stdout.buffer.write(answer)
