"""The tools of the fake worker, on Arcade's own worker: python real_worker.py SECRET prints the port and serves."""

import asyncio
import socket
import sys
from enum import Enum
from typing import Annotated, Optional

import uvicorn
from arcade_core.metadata import Behavior, Classification, Operation, ToolMetadata
from arcade_serve.fastapi import FastAPIWorker
from arcade_tdk import ToolContext, tool
from arcade_tdk.auth import Google
from arcade_tdk.errors import (
    ContextRequiredToolError,
    FatalToolError,
    RetryableToolError,
    UpstreamError,
    UpstreamRateLimitError,
)
from fastapi import FastAPI
from typing_extensions import TypedDict


class Style(Enum):
    PLAIN = "plain"
    LOUD = "loud"


class Point(TypedDict):
    """A point."""

    x: int
    y: int


@tool(
    metadata=ToolMetadata(
        classification=Classification(service_domains=[]),
        behavior=Behavior(
            operations=[Operation.READ], read_only=True, destructive=False, idempotent=True, open_world=False
        ),
    )
)
def add(a: Annotated[int, "The first number"], b: Annotated[int, "The second number"]) -> Annotated[int, "The sum"]:
    """Adds two numbers."""
    return a + b


@tool
def echo(
    text: Annotated[str, "What to say"],
    times: Annotated[int, "How often"] = 1,
    style: Annotated[Style, "In which voice"] = Style.PLAIN,
    tags: Annotated[Optional[list[str]], "Words to add"] = None,
    options: Annotated[Optional[dict], "Anything"] = None,
) -> Annotated[str, "What was said"]:
    """Says it again."""
    said = " ".join([text] * times + (tags or []))
    return said.upper() if style in (Style.LOUD, "loud") else said


@tool
def who_am_i(context: ToolContext) -> Annotated[str, "The user id"]:
    """Tells who is calling."""
    return context.user_id or ""


@tool(requires_secrets=["API_KEY"])
def needs_secret(context: ToolContext) -> Annotated[str, "The length of the secret"]:
    """Uses a secret."""
    return str(len(context.get_secret("API_KEY")))


@tool(requires_auth=Google(scopes=["https://www.googleapis.com/auth/gmail.readonly"]))
def needs_auth(context: ToolContext) -> Annotated[str, "The length of the token"]:
    """Uses the token of the user."""
    return str(len(context.get_auth_token_or_empty()))


@tool
def fails(how: Annotated[str, "retry, context, fatal, upstream, rate_limit, plain or returns_wrong"]) -> Annotated[int, "Never"]:
    """Fails in the way that is asked for."""
    if how == "retry":
        raise RetryableToolError(
            "Try again", developer_message="dev: again", additional_prompt_content="Use x", retry_after_ms=500
        )
    if how == "context":
        raise ContextRequiredToolError("Need more", additional_prompt_content="Which one?", developer_message="dev: need")
    if how == "fatal":
        raise FatalToolError("Broken", developer_message="dev: broken")
    if how == "upstream":
        raise UpstreamError("Upstream said no", status_code=404, developer_message="dev: upstream")
    if how == "rate_limit":
        raise UpstreamRateLimitError("Too fast", retry_after_ms=1000, developer_message="dev: fast")
    if how == "returns_wrong":
        return {"not": "a number"}
    raise ValueError("secret detail in a plain error")


@tool
@tool.deprecated("Use Demo.Echo")
def old_echo(text: Annotated[str, "What to say"]) -> Annotated[str, "What was said"]:
    """Says it again, the old way."""
    return text


@tool
def points(count: Annotated[int, "How many"]) -> Annotated[list[Point], "The points"]:
    """Lists points."""
    return [{"x": n, "y": n} for n in range(count)]


@tool
def nothing() -> Annotated[Optional[str], "Nothing"]:
    """Answers nothing."""
    return None


async def main() -> None:
    app = FastAPI()
    worker = FastAPIWorker(app, secret=sys.argv[1])
    worker.register_tool(add, "Math")
    for one in (echo, who_am_i, needs_secret, needs_auth, fails, old_echo, points, nothing):
        worker.register_tool(one, "Demo")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    print(listener.getsockname()[1], flush=True)
    await server.serve([listener])


asyncio.run(main())
