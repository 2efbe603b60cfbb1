"""Calls of operations against a real server on loopback: what is sent, what comes back, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web

from support import http_server
from unified_agents import (
    ConfigError,
    FilePart,
    ImagePart,
    OpenApiConfig,
    RateLimited,
    Tool,
    ToolFailedError,
    Transient,
    load_openapi,
)
from unified_agents.interop.openapi.source import open_openapi

SECRET = "k3y/with+odd=signs"
Make = Callable[..., Tool]


class Server:
    """Notes each request, and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.connections: list[asyncio.BaseTransport] = []
        self.answer: Callable[[web.Request], web.StreamResponse] = lambda _: web.json_response({"ok": True})
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form: Any = None
        if request.transport is not None:
            self.connections.append(request.transport)
        if request.content_type == "multipart/form-data":
            form = []
            async for part in await request.multipart():
                form.append((part.name, part.filename, part.headers.get("Content-Type"), bytes(await part.read())))
        self.requests.append(
            {
                "method": request.method,
                "path": request.raw_path.partition("?")[0],
                "query": request.raw_path.partition("?")[2],
                "headers": request.headers,
                "body": form if form is not None else await request.read(),
            }
        )
        return self.answer(request)

    @property
    def last(self) -> dict[str, Any]:
        return self.requests[-1]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    running = Server()
    async with http_server(running.handle, handler_args={"auto_decompress": True}) as running.url:
        yield running


@pytest.fixture
def make(tmp_path: Path, server: Server) -> Make:
    def create(
        *, method: str = "get", path: str = "/a", options: Any = None, schemes: Any = None, **stated: Any
    ) -> Tool:
        document = {
            "openapi": "3.1.0",
            "servers": [{"url": f"{server.url}/base"}],
            "paths": {path: {method: {"operationId": "op", "responses": {}, **stated}}},
            "components": {"securitySchemes": schemes or {}},
        }
        file = tmp_path / "api.json"
        file.write_text(json.dumps(document))
        (tool,) = load_openapi(
            OpenApiConfig.model_validate({"openapi": file, "allow_private": True, **(options or {})})
        )
        return tool

    return create


def parameter(name: str, place: str, /, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": {}, **more}


LIST, OBJECT = ["a b", "c"], {"x": 1, "y": "z"}


class TestParameters:
    @pytest.mark.parametrize(
        ("style", "explode", "value", "sent"),
        [
            ("simple", False, "a/b c", "a%2Fb%20c"),
            ("simple", False, 5, "5"),
            ("simple", False, True, "true"),
            ("simple", False, LIST, "a%20b,c"),
            ("simple", False, OBJECT, "x,1,y,z"),
            ("simple", True, OBJECT, "x=1,y=z"),
            ("label", False, "v", ".v"),
            ("label", True, LIST, ".a%20b.c"),
            ("label", False, LIST, ".a%20b,c"),
            ("matrix", False, "v", ";p=v"),
            ("matrix", True, LIST, ";p=a%20b;p=c"),
            ("matrix", False, LIST, ";p=a%20b,c"),
            ("matrix", True, OBJECT, ";x=1;y=z"),
            ("matrix", False, OBJECT, ";p=x,1,y,z"),
        ],
    )
    async def test_in_the_path(
        self, make: Make, server: Server, style: str, explode: bool, value: Any, sent: str
    ) -> None:
        tool = make(path="/a/{p}/z", parameters=[parameter("p", "path", style=style, explode=explode)])
        await tool(p=value)
        assert server.last["path"] == f"/base/a/{sent}/z"

    @pytest.mark.parametrize(
        ("path", "sent"),
        [
            ("/a?beta=true", "beta=true&q=x"),
            ("/a?for={p}&v=1#now", "for=a%26b&v=1&q=x"),
            ("/a#Action=List", "q=x"),
            ("/a#what?", "q=x"),
        ],
    )
    async def test_a_query_in_the_path_is_sent_as_one_and_a_fragment_not_at_all(
        self, make: Make, server: Server, path: str, sent: str
    ) -> None:
        tool = make(path=path, parameters=[parameter("q", "query")])
        await tool(q="x", **({"p": "a&b"} if "{p}" in path else {}))
        assert (server.last["path"], server.last["query"]) == ("/base/a", sent)

    @pytest.mark.parametrize("value", ["", ".", "..", [], None])
    async def test_a_path_is_not_led_elsewhere(self, make: Make, server: Server, value: Any) -> None:
        tool = make(path="/a/{p}", parameters=[parameter("p", "path")])
        with pytest.raises(ToolFailedError, match="path"):
            await tool(p=value)
        assert server.requests == []

    @pytest.mark.parametrize(
        ("stated", "value", "sent"),
        [
            ({}, "a b&c", "p=a%20b%26c"),
            ({}, LIST, "p=a%20b&p=c"),
            ({"explode": False}, LIST, "p=a%20b,c"),
            ({}, OBJECT, "x=1&y=z"),
            ({"explode": False}, OBJECT, "p=x,1,y,z"),
            ({"style": "spaceDelimited", "explode": False}, LIST, "p=a%20b%20c"),
            ({"style": "pipeDelimited", "explode": False}, LIST, "p=a%20b%7Cc"),
            (
                {"style": "deepObject"},
                {"x": 1, "y": {"z": [1, 2]}},
                "p%5Bx%5D=1&p%5By%5D%5Bz%5D%5B%5D=1&p%5By%5D%5Bz%5D%5B%5D=2",
            ),
            ({"style": "deepObject"}, LIST, "p%5B%5D=a%20b&p%5B%5D=c"),
            (
                {"style": "deepObject"},
                [{"k": "A", "n": 2}, {"k": "B"}],
                "p%5B0%5D%5Bk%5D=A&p%5B0%5D%5Bn%5D=2&p%5B1%5D%5Bk%5D=B",
            ),
            ({"style": "deepObject"}, [[1, 2], 3], "p%5B0%5D%5B%5D=1&p%5B0%5D%5B%5D=2&p%5B1%5D=3"),
            ({"allowReserved": True}, "a/b?c&d", "p=a/b?c%26d"),
            ({"content": {"application/json": {"schema": {}}}}, OBJECT, "p=%7B%22x%22%3A1%2C%22y%22%3A%22z%22%7D"),
            ({"content": {"application/json": {"schema": {}}}}, "a b", "p=%22a%20b%22"),
            ({"content": {"text/plain": {"schema": {}}}}, "a b", "p=a%20b"),
            ({"content": {"*/*": {"schema": {"type": "string"}}}}, "a b", "p=a%20b"),
            ({"content": {"*/*": {"schema": {"type": "object"}}}}, {"x": 1}, "p=%7B%22x%22%3A1%7D"),
            ({}, None, ""),
            ({}, [], ""),
            ({}, False, "p=false"),
        ],
    )
    async def test_in_the_query(self, make: Make, server: Server, stated: Any, value: Any, sent: str) -> None:
        declared = parameter("p", "query", **stated)
        if "content" in stated:
            del declared["schema"]
        await make(parameters=[declared])(p=value)
        assert server.last["query"] == sent

    async def test_in_headers_and_cookies(self, make: Make, server: Server) -> None:
        declared = [
            parameter("X-List", "header"),
            parameter("X-Object", "header", explode=True),
            parameter("c", "cookie"),
            parameter("d", "cookie"),
        ]
        await make(parameters=declared)(**{"X-List": [1, "b"], "X-Object": OBJECT, "c": "a b", "d": 2})
        headers = server.last["headers"]
        assert (headers["X-List"], headers["X-Object"], headers["Cookie"]) == ("1,b", "x=1,y=z", "c=a%20b; d=2")

    async def test_headers_of_the_connection_are_not_the_models(self, make: Make, server: Server) -> None:
        names = ["Content-Length", "host", "Transfer-Encoding", "Connection", "X"]
        tool = make(method="post", parameters=[parameter(name, "header", required=True) for name in names])
        assert list(tool.parameters["properties"]) == tool.parameters["required"] == ["X"]
        await tool(X="x")
        assert server.last["headers"]["X"] == "x"

    async def test_null_is_no_text(self, make: Make, server: Server) -> None:
        await make(parameters=[parameter(name, place) for name, place in (("X", "header"), ("q", "query"))])(
            X=None, q=None
        )
        assert ("X" in server.last["headers"], server.last["query"]) == (False, "")
        form = content("multipart/form-data", {"properties": {"a": {}, "b": {}}})
        await make(method="post", requestBody=form)(body={"a": None, "b": ["x", None]})
        assert [(part[0], part[3]) for part in server.last["body"]] == [("b", b"x")]

    async def test_a_header_is_one_line(self, make: Make, server: Server) -> None:
        with pytest.raises(ToolFailedError, match="must be one line of printable text"):
            await make(parameters=[parameter("X", "header")])(X="a\r\nHost: evil.example")
        assert server.requests == []

    async def test_any_name_may_be_an_argument(self, make: Make, server: Server) -> None:
        await make(parameters=[parameter("self", "query"), parameter("arguments", "query")])(self=1, arguments=2)
        assert server.last["query"] == "self=1&arguments=2"


def content(media_type: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"content": {media_type: {"schema": schema or {}, **more}}}


class TestBodies:
    async def test_json(self, make: Make, server: Server) -> None:
        await make(method="post", requestBody=content("application/vnd.x+json"))(body={"ä": [1, None]})
        assert server.last["body"] == '{"ä":[1,null]}'.encode()
        assert server.last["headers"]["Content-Type"] == "application/vnd.x+json"

    async def test_without_an_argument_none_is_sent(self, make: Make, server: Server) -> None:
        await make(method="post", requestBody=content("application/json"))()
        assert server.last["body"] == b""

    async def test_a_form(self, make: Make, server: Server) -> None:
        encoding = {"t": {"style": "form", "explode": False}}
        tool = make(method="post", requestBody=content("application/x-www-form-urlencoded", encoding=encoding))
        await tool(body={"a": "x y&z", "l": [1, 2], "t": [1, 2], "o": {"k": True}, "n": None})
        assert server.last["body"] == b"a=x%20y%26z&l=1&l=2&t=1,2&o=%7B%22k%22%3Atrue%7D"
        assert server.last["headers"]["Content-Type"] == "application/x-www-form-urlencoded"

    async def test_a_form_keeps_the_objects_of_a_list_apart(self, make: Make, server: Server) -> None:
        encoding = {"items": {"style": "deepObject", "explode": True}}
        tool = make(method="post", requestBody=content("application/x-www-form-urlencoded", encoding=encoding))
        await tool(body={"items": [{"k": "A", "n": 2}, {"k": "B", "n": 1}]})
        assert unquote(server.last["body"].decode()) == "items[0][k]=A&items[0][n]=2&items[1][k]=B&items[1][n]=1"

    async def test_a_multipart_form_with_files(self, make: Make, server: Server) -> None:
        binary = {"type": "string", "format": "binary"}
        schema = {"properties": {"f": binary, "g": {"type": "array", "items": binary}, "h": binary, "o": {}, "s": {}}}
        encoding = {"h": {"contentType": "text/csv"}}
        tool = make(method="post", requestBody=content("multipart/form-data", schema, encoding=encoding))
        png = "data:image/png;base64,iVBORw=="
        await tool(body={"f": png, "g": ["one", "data:,two%21"], "h": "a,b", "o": {"k": 1}, "s": "text"})
        assert server.last["body"] == [
            ("f", "f.png", "image/png", b"\x89PNG"),
            ("g", "g", "application/octet-stream", b"one"),
            ("g", "g", "application/octet-stream", b"two!"),
            ("h", "h.csv", "text/csv", b"a,b"),
            ("o", None, "application/json", b'{"k":1}'),
            ("s", None, "text/plain; charset=utf-8", b"text"),
        ]

    @pytest.mark.parametrize(
        ("url", "sent"),
        [
            ("data:audio/mpeg;base64,AAEC", ("f", "f.mp3", "audio/mpeg", b"\0\1\2")),
            ("data:audio/mpeg;name=my%2Dtalk.mp3;base64,AAEC", ("f", "my-talk.mp3", "audio/mpeg", b"\0\1\2")),
            ("data:text/plain;charset=utf-8;filename=../n.txt,x", ("f", "n.txt", "text/plain;charset=utf-8", b"x")),
            ("data:;base64,AAEC", ("f", "f", "application/octet-stream", b"\0\1\2")),
            ("data:application/x-unheard-of,x", ("f", "f", "application/x-unheard-of", b"x")),
        ],
    )
    async def test_a_file_has_the_name_that_it_states_or_the_ending_of_its_type(
        self, make: Make, server: Server, url: str, sent: Any
    ) -> None:
        schema = {"properties": {"f": {"type": "string", "format": "binary"}}}
        await make(method="post", requestBody=content("multipart/form-data", schema))(body={"f": url})
        assert server.last["body"] == [sent]

    @pytest.mark.parametrize(
        ("schema", "encoding"),
        [
            ({"allOf": [{"properties": {"f": {"format": "binary"}}}, {"properties": {"t": {}}}]}, {}),
            ({"allOf": [{"allOf": [{"properties": {"f": {"format": "binary"}}}]}]}, {}),
            ({"properties": {"f": {"anyOf": [{"format": "binary"}, {"type": "null"}]}}}, {}),
            ({"properties": {"f": {"anyOf": [{"items": {"format": "binary"}}, {"type": "null"}]}}}, {}),
            ({"properties": {"f": {}}}, {"f": {"contentType": "image/png, image/jpeg"}}),
            ({"allOf": [{"properties": {"f": {}}}]}, {"f": {"contentType": "application/octet-stream"}}),
        ],
    )
    async def test_a_property_is_a_file_wherever_the_document_says_so(
        self, make: Make, server: Server, schema: Any, encoding: Any
    ) -> None:
        tool = make(method="post", requestBody=content("multipart/form-data", schema, encoding=encoding))
        assert tool.parameters["properties"]["body"]["description"].startswith("Files (`f`): ")
        await tool(body={"f": "data:image/png;base64,iVBORw=="})
        assert server.last["body"] == [("f", "f.png", "image/png", b"\x89PNG")]

    async def test_a_property_of_text_is_no_file(self, make: Make, server: Server) -> None:
        encoding = {
            "a": {"contentType": "text/plain"},
            "b": {"contentType": "application/json"},
            "c": {"style": "form"},
        }
        schema = {"properties": {"a": {}, "b": {}, "c": {}}}
        tool = make(method="post", requestBody=content("multipart/form-data", schema, encoding=encoding))
        await tool(body={"a": "x", "b": {"k": 1}, "c": "y"})
        assert [part[1] for part in server.last["body"]] == [None, None, None]

    @pytest.mark.parametrize(
        ("declared", "value", "sent"),
        [
            ({"style": "form"}, ["a b", "c"], [("x", b"a b"), ("x", b"c")]),
            ({"explode": False}, ["a b", "c"], [("x", b"a b,c")]),
            ({"style": "pipeDelimited"}, ["a", "c"], [("x", b"a|c")]),
            ({"style": "deepObject", "explode": True}, {"k": [1, 2]}, [("x[k][]", b"1"), ("x[k][]", b"2")]),
            ({"style": "form"}, {"k": 1, "l": "m&n"}, [("k", b"1"), ("l", b"m&n")]),
            ({"style": "form"}, None, []),
            ({"contentType": "application/json"}, {"k": 1}, [("x", b'{"k":1}')]),
        ],
    )
    async def test_a_multipart_form_in_the_styles_of_openapi_3_1(
        self, make: Make, server: Server, declared: Any, value: Any, sent: Any
    ) -> None:
        body = content("multipart/form-data", {"properties": {"x": {}}}, encoding={"x": declared})
        await make(method="post", requestBody=body)(body={"x": value})
        assert [(name, data) for name, _, _, data in server.last["body"]] == sent

    async def test_bytes_and_text(self, make: Make, server: Server) -> None:
        await make(method="post", requestBody=content("application/octet-stream"))(body="data:;base64,AAH/")
        assert server.last["body"] == b"\x00\x01\xff"
        assert server.last["headers"]["Content-Type"] == "application/octet-stream"
        await make(method="post", requestBody=content("image/*"))(body="data:image/gif;base64,AAH/")
        assert server.last["headers"]["Content-Type"] == "image/gif"
        await make(method="post", requestBody=content("application/xml"))(body="<a/>")
        assert (server.last["body"], server.last["headers"]["Content-Type"]) == (b"<a/>", "application/xml")

    @pytest.mark.parametrize(
        ("value", "sent"), [("a: 1", (b"a: 1", "application/octet-stream")), ("data:text/yaml,a", (b"a", "text/yaml"))]
    )
    async def test_a_text_of_any_media_type_is_sent_as_it_is(
        self, make: Make, server: Server, value: str, sent: tuple[bytes, str]
    ) -> None:
        tool = make(method="post", requestBody=content("*/*", {"type": "string"}))
        await tool(body=value)
        assert (server.last["body"], server.last["headers"]["Content-Type"]) == sent

    async def test_a_broken_data_url_is_refused(self, make: Make, server: Server) -> None:
        with pytest.raises(ToolFailedError, match="not valid base64"):
            await make(method="post", requestBody=content("application/octet-stream"))(body="data:x/y;base64,%%%")
        assert server.requests == []


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/octet-stream"])
async def test_a_body_that_is_left_out_is_not_sent(make: Make, server: Server, media_type: str) -> None:
    tool = make(method="post", requestBody={"content": {media_type: {"schema": {"type": "string"}}}})
    await tool()
    assert "Content-Type" not in server.last["headers"]
    assert server.last["body"] == b""
    await tool(body="x")
    assert server.last["headers"]["Content-Type"] == media_type


SCHEMES = {
    "head": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "bearer": {"type": "http", "scheme": "Bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "oauth": {"type": "oauth2", "flows": {}},
    "digest": {"type": "http", "scheme": "digest"},
}


class TestSecrets:
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_KEY", f"{SECRET}\n")
        monkeypatch.setenv("SHOP_LOGIN", f"me:{SECRET}")
        monkeypatch.setenv("EMPTY", "")

    @pytest.mark.parametrize(
        ("name", "place", "sent"),
        [
            ("head", "X-Key", f"Bot {SECRET}"),
            ("bearer", "Authorization", f"Bearer {SECRET}"),
            ("oauth", "Authorization", f"Bearer {SECRET}"),
            ("cookie", "Cookie", "sid=k3y%2Fwith%2Bodd%3Dsigns"),
        ],
    )
    async def test_go_where_their_scheme_says(
        self, make: Make, server: Server, name: str, place: str, sent: str
    ) -> None:
        key = {"env": "SHOP_KEY", "prefix": "Bot " if name == "head" else ""}
        tool = make(options={"auth": {name: key}}, schemes=SCHEMES, security=[{name: []}])
        await tool()
        assert server.last["headers"][place] == sent

    async def test_in_the_query_they_are_encoded(self, make: Make, server: Server) -> None:
        tool = make(
            options={"auth": {"query": {"env": "SHOP_KEY"}}},
            schemes=SCHEMES,
            security=[{"query": []}],
            parameters=[parameter("p", "query")],
        )
        await tool(p=1)
        assert server.last["query"] == "p=1&key=k3y%2Fwith%2Bodd%3Dsigns"

    async def test_one_key_of_two_schemes_is_sent_once(self, make: Make, server: Server) -> None:
        schemes = {name: {"type": "apiKey", "in": "query", "name": "key"} for name in ("a", "b")}
        auth = {name: {"env": "SHOP_LOGIN"} for name in schemes}
        await make(schemes=schemes, security=[{"a": [], "b": []}], options={"auth": auth})()
        assert server.last["query"].count("key=") == 1

    async def test_basic_takes_user_and_password(self, make: Make, server: Server) -> None:
        tool = make(options={"auth": {"basic": {"env": "SHOP_LOGIN"}}}, schemes=SCHEMES, security=[{"basic": []}])
        await tool()
        assert server.last["headers"]["Authorization"] == "Basic bWU6azN5L3dpdGgrb2RkPXNpZ25z"

    async def test_go_to_operations_that_ask_for_them_only(self, make: Make, server: Server) -> None:
        options = {"auth": {"head": {"env": "SHOP_KEY"}, "query": {"env": "SHOP_KEY"}}}
        await make(options=options, schemes=SCHEMES, security=[{"query": []}])()
        assert "X-Key" not in server.last["headers"]
        assert server.last["query"].startswith("key=")

    async def test_that_no_operation_asks_for_go_with_each_that_does_not_say_what_it_needs(
        self, make: Make, server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = {"auth": {"head": {"env": "SHOP_KEY"}}}
        await make(options=options, schemes=SCHEMES)()
        assert server.last["headers"]["X-Key"] == SECRET
        assert caplog.text == ""
        await make(options=options, schemes=SCHEMES, security=[])()
        assert "X-Key" not in server.last["headers"]
        assert "the secret for 'head' is never sent: no operation asks for it" in caplog.text

    async def test_of_several_ways_the_first_that_is_wholly_configured_is_taken(
        self, make: Make, server: Server
    ) -> None:
        options = {"auth": {"head": {"env": "SHOP_KEY"}, "cookie": {"env": "SHOP_KEY"}}}
        ways = [{"head": [], "bearer": []}, {}, {"head": [], "cookie": []}]
        await make(options=options, schemes=SCHEMES, security=ways)()
        assert server.last["headers"]["X-Key"] == SECRET
        assert "Cookie" in server.last["headers"]
        assert "Authorization" not in server.last["headers"]

    @pytest.mark.parametrize(
        ("auth", "reason"),
        [
            ({"heat": {"env": "SHOP_KEY"}}, "auth names 'heat', which is no security scheme; there are: head, query"),
            ({"head": {"env": "NOT_SET"}}, "set the environment variable NOT_SET"),
            ({"head": {"env": "EMPTY"}}, "set the environment variable EMPTY"),
            ({"basic": {"env": "SHOP_KEY"}}, "the variable SHOP_KEY for 'basic' must hold user:password"),
            ({"digest": {"env": "SHOP_KEY"}}, r"'digest' \(http digest\) is not supported"),
        ],
    )
    async def test_what_is_wrong_with_them_is_told_without_them(self, make: Make, auth: Any, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason) as caught:
            make(options={"auth": auth}, schemes=SCHEMES)
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize("status", [200, 400])
    async def test_never_come_back(self, make: Make, server: Server, status: int) -> None:
        forms = [SECRET, "k3y%2Fwith%2Bodd%3Dsigns", "bWU6azN5L3dpdGgrb2RkPXNpZ25z"]
        server.answer = lambda _: web.json_response({"message": " ".join(["you sent", *forms])}, status=status)
        tool = make(options={"auth": {"basic": {"env": "SHOP_LOGIN"}}}, schemes=SCHEMES, security=[{"basic": []}])
        try:
            told = str(await tool())
        except ToolFailedError as error:
            told = str(error)
        assert "you sent *** *** ***" in told
        assert not any(form in told for form in forms)
        assert not any(form in repr(tool.handler) for form in forms)

    async def test_a_refused_call_without_one_says_which_is_missing(self, make: Make, server: Server) -> None:
        server.answer = lambda _: web.Response(status=401)
        with pytest.raises(ToolFailedError, match=r"HTTP 401 Unauthorized \(no credential is configured for head\)"):
            await make(schemes=SCHEMES, security=[{"head": []}])()


async def test_secrets_are_taken_out_of_links_too(make: Make, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", SECRET)
    tool = make(options={"auth": {"query": {"env": "SHOP_KEY"}}}, schemes=SCHEMES, security=[{"query": []}])
    server.answer = lambda request: web.json_response(
        1, status=201, headers={"Link": f'<{request.raw_path}&page=2>; rel="next"', "Location": f"/a/{SECRET}"}
    )
    assert SECRET not in (answer := str(await tool()))
    assert "/base/a?key=***&page=2" in answer
    assert "Location: /a/***" in answer


class TestFixedValues:
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_KEY", SECRET)

    async def test_headers_go_with_every_call_and_the_model_does_not_see_them(self, make: Make, server: Server) -> None:
        headers = {"Shop-Version": "2022-06-28", "Api-Key": {"env": "SHOP_KEY", "prefix": "Bot "}, "X-Try": 3}
        declared = [parameter("api-key", "header", required=True), parameter("q", "query")]
        tool = make(options={"headers": headers}, parameters=declared)
        assert list(tool.parameters["properties"]) == ["q"]
        assert "required" not in tool.parameters
        server.answer = lambda _: web.json_response({"echo": SECRET})
        assert await tool() == {"echo": "***"}
        sent = server.last["headers"]
        assert (sent["Shop-Version"], sent["Api-Key"], sent["X-Try"]) == ("2022-06-28", f"Bot {SECRET}", "3")

    async def test_arguments_fill_the_parameters_of_their_names(self, make: Make, server: Server) -> None:
        declared = [parameter("p", "path"), parameter("key", "query", required=True), parameter("q", "query")]
        options = {"arguments": {"p": "mine", "key": {"env": "SHOP_KEY"}}}
        tool = make(path="/a/{p}", options=options, parameters=declared)
        assert list(tool.parameters["properties"]) == ["q"]
        await tool(q=1)
        assert server.last["path"] == "/base/a/mine"
        assert server.last["query"] == "key=k3y%2Fwith%2Bodd%3Dsigns&q=1"

    async def test_what_is_wrong_with_them_is_told(self, make: Make, caplog: pytest.LogCaptureFixture) -> None:
        for headers in ({"X": "a\r\nb"}, {"a b": "c"}):
            with pytest.raises(ConfigError, match="is no header of one printable line"):
                make(options={"headers": headers})
        with pytest.raises(ConfigError, match="set the environment variable NOT_SET"):
            make(options={"headers": {"X": {"env": "NOT_SET"}}})
        make(options={"arguments": {"tenant": "x"}})
        assert "no operation has a parameter 'tenant'" in caplog.text


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (lambda: web.json_response({"n": 2**70, "l": [1.5]}), {"n": 2**70, "l": [1.5]}),
            (lambda: web.Response(text="<html>", content_type="application/json"), "<html>"),
            (lambda: web.Response(text="grün", content_type="text/csv"), "grün"),
            (
                lambda: web.Response(
                    body="grün".encode("latin-1"), headers={"Content-Type": "text/x; charset=latin-1"}
                ),
                "grün",
            ),
            (lambda: web.Response(status=204), "HTTP 204 No Content, without content"),
            (
                lambda: web.Response(body=b"\x89P", content_type="image/png"),
                ImagePart.from_bytes(b"\x89P", "image/png"),
            ),
            (
                lambda: web.Response(body=b"%P", content_type="application/pdf"),
                FilePart.from_bytes(b"%P", "application/pdf", "a"),
            ),
            (
                lambda: web.Response(
                    body=b"%P", headers={"Content-Type": "application/x", "Content-Disposition": 'x; filename="b.pdf"'}
                ),
                FilePart.from_bytes(b"%P", "application/x", "b.pdf"),
            ),
        ],
        ids=["JSON", "no JSON", "text", "charset", "nothing", "image", "file", "named file"],
    )
    async def test_become_results(
        self, make: Make, server: Server, answer: Callable[[], web.Response], expected: Any
    ) -> None:
        server.answer = lambda _: answer()
        assert await make()() == expected

    @pytest.mark.parametrize(
        ("status", "payload", "told"),
        [
            (404, {"message": "no such pet"}, "HTTP 404 Not Found: no such pet"),
            (400, {"error": {"message": "bad", "code": 3}}, "HTTP 400 Bad Request: bad"),
            (422, {"detail": [{"loc": ["x"]}]}, 'HTTP 422 Unprocessable Entity: {"detail": [{"loc": ["x"]}]}'),
            (400, {"message": "m", "errors": {"f": "why"}}, '{"message": "m", "errors": {"f": "why"}}'),
            (400, {"message": "m", "violations": [{"field": "n"}]}, '{"message": "m", "violations": [{"field": "n"}]}'),
            (
                400,
                {"title": "T", "detail": "d", "invalid-params": [{"name": "age"}]},
                '"invalid-params": [{"name": "age"}]',
            ),
            (400, {"error": {"message": "bad", "param": "items[0][price]"}}, "items[0][price]"),
            (400, {"title": "T", "detail": "d", "status": 400, "errors": None, "extra": []}, "d"),
            (400, {"message": "m", "details": ["y" * 900]}, "HTTP 400 Bad Request: m"),
            (500, "x" * 2_000, "HTTP 500 Internal Server Error: " + "x" * 499),
        ],
    )
    async def test_of_400_and_more_are_errors_with_the_server_s_message(
        self, make: Make, server: Server, status: int, payload: Any, told: str
    ) -> None:
        server.answer = lambda _: (
            web.json_response(payload, status=status)
            if not isinstance(payload, str)
            else web.Response(text=payload, status=status)
        )
        with pytest.raises(ToolFailedError) as caught:
            await make()()
        assert told in str(caught.value)
        assert len(str(caught.value)) < 600

    async def test_say_where_the_new_thing_is_and_that_there_is_a_next_page(self, make: Make, server: Server) -> None:
        made = {"Location": "/things/7"}
        server.answer = lambda _: web.Response(status=201, headers=made)
        assert await make(method="post")() == "HTTP 201 Created, without content\nLocation: /things/7"
        server.answer = lambda _: web.json_response({"id": 7}, status=201, headers=made)
        assert await make(method="post")() == '{"id":7}\nLocation: /things/7'
        links = {
            "Link": '<https://api.example.com/a?page=2>; rel="next", <https://api.example.com/a?page=9>; rel="last"'
        }
        server.answer = lambda _: web.json_response([1], headers=links)
        assert await make()() == "[1]\nNext page: https://api.example.com/a?page=2"
        server.answer = lambda _: web.Response(body=b"\x89P", content_type="image/png", headers=links)
        assert (await make()())[0] == ImagePart.from_bytes(b"\x89P", "image/png")
        links["Link"] = "</a?page=1>; rel=prev, </a?page=3>; title=x; rel=next"
        server.answer = lambda _: web.json_response([1], headers=links)
        assert await make()() == "[1]\nNext page: /a?page=3"
        last = {"Link": '</a?page=1>; rel="prev"', "Location": "/elsewhere"}
        server.answer = lambda _: web.json_response([1], headers=last)
        assert await make()() == [1]

    async def test_that_pass_may_be_tried_again(self, make: Make, server: Server) -> None:
        server.answer = lambda _: web.Response(status=429, headers={"Retry-After": "7"})
        with pytest.raises(RateLimited) as caught:
            await make()()
        assert caught.value.retry_after == 7
        server.answer = lambda _: web.Response(status=503)
        with pytest.raises(Transient, match="HTTP 503 Service Unavailable"):
            await make()()

    @pytest.mark.parametrize("packed", [False, True])
    async def test_that_are_too_long_are_not_read_to_their_end(self, make: Make, server: Server, packed: bool) -> None:
        def answer(_: web.Request) -> web.Response:
            response = web.Response(text="x" * 100_000)
            if packed:
                response.enable_compression()
            return response

        server.answer = answer
        tool = make(options={"max_response_bytes": 99_999})
        with pytest.raises(ToolFailedError, match="longer than 99,999 bytes"):
            await tool()
        assert await make(options={"max_response_bytes": 100_000})() == "x" * 100_000

    async def test_that_do_not_come_are_errors(self, make: Make, server: Server) -> None:
        tool = make()
        server.answer = lambda request: request.transport.close() or web.Response()  # type: ignore[union-attr,func-returns-value]
        with pytest.raises(Transient, match=r"the call to 127.0.0.1 failed: ServerDisconnectedError"):
            await tool()
        with pytest.raises(Transient, match=r"127.0.0.1 cannot be reached"):
            await make(options={"base_url": "http://127.0.0.1:9"})()

    async def test_a_silent_server_is_given_up(self, make: Make, server: Server) -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        silent = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        tool = make(options={"base_url": f"http://127.0.0.1:{port}", "timeout": 0.05})
        assert tool.timeout == 0.05
        with pytest.raises(ToolFailedError, match=r"did not answer within 0.05 seconds"):
            await tool()
        silent.close()


def redirect(status: int, location: str) -> Callable[[web.Request], web.StreamResponse]:
    return lambda request: (
        web.json_response("there")
        if request.path.endswith("/there")
        else web.Response(status=status, headers={"Location": location})
    )


class TestWhereCallsGo:
    async def test_loopback_is_refused_unless_it_is_allowed(self, make: Make, server: Server) -> None:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost"), "http://[::1]/", "http://10.0.0.1"):
            with pytest.raises(ConfigError, match="is not a public address: calls to it need allow_private: true"):
                make(options={"allow_private": False, "base_url": url})
        assert server.requests == []

    @pytest.mark.parametrize(
        "host", ["169.254.169.254", "192.168.1.1", "0.0.0.0", "127.1", "2130706433", "[::ffff:127.0.0.1]", "[fe80::1]"]
    )
    async def test_no_way_of_writing_an_address_passes(self, make: Make, host: str) -> None:
        with pytest.raises(ConfigError, match="need allow_private: true"):
            make(options={"allow_private": False, "base_url": f"http://{host}/"})

    @pytest.mark.parametrize("name", ["localtest.example", "0x7f.1"])
    async def test_a_name_that_stands_for_loopback_is_refused_when_it_is_looked_up(
        self, make: Make, server: Server, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        import socket

        looked_up = socket.getaddrinfo

        def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            return looked_up("127.0.0.1" if host == name else host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        url = server.url.replace("127.0.0.1", name)
        with pytest.raises(ToolFailedError, match=f"{name} is not a public address"):
            await make(options={"allow_private": False, "base_url": url})()
        assert server.requests == []
        assert await make(options={"base_url": url})() == {"ok": True}

    async def test_only_allowed_hosts_are_called(self, make: Make, server: Server) -> None:
        with pytest.raises(ConfigError, match=r"calls to 127.0.0.1 are not allowed: add it to allow_hosts"):
            make(options={"allow_hosts": ["api.example.com"]})
        other = {"servers": [{"url": server.url.replace("127.0.0.1", "127.0.0.2")}]}
        with pytest.raises(ToolFailedError, match=r"calls to 127.0.0.2 are not allowed"):
            await make(**other)()
        with pytest.raises(Transient, match=r"127.0.0.2 cannot be reached"):
            await make(options={"allow_hosts": ["127.0.0.1", "127.0.0.2"]}, **other)()
        assert await make(options={"base_url": server.url}, **other)() == {"ok": True}

    async def test_an_operation_may_have_a_server_of_its_own(self, make: Make, server: Server) -> None:
        await make(servers=[{"url": "../other/"}])()
        assert server.last["path"] == "/other/a"

    @pytest.mark.parametrize(
        "location", ["http://evil.example/there", "//evil.example/there", "http://127.0.0.1:9/there", "file:///there"]
    )
    async def test_a_redirect_to_another_host_is_not_followed(self, make: Make, server: Server, location: str) -> None:
        server.answer = redirect(302, location)
        options = {"allow_hosts": ["127.0.0.1", "evil.example"]}
        with pytest.raises(ToolFailedError, match=r"with a redirect to .*, which is not followed"):
            await make(options=options)()
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
    )
    async def test_within_its_host_it_is(self, make: Make, server: Server, status: int, method: str) -> None:
        server.answer = redirect(status, "/there")
        assert await make(method="post", requestBody=content("application/json"))(body=1) == "there"
        assert server.last["method"] == method
        assert server.last["body"] == (b"1" if method == "POST" else b"")

    async def test_not_for_ever(self, make: Make, server: Server) -> None:
        server.answer = redirect(302, "/again")
        with pytest.raises(ToolFailedError, match="redirects more than 5 times"):
            await make()()
        assert len(server.requests) == 6


async def test_a_closed_source_leaves_no_connection_and_can_be_called_again(tmp_path: Path, server: Server) -> None:
    file = tmp_path / "api.json"
    file.write_text(json.dumps({"openapi": "3.0.0", "paths": {"/a": {"get": {}}}}))
    source = open_openapi(OpenApiConfig(openapi=file, base_url=server.url, allow_private=True))
    (tool,) = source.tools
    assert await tool() == {"ok": True}
    assert await tool() == {"ok": True}
    assert server.connections[0] is server.connections[1]
    await source.aclose()
    assert await tool() == {"ok": True}
    assert server.connections[2] is not server.connections[0]
    assert not server.connections[2].is_closing()
    await source.aclose()
    async with asyncio.timeout(5):
        while not all(connection.is_closing() for connection in server.connections):  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0)


# ---- OAuth's client credentials ----


class TokenServer(Server):
    """An API that takes tokens of its own token endpoint alone."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.lasts: object = 3_600
        self.refusal: web.Response | None = None
        self.expired = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            form = {key: str(value) for key, value in (await request.post()).items()}
            self.forms.append(form | {"authorization": request.headers.get("Authorization", "")})
            if self.refusal is not None:
                return self.refusal
            self.tokens.append(f"token-{len(self.tokens)}")
            self.expired = False
            return web.json_response({"access_token": self.tokens[-1], "expires_in": self.lasts})
        await super().handle(request)
        token = request.headers.get("Authorization", "")
        if self.expired or not self.tokens or token != f"Bearer {self.tokens[-1]}":
            return web.json_response({"message": f"not with {token}"}, status=401)
        return web.json_response({"told": token})


def exchanging(server: Server, stated: str | None, **auth: Any) -> OpenApiConfig:
    flow = {"clientCredentials": {"scopes": {}} | ({} if stated is None else {"tokenUrl": stated})}
    document = {
        "openapi": "3.1.0",
        "servers": [{"url": server.url}],
        "components": {"securitySchemes": {"own": {"type": "oauth2", "flows": flow}}},
        "security": [{"own": []}],
        "paths": {"/a": {"post": {"operationId": "a", "requestBody": {"content": {"application/json": {}}}}}},
    }
    settings = {"env": "SHOP_SECRET", "client_id": "shop", **auth}
    return OpenApiConfig.model_validate({"openapi": document, "allow_private": True, "auth": {"own": settings}})


@pytest.mark.parametrize("place", ["client_secret_basic", "client_secret_post"])
async def test_a_clients_secret_is_exchanged_for_tokens(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    api = TokenServer()
    async with http_server(api.handle) as api.url:
        source = open_openapi(exchanging(api, f"{api.url}/token", scope="read", secret_in=place))
        (tool,) = source.tools
        first = await asyncio.gather(*(tool.handler(body={"x": 1}) for _ in range(5)))
        assert first == [{"told": "Bearer ***"}] * 5
        assert len(api.forms) == 1, "calls at one time share a token"
        api.expired = True
        assert await tool.handler(body={"x": 1}) == {"told": "Bearer ***"}
        assert api.last["body"] == b'{"x":1}'
        await source.aclose()
    assert len(api.forms) == 2
    assert api.forms[0]["grant_type"] == "client_credentials"
    assert api.forms[0]["scope"] == "read"
    if place == "client_secret_post":
        assert (api.forms[0]["client_id"], api.forms[0]["client_secret"]) == ("shop", SECRET)
    else:
        pair = base64.b64decode(api.forms[0]["authorization"].removeprefix("Basic ")).decode()
        assert pair.split(":")[0] == "shop"
        assert unquote(pair.split(":")[1]) == SECRET


async def test_a_token_that_ends_soon_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    api = TokenServer()
    api.lasts = 5
    async with http_server(api.handle) as api.url:
        source = open_openapi(exchanging(api, None, token_url=f"{api.url}/token"))
        for _ in range(2):
            await source.tools[0].handler()
        await source.aclose()
    assert len(api.forms) == 2


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            web.json_response({"error": "invalid_client", "error_description": f"not {SECRET}"}, status=401),
            r"127.0.0.1 gave no token for this call \(HTTP 401: not \*\*\*\)",
        ),
        (web.Response(text="<html>"), r"its answer has no access_token"),
        (web.json_response({"access_token": "a\nb"}), r"its answer has no access_token"),
        (web.Response(status=302, headers={"Location": "https://elsewhere.example"}), r"HTTP 302"),
    ],
)
async def test_a_token_endpoint_that_gives_none(
    refusal: web.Response, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    api = TokenServer()
    api.refusal = refusal
    async with http_server(api.handle) as api.url:
        source = open_openapi(exchanging(api, f"{api.url}/token"))
        with pytest.raises(ToolFailedError, match=told) as caught:
            await source.tools[0].handler()
        await source.aclose()
    assert SECRET not in str(caught.value)
    assert api.requests == [], "without a token nothing is called"


@pytest.mark.parametrize(
    ("stated", "auth", "told"),
    [
        ("https://login.example.com/token", {}, "own: tokens come from login.example.com: give token_url"),
        (None, {}, "own: give token_url, such as"),
        (None, {"token_url": "ftp://a.example"}, "own: give token_url, such as"),
    ],
)
def test_a_secret_goes_to_no_host_that_only_the_document_names(
    stated: str | None, auth: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SECRET", SECRET)
    api = TokenServer()
    api.url = "http://127.0.0.1:9"
    with pytest.raises(ConfigError, match=told):
        open_openapi(exchanging(api, stated, **auth))
