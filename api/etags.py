"""Which version of a document the caller saw: strong ETags, If-Match and If-None-Match."""

import re

from starlette.responses import Response

from api.errors import MalformedError, PreconditionRequiredError
from domain.base import Digest
from domain.errors import PreconditionFailedError

_TAG = re.compile(r'\s*((?:W/)?"[\x21\x23-\x7e]*")\s*(?:,|$)')
_MOST_TAGS = 20


def etag_of(digest: Digest) -> str:
    """The strong ETag of a document with this digest."""
    return f'"{digest}"'


def check_match(if_match: str | None, *, current: str) -> None:
    """Honour If-Match wherever it is sent.

    Raises:
        PreconditionFailedError: the caller saw another version; a weak tag never matches.
        MalformedError: the header is no list of tags.
    """
    if if_match is not None and if_match.strip() != "*" and current not in _tags(if_match, header="If-Match"):
        raise PreconditionFailedError("If-Match names another version: read the document again, then repeat the change")


def demand_match(if_match: str | None, *, current: str) -> None:
    """The same for a document that two people edit, where the header may not be missing."""
    if if_match is None:
        raise PreconditionRequiredError("this document changes only with If-Match: send the ETag you read")
    check_match(if_match, current=current)


def is_unchanged(if_none_match: str | None, *, current: str) -> bool:
    """Whether the caller already holds this version; weak tags count here, as RFC 9110 says."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return current in {tag.removeprefix("W/") for tag in _tags(if_none_match, header="If-None-Match")}


def not_modified(current: str) -> Response:
    """The answer to a caller who already holds this version."""
    return Response(status_code=304, headers={"ETag": current})


def _tags(text: str, *, header: str) -> set[str]:
    tags: set[str] = set()
    at = 0
    while at < len(text):
        match = _TAG.match(text, at)
        if match is None or len(tags) == _MOST_TAGS:
            raise MalformedError(
                f"expected {header} to be * or up to {_MOST_TAGS} quoted tags", pointer=f"header:{header.lower()}"
            )
        tags.add(match[1])
        at = match.end()
    return tags
