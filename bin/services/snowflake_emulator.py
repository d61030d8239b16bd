"""Snowflake for tests: fakesnow's server (SQL on DuckDB), with what the Node driver needs and what loads rely on.

Usage: snowflake_emulator.py PORT

fakesnow answers queries in Arrow, which the Node driver does not read: they become JSON here. Beyond fakesnow, as Snowflake documents it:
definitions commit the open transaction, transactions have names and can be listed and aborted, quoted names can be taken for upper case,
settings of a session come back with every answer, and a session that ends undoes its open transaction.
A change that conflicts with another transaction's fails at once, where Snowflake would wait for a lock first.
"""

import asyncio
import base64
import datetime
import gzip
import importlib
import itertools
import json
import re
import sys

import duckdb
import pyarrow
import uvicorn
from sqlglot import exp
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

server = importlib.import_module("fakesnow.server")
copy_into = importlib.import_module("fakesnow.copy_into")
info_schema = importlib.import_module("fakesnow.info_schema")
stage = importlib.import_module("fakesnow.transforms.stage")

EPOCH = datetime.date(1970, 1, 1)
QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"((?:[^\"]|\"\")*)\"", re.DOTALL)
DEFINITION = re.compile(r"\s*(create|alter\s+table|drop|truncate)\b", re.IGNORECASE)
SETTING = re.compile(r"(\w+)\s*=\s*('[^']*'|\w+)")

transaction_ids = itertools.count(1)


class Session:
    """What Snowflake knows of a session and fakesnow does not."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.transaction: tuple[int, str] | None = None
        # A transaction that is aborted has no statement under way.
        self.lock = asyncio.Lock()


sessions: dict[str, Session] = {}


def session_of(token: str) -> Session:
    return sessions.setdefault(token, Session())


def as_text(value, kind: str) -> str | None:
    """A value as Snowflake's JSON has it."""
    if value is None:
        return None
    if kind == "BOOLEAN":
        return "1" if value else "0"
    if kind == "DATE":
        return str((value - EPOCH).days)
    if kind.startswith("TIMESTAMP"):
        text = f"{value['epoch']}.{value['fraction']:09d}"
        return f"{text} {value['timezone']}" if "timezone" in value else text
    if kind == "TIME":
        return f"{value // 10**9}.{value % 10**9:09d}"
    if kind == "BINARY":
        return value.hex()
    return repr(value) if kind == "REAL" else str(value)


def json_rows(encoded: str) -> list[list[str | None]]:
    if encoded == "":
        return []
    table = pyarrow.ipc.open_stream(base64.b64decode(encoded)).read_all()
    columns = []
    for field, column in zip(table.schema, table.columns):
        kind = field.metadata[b"logicalType"].decode()
        columns.append([as_text(value, kind) for value in column.to_pylist()])
    return [list(row) for row in zip(*columns)]


def rows_answer(names_and_kinds: list[tuple[str, str]], rows: list[list[str]]) -> JSONResponse:
    rowtype = [{"name": name, "type": kind, "nullable": True, "precision": 38, "scale": 0, "length": 0} for name, kind in names_and_kinds]
    data = {"rowtype": rowtype, "rowset": rows, "total": len(rows), "returned": len(rows), "queryResultFormat": "json", "parameters": []}
    return JSONResponse({"data": {**data, "queryId": "", "statementTypeId": 0x1000}, "success": True})


def done() -> JSONResponse:
    return rows_answer([("status", "text")], [["Statement executed successfully."]])


def refusal(number: str, state: str, message: str) -> JSONResponse:
    return JSONResponse({"data": {"errorCode": number, "sqlState": state}, "code": number, "message": message, "success": False})


def upper_case_quoted(sql: str) -> str:
    return QUOTED.sub(lambda match: match[0] if match[1] is None else match[0].upper(), sql)


def roll_back(token: str) -> None:
    connection = server.sessions.get(token)
    if connection is not None:
        try:
            connection._duck_conn.rollback()
        except duckdb.TransactionException:
            pass
        connection._in_transaction = False
    session_of(token).transaction = None


async def abort(transaction: int) -> JSONResponse:
    for token, session in list(sessions.items()):
        if session.transaction is not None and session.transaction[0] == transaction:
            async with session.lock:
                if session.transaction is not None and session.transaction[0] == transaction:
                    await run_in_threadpool(roll_back, token)
    return rows_answer([("result", "text")], [[f"Aborted transaction id: {transaction}"]])


async def own_answer(sql: str, token: str) -> JSONResponse | None:
    """Statements that fakesnow does not know."""
    session = session_of(token)
    if re.match(r"\s*alter\s+session\s+set\b", sql, re.IGNORECASE):
        session.settings.update({name.upper(): value.strip("'") for name, value in SETTING.findall(sql)})
        server.sessions[token].autocommit(session.settings.get("AUTOCOMMIT") != "false")
        return done()
    if re.match(r"\s*select\s+current_transaction\(\)", sql, re.IGNORECASE):
        return rows_answer([("ID", "text")], [[None if session.transaction is None else str(session.transaction[0])]])
    if re.match(r"\s*show\s+transactions\b", sql, re.IGNORECASE):
        rows = [[str(one.transaction[0]), one.transaction[1]] for one in sessions.values() if one.transaction is not None]
        return rows_answer([("id", "fixed"), ("name", "text")], rows)
    aborted = re.match(r"\s*select\s+system\$abort_transaction\((\d+)\)", sql, re.IGNORECASE)
    return None if aborted is None else await abort(int(aborted[1]))


async def query(request) -> JSONResponse:
    token = server.to_token(request)
    body = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    call = json.loads(body)
    own = await own_answer(call["sqlText"], token)
    if own is not None:
        return own
    async with session_of(token).lock:
        return await run_statement(request, call, token)


async def run_statement(request, call: dict, token: str) -> JSONResponse:
    sql = call["sqlText"]
    session = session_of(token)
    if session.settings.get("QUOTED_IDENTIFIERS_IGNORE_CASE") == "true":
        sql = upper_case_quoted(sql)
    began = re.match(r"\s*begin\b(?:\s+transaction)?(?:\s+name\s+(\w+))?", sql, re.IGNORECASE)
    if began is not None:
        sql = "begin"
    elif session.transaction is not None and DEFINITION.match(sql):
        await run_in_threadpool(server.sessions[token]._duck_conn.commit)
        session.transaction = None
    call["sqlText"] = sql
    request._body = json.dumps(call).encode()
    request.scope["headers"] = [header for header in request.scope["headers"] if header[0] != b"content-encoding"]
    request.__dict__.pop("_headers", None)
    answer = await server.query_request(request)
    result = json.loads(answer.body)
    if answer.status_code == 500:
        return failed(server_error(request, sql), sql)
    data = result.get("data") or {}
    if result.get("code") == "002003" and "already exists" in result["message"]:
        return refusal("002002", "42710", result["message"])
    if result["success"]:
        if began is not None:
            session.transaction = (next(transaction_ids), began[1] or "")
        elif re.match(r"\s*(commit|rollback)\b", sql, re.IGNORECASE):
            session.transaction = None
        elif session.transaction is None and server.sessions[token]._in_transaction:
            session.transaction = (next(transaction_ids), "")
    if data.get("queryResultFormat") == "arrow":
        data["queryResultFormat"] = "json"
        data["rowset"] = json_rows(data.pop("rowsetBase64"))
    if "rowset" in data:
        data["returned"] = len(data["rowset"])
        data["parameters"] = [{"name": name, "value": value} for name, value in session.settings.items()]
    return JSONResponse(result, status_code=answer.status_code)


last_errors: dict[str, BaseException] = {}


def server_error(request, sql: str) -> BaseException:
    return last_errors.pop(server.to_token(request), RuntimeError(f"fakesnow cannot run {sql}"))


def failed(error: BaseException, sql: str) -> JSONResponse:
    """Errors of DuckDB that fakesnow passes on, as Snowflake's. One within a transaction undoes it in DuckDB, so that its statements fail until it is rolled back."""
    message = str(error)
    if isinstance(error, duckdb.TransactionException):
        # Of two definitions at once the second finds the first one's object.
        return refusal("002002", "42710", message) if DEFINITION.match(sql) else refusal("000625", "57014", message)
    if isinstance(error, duckdb.Error):
        return refusal("100072" if isinstance(error, duckdb.ConstraintException) else "100000", "22000", message)
    return refusal("001003", "42000", message)


def remembering_errors(execute):
    def run(self, *args, **kwargs):
        try:
            return execute(self, *args, **kwargs)
        except Exception as error:
            for token, connection in server.sessions.items():
                if connection is self._conn:
                    last_errors[token] = error
            raise

    return run


def merging_within_transactions(execute):
    """A merge makes a temporary table first, which fakesnow takes for a definition of the user's: one that commits."""

    def run(self, statement, params=None):
        table = statement.find(exp.Table) if isinstance(statement, exp.Create) else None
        if table is None or table.name.lower() != "merge_candidates":
            return execute(self, statement, params)
        connection = self._conn
        connection._autocommit, before = True, connection._autocommit
        try:
            return execute(self, statement, params)
        finally:
            connection._autocommit = before

    return run


async def login(request) -> JSONResponse:
    answer = json.loads((await server.login_request(request)).body)
    # Told of a threshold of 0, the Node driver would stage every parameter.
    answer["data"]["parameters"] = [one for one in answer["data"]["parameters"] if one["name"] != "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD"]
    return JSONResponse(answer)


async def end_session(request) -> JSONResponse:
    token = server.to_token(request)
    if request.query_params.get("delete"):
        await run_in_threadpool(roll_back, token)
        sessions.pop(token, None)
    return await server.session(request)


def local_stage(_request, _statement, upload: dict) -> dict:
    """The driver copies files into the stage's folder by itself: both are on one machine."""
    return upload["stageInfo"]


def naming_staged_files(urls_of):
    """fakesnow takes files by name from addresses alone, not from a stage's folder."""

    def urls(source: str, files: list[str]) -> list[str]:
        return [f"{source}{file}" for file in files] if stage.is_internal(source) else urls_of(source, files)

    return urls


def main() -> None:
    server.gcs_stage_info = local_stage
    # A merge makes a temporary table: what is noted down of it would be in a second database, and a transaction writes to one.
    stage.TableStages.record_temporary_table = lambda *_: None
    info_schema.insert_table_comment_sql = lambda *_: "select 1"
    copy_into._source_urls = naming_staged_files(copy_into._source_urls)
    cursor = server.FakeSnowflakeCursor
    cursor.execute = remembering_errors(cursor.execute)
    cursor._execute = merging_within_transactions(cursor._execute)
    own = {"/session/v1/login-request": login, "/queries/v1/query-request": query, "/session": end_session}
    app = server.app
    for place, route in enumerate(app.router.routes):
        if isinstance(route, Route) and route.path in own:
            app.router.routes[place] = Route(route.path, own[route.path], methods=["POST"])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


main()
