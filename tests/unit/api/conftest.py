"""Clients that reach the small application in process and over a real socket."""

import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from adapters.logs import JsonFormatter, JsonHandler
from api.limits import Limits
from tests.unit.api.edge import QUICK, Edge, serving


@pytest.fixture
def edge() -> Edge:
    return Edge(Limits(concurrent=4))


@pytest.fixture
async def client(edge: Edge) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=edge.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as made:
        yield made


@pytest.fixture
async def hasty() -> AsyncIterator[tuple[Edge, httpx2.AsyncClient]]:
    """An application whose answers may take a fifth of a second."""
    edge = Edge(Limits(answer_within=timedelta(seconds=0.2)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=edge.app), base_url="http://edge") as made:
        yield edge, made


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(Edge(QUICK)) as number:
        yield number


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log lines written so far, parsed."""
    stream = io.StringIO()
    handler = JsonHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)
