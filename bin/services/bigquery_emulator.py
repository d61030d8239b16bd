"""BigQuery for tests: the REST API v2 as its discovery document describes it, as far as Downbeat asks for it; GoogleSQL by sqlglot on DuckDB.

Usage: bigquery_emulator.py PORT

As BigQuery documents it: jobs that are waited for, load jobs by resumable upload, sessions with temporary tables and transactions over several queries,
no definitions of permanent tables within a transaction, snapshots from BEGIN on, and conflicts by table: a transaction that changes or deletes rows of a table
which another one has changed meanwhile is aborted; INSERT and load jobs conflict with nothing; statements outside of transactions wait.
A project is a DuckDB instance, a dataset a schema. BIGNUMERIC has 38 digits at most.
"""

import itertools
import json
import re
import sys
import tempfile
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb
import sqlglot
from sqlglot import exp

QUEUE_SECONDS = 30
ROW_COUNT = re.compile(r"@@row_count", re.IGNORECASE)
ABORT_SESSION = re.compile(r"^\s*call\s+bq\.abort_session\((?:'([^']*)')?\)", re.IGNORECASE)
MUTATING = (exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)
DEFINING = (exp.Create, exp.Alter, exp.Drop)
FIELD_TYPES = {
    "BIGINT": "INTEGER", "INTEGER": "INTEGER", "HUGEINT": "INTEGER", "DOUBLE": "FLOAT", "FLOAT": "FLOAT", "BOOLEAN": "BOOLEAN", "VARCHAR": "STRING",
    "BLOB": "BYTES", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "DATETIME", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "JSON": "JSON",
}
COLUMN_TYPES = {
    "INTEGER": "BIGINT", "INT64": "BIGINT", "FLOAT": "DOUBLE", "FLOAT64": "DOUBLE", "BOOLEAN": "BOOLEAN", "BOOL": "BOOLEAN", "STRING": "VARCHAR",
    "BYTES": "BLOB", "DATE": "DATE", "TIME": "TIME", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ", "JSON": "JSON",
}


class ApiError(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


def quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def column_type(field: dict) -> str:
    kind = field["type"].upper()
    if kind in ("NUMERIC", "BIGNUMERIC"):
        return f"DECIMAL({field.get('precision', 38)},{field.get('scale', 0 if 'precision' in field else 9)})"
    return COLUMN_TYPES[kind]


def field_of(name: str, kind: str, required: bool = False, default: str | None = None) -> dict:
    field = {"name": name, "mode": "REQUIRED" if required else "NULLABLE"}
    if default is not None:
        field["defaultValueExpression"] = default
    decimal = re.match(r"DECIMAL\((\d+),(\d+)\)", kind)
    if decimal is None:
        return {**field, "type": FIELD_TYPES.get(kind, "STRING")}
    precision, scale = int(decimal[1]), int(decimal[2])
    fits = scale <= 9 and precision - scale <= 29
    if (precision, scale) == (38, 9):
        return {**field, "type": "NUMERIC"}
    return {**field, "type": "NUMERIC" if fits else "BIGNUMERIC", "precision": str(precision), **({"scale": str(scale)} if scale else {})}


def as_text(column: str, kind: str) -> str:
    """A column of DuckDB as the API's text."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"cast(epoch_us({column}) as varchar)"
    if kind == "TIMESTAMP":
        return f"replace(cast({column} as varchar), ' ', 'T')"
    if kind == "BLOB":
        return f"base64({column})"
    if kind in ("DOUBLE", "FLOAT"):
        return f"case cast({column} as varchar) when 'nan' then 'NaN' when 'inf' then 'Infinity' when '-inf' then '-Infinity' else cast({column} as varchar) end"
    if kind.startswith("DECIMAL") and not kind.endswith(",0)"):
        return f"rtrim(rtrim(regexp_replace(cast({column} as varchar), '^(-?)\\.', '\\1' || '0.'), '0'), '.')"
    return f"cast({column} as varchar)"


class Session:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.id = f"session_{uuid.uuid4().hex}"
        self.connection = connection
        self.in_transaction = False
        self.began = 0
        self.mutated: set[str] = set()
        self.ended = False

    def end_transaction(self, statement: str) -> None:
        try:
            self.connection.execute(statement)
        except duckdb.TransactionException as error:
            raise aborted(str(error)) from error
        finally:
            self.in_transaction = False
            self.mutated = set()


def aborted(what: str) -> ApiError:
    return ApiError(400, "invalidQuery", f"Transaction is aborted due to concurrent update against table {what}. Transaction ID: {uuid.uuid4()}")


class Project:
    def __init__(self, name: str) -> None:
        self.name = name
        self.root = self.connect(duckdb.connect(":memory:"))
        self.root.execute("create table _snapshot (one int)")
        # Statements come one after the other; what waits for a transaction lets others by.
        self.turn = threading.Condition()
        self.sessions: dict[str, Session] = {}
        self.jobs: dict[str, "Job"] = {}
        self.datasets: dict[str, dict] = {}
        self.tables: dict[str, dict] = {}
        self.clock = itertools.count(1)
        self.changed_at: dict[str, int] = {}

    @staticmethod
    def connect(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        connection.execute("set timezone = 'UTC'")
        return connection

    def new_session(self) -> Session:
        session = Session(self.connect(self.root.cursor()))
        self.sessions[session.id] = session
        return session

    def find_session(self, name: str) -> Session:
        session = self.sessions.get(name)
        if session is None or session.ended:
            raise ApiError(404, "notFound", f"Not found: Session {name} was terminated or has never been")
        return session

    def abort_session(self, name: str) -> None:
        session = self.find_session(name)
        session.ended = True
        if session.in_transaction:
            session.end_transaction("rollback")
        session.connection.close()
        self.turn.notify_all()

    def run(self, sql: str, params: dict, session: Session | None, dataset: str | None = None) -> "Result":
        """All statements of a query; without a session a transaction that it leaves open is undone."""
        own = session or Session(self.connect(self.root.cursor()))
        if dataset in self.datasets:
            own.connection.execute(f"set schema = {quoted(dataset)}")
        result = Result([], [], None)
        is_script = False
        try:
            for text in split(sql):
                found = self.run_one(text, params, own, session is not None or is_script or ";" in sql.strip().rstrip(";"), result.changed)
                # A script answers with what its last query gave.
                result = Result(found.fields or result.fields, found.rows if found.fields else result.rows, found.changed)
                is_script = True
            return result
        except Exception:
            if own.in_transaction:
                own.end_transaction("rollback")
            raise
        finally:
            if session is None:
                if own.in_transaction:
                    own.end_transaction("rollback")
                own.connection.close()
            self.turn.notify_all()

    def run_one(self, text: str, params: dict, session: Session, keeps_state: bool, last: int | None) -> "Result":
        abort = ABORT_SESSION.match(text)
        if abort is not None:
            self.abort_session(abort[1] or session.id)
            return Result([], [], None)
        text = ROW_COUNT.sub("cast(null as int64)" if last is None else str(last), text)
        try:
            statement = sqlglot.parse_one(text, read="bigquery")
        except sqlglot.errors.ParseError as error:
            raise ApiError(400, "invalidQuery", f"Syntax error: {error}") from error
        if isinstance(statement, (exp.Transaction, exp.Commit, exp.Rollback)):
            return self.transact(statement, session, keeps_state)
        return self.execute(statement, params, session)

    def transact(self, statement: exp.Expression, session: Session, keeps_state: bool) -> "Result":
        if isinstance(statement, exp.Transaction):
            if session.in_transaction or not keeps_state:
                raise ApiError(400, "invalidQuery", "Transaction control statements are supported only in scripts or sessions, and are not nested")
            session.connection.execute("begin")
            # DuckDB takes its snapshot when it reads first.
            session.connection.execute("select * from main._snapshot").fetchall()
            session.in_transaction, session.began, session.mutated = True, next(self.clock), set()
            return Result([], [], None)
        if not session.in_transaction:
            raise ApiError(400, "invalidQuery", "There is no active transaction")
        mutated = session.mutated
        session.end_transaction("commit" if isinstance(statement, exp.Commit) else "rollback")
        if isinstance(statement, exp.Commit):
            self.changed_at.update(dict.fromkeys(mutated, next(self.clock)))
        return Result([], [], None)

    def execute(self, statement: exp.Expression, params: dict, session: Session) -> "Result":
        target = statement.find(exp.Table)
        is_temporary = isinstance(statement, DEFINING) and ("TEMPORARY" in statement.sql().upper().split("(")[0] or (target is not None and target.db == ""))
        if isinstance(statement, DEFINING) and session.in_transaction and not is_temporary:
            raise ApiError(400, "invalidQuery", "DDL statements are not supported in a transaction, except for those targeting temporary tables or temporary functions.")
        if isinstance(statement, MUTATING):
            if isinstance(statement, (exp.Update, exp.Delete)) and statement.args.get("where") is None:
                raise ApiError(400, "invalidQuery", f"{statement.key.upper()} must have a WHERE clause")
            self.claim(target_of(statement), session)
        sql = to_duckdb(statement, params, self.name)
        try:
            if isinstance(statement, (exp.Query, exp.Describe)):
                return self.select(sql, session)
            counted = session.connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise from_duckdb(error, sql) from error
        changed = counted[0][0] if isinstance(statement, (exp.Insert, *MUTATING)) and counted else None
        if isinstance(statement, MUTATING) and not session.in_transaction:
            self.changed_at[target_of(statement)] = next(self.clock)
        return Result([], [], changed)

    def claim(self, table: str, session: Session) -> None:
        """Conflicts are by table: a transaction is aborted, a statement by itself waits its turn."""
        def others() -> bool:
            return any(table in other.mutated for other in self.sessions.values() if other is not session and other.in_transaction)

        if "." not in table:
            return
        if session.in_transaction:
            if others() or self.changed_at.get(table, 0) > session.began:
                raise aborted(f"{self.name}:{table}")
            session.mutated.add(table)
        elif not self.turn.wait_for(lambda: not others(), QUEUE_SECONDS):
            raise ApiError(400, "jobRateLimitExceeded", f"Could not serialize access to table {self.name}:{table} due to concurrent update")

    def select(self, sql: str, session: Session) -> "Result":
        described = session.connection.execute(f"describe {sql}").fetchall()
        columns = [(row[0], row[1]) for row in described]
        texts = ", ".join(as_text(f"c{place}", kind) for place, (_, kind) in enumerate(columns))
        names = ", ".join(f"c{place}" for place in range(len(columns)))
        rows = session.connection.execute(f"select {texts} from ({sql}) as t({names})").fetchall()
        return Result([field_of(name, kind) for name, kind in columns], rows, None)

    def describe(self, dataset: str, table: str) -> dict:
        found = self.root.execute(
            "select column_name, data_type, is_nullable, column_default from duckdb_columns() where schema_name = ? and table_name = ? order by column_index",
            [dataset, table],
        ).fetchall()
        if not found:
            raise ApiError(404, "notFound", f"Not found: Table {self.name}:{dataset}.{table}")
        fields = [field_of(name, kind, not nullable, default) for name, kind, nullable, default in found]
        kept = self.tables.get(f"{dataset}.{table}", {})
        reference = {"projectId": self.name, "datasetId": dataset, "tableId": table}
        return {"kind": "bigquery#table", "etag": "first", **kept, "tableReference": reference, "schema": {"fields": fields}}

    def make_table(self, dataset: str, body: dict) -> dict:
        name = body["tableReference"]["tableId"]
        columns = ", ".join(f"{quoted(field['name'])} {column_type(field)}" for field in body["schema"]["fields"])
        try:
            self.root.execute(f"create table {quoted(dataset, name)} ({columns})")
        except duckdb.CatalogException as error:
            if dataset not in self.datasets:
                raise ApiError(404, "notFound", f"Not found: Dataset {self.name}:{dataset}") from error
            raise ApiError(409, "duplicate", f"Already Exists: Table {self.name}:{dataset}.{name}") from error
        self.tables[f"{dataset}.{name}"] = {key: body[key] for key in ("description", "expirationTime", "labels") if key in body} | {"etag": uuid.uuid4().hex}
        return self.describe(dataset, name)

    def patch_table(self, dataset: str, name: str, body: dict, etag: str | None) -> dict:
        if etag is not None and self.describe(dataset, name)["etag"] != etag:
            raise ApiError(412, "conditionNotMet", "Precondition Failed")
        self.tables[f"{dataset}.{name}"] = {**self.tables.get(f"{dataset}.{name}", {}), **body, "etag": uuid.uuid4().hex}
        return self.describe(dataset, name)

    def drop_table(self, dataset: str, name: str) -> None:
        self.describe(dataset, name)
        self.root.execute(f"drop table {quoted(dataset, name)}")
        self.tables.pop(f"{dataset}.{name}", None)

    def load(self, config: dict, data: bytes) -> "Result":
        target = config["destinationTable"]
        self.describe(target["datasetId"], target["tableId"])
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(data)
            file.flush()
            names = [row[0] for row in self.root.execute(f"describe select * from read_parquet('{file.name}')").fetchall()]
            listed = ", ".join(quoted(name) for name in names)
            into = quoted(target["datasetId"], target["tableId"])
            try:
                rows = self.root.execute(f"insert into {into} ({listed}) select {listed} from read_parquet('{file.name}')").fetchall()
            except duckdb.Error as error:
                raise ApiError(400, "invalid", str(error)) from error
        return Result([], [], rows[0][0])


class Result:
    def __init__(self, fields: list[dict], rows: list[tuple], changed: int | None) -> None:
        self.fields, self.rows, self.changed = fields, rows, changed


def split(sql: str) -> list[str]:
    """Statements of a script: at semicolons outside of strings, quoted names and comments."""
    opaque = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|#[^\n]*|/\*.*?\*/|;|[^;'\"`#/-]+|.", re.DOTALL)
    parts, current = [], ""
    for match in opaque.finditer(sql):
        if match[0] == ";":
            parts.append(current)
            current = ""
        elif not match[0].startswith(("--", "#", "/*")):
            current += match[0]
    return [part for part in [*parts, current] if part.strip() != ""]


def target_of(statement: exp.Expression) -> str:
    table = statement.find(exp.Table) if not isinstance(statement, exp.TruncateTable) else statement.expressions[0]
    return f"{table.db}.{table.name}" if table.db else table.name


def typed_literal(param: dict) -> exp.Expression:
    kind = param["parameterType"]["type"]
    value = param.get("parameterValue", {}).get("value")
    inner = exp.null() if value is None else exp.Literal.string(value)
    return exp.cast(inner, exp.DataType.build(kind, dialect="bigquery"))


def to_duckdb(statement: exp.Expression, params: dict, project: str) -> str:
    into_table = isinstance(statement, exp.Insert)

    def change(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Parameter):
            name = node.name.lower()
            if name not in params:
                raise ApiError(400, "invalidQuery", f"Query parameter '{name}' not found")
            return typed_literal(params[name])
        if isinstance(node, exp.Table) and node.name.lower() == "information_schema.tables":
            return exp.table_("tables", db="information_schema")
        if isinstance(node, exp.Table) and node.catalog == project:
            node.set("catalog", None)
        if isinstance(node, exp.Schema):
            node.set("expressions", [one for one in node.expressions if not isinstance(one, exp.PrimaryKey)])
        if isinstance(node, exp.Create):
            node.set("properties", without_options(node.args.get("properties")))
        if isinstance(node, exp.Cast):
            kind = node.to.sql(dialect="bigquery").upper()
            if kind == "BIGNUMERIC" and into_table:
                # DuckDB casts to the column's own digits.
                return node.this
            if kind in ("NUMERIC", "BIGNUMERIC"):
                return exp.cast(node.this, exp.DataType.build(f"DECIMAL(38,{9 if kind == 'NUMERIC' else 18})", dialect="duckdb"))
        if isinstance(node, exp.DataType) and node.parent is not None and isinstance(node.parent, exp.ColumnDef) and node.sql(dialect="bigquery").upper() == "NUMERIC":
            return exp.DataType.build("DECIMAL(38,9)", dialect="duckdb")
        if isinstance(node, exp.ParseJSON):
            return exp.cast(node.this, exp.DataType.build("JSON", dialect="duckdb"))
        if isinstance(node, exp.DateFromUnixDate):
            return exp.cast(exp.Anonymous(this="to_days", expressions=[exp.cast(node.this, "int")]) + exp.cast(exp.Literal.string("1970-01-01"), "date"), "date")
        if isinstance(node, exp.UnixToTime):
            return exp.Anonymous(this="make_timestamptz", expressions=[node.this])
        return node

    return statement.transform(change).sql(dialect="duckdb")


def without_options(properties: exp.Expression | None) -> exp.Expression | None:
    kept = [one for one in (properties.expressions if properties is not None else []) if isinstance(one, exp.TemporaryProperty)]
    return exp.Properties(expressions=kept) if kept else None


def from_duckdb(error: duckdb.Error, sql: str) -> ApiError:
    message = str(error)
    if isinstance(error, duckdb.TransactionException):
        return aborted(message)
    missing = re.search(r"Table with name (\S+) does not exist|Schema with name (\S+) does not exist", message)
    if missing is not None:
        return ApiError(404, "notFound", f"Not found: Table {missing[1] or missing[2]}")
    if "already exists" in message:
        return ApiError(409, "duplicate", f"Already Exists: {message}")
    return ApiError(400, "invalidQuery", message)


class Job:
    def __init__(self, project: Project, config: dict, reference: dict, data: bytes) -> None:
        self.project, self.config, self.data = project, config, data
        self.reference = {**reference, "projectId": project.name}
        self.session: str | None = None
        self.error: ApiError | None = None
        self.result = Result([], [], None)
        self.future = workers.submit(self.work)

    def work(self) -> None:
        try:
            with self.project.turn:
                self.result = self.load() if "load" in self.config else self.query(self.config["query"])
        except ApiError as error:
            self.error = error
        except Exception as error:
            self.error = ApiError(400, "invalidQuery", f"{type(error).__name__}: {error}")

    def load(self) -> Result:
        return self.project.load(self.config["load"], self.data)

    def query(self, config: dict) -> Result:
        named = {one["key"]: one["value"] for one in config.get("connectionProperties", [])}
        session = self.project.find_session(named["session_id"]) if "session_id" in named else None
        if config.get("createSession"):
            session = self.project.new_session()
        self.session = None if session is None else session.id
        params = {one["name"].lower(): one for one in config.get("queryParameters", [])}
        return self.project.run(config["query"], params, session, config.get("defaultDataset", {}).get("datasetId"))

    def resource(self) -> dict:
        status: dict = {"state": "DONE" if self.future.done() else "RUNNING"}
        if self.error is not None:
            status["errorResult"] = {"reason": self.error.reason, "message": str(self.error)}
            status["errors"] = [status["errorResult"]]
        statistics: dict = {} if self.session is None else {"sessionInfo": {"sessionId": self.session}}
        return {"kind": "bigquery#job", "jobReference": self.reference, "configuration": self.config, "status": status, "statistics": statistics}

    def results(self, wait_ms: int, start: int, most: int) -> dict:
        try:
            self.future.result(wait_ms / 1000)
        except NotYet:
            return {"jobComplete": False, "jobReference": self.reference}
        if self.error is not None:
            raise self.error
        rows = self.result.rows[start : start + most]
        answer = {"jobComplete": True, "jobReference": self.reference, "schema": {"fields": self.result.fields}, "totalRows": str(len(self.result.rows))}
        if self.session is not None:
            answer["sessionInfo"] = {"sessionId": self.session}
        answer["rows"] = [{"f": [{"v": value} for value in row]} for row in rows]
        if start + most < len(self.result.rows):
            answer["pageToken"] = str(start + most)
        return answer if self.result.changed is None else {**answer, "numDmlAffectedRows": str(self.result.changed)}


workers = ThreadPoolExecutor(64)
projects: dict[str, Project] = {}
making = threading.Lock()
uploads: dict[str, tuple[Project, dict]] = {}
PATH = re.compile(r"^(?:/upload|/resumable/upload)?/bigquery/v2/projects/([^/]+)(/.*)?$")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes in one piece, at once.
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_args) -> None:
        pass

    def answer(self, status: int, body: dict | None, headers: dict | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def handle_call(self) -> None:
        url = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if url.path == "/":
                return self.answer(200, {})
            if self.command == "PUT":
                project, body = uploads.pop(parse_qs(url.query)["upload_id"][0])
                return self.answer(200, self.insert_job(project, body, data))
            found = PATH.match(url.path)
            if found is None:
                raise ApiError(404, "notFound", f"Not found: {url.path}")
            project = project_of(unquote(found[1]))
            body = json.loads(data) if data else {}
            if url.path.startswith("/upload"):
                upload = uuid.uuid4().hex
                uploads[upload] = (project, body)
                return self.answer(200, None, {"Location": f"http://{self.headers['Host']}{url.path}?upload_id={upload}"})
            parts = [unquote(part) for part in (found[2] or "").split("/") if part]
            self.answer(200, self.route(project, parts, body, {key: values[0] for key, values in parse_qs(url.query).items()}))
        except ApiError as error:
            one = {"message": str(error), "domain": "global", "reason": error.reason}
            self.answer(error.status, {"error": {"code": error.status, "message": str(error), "errors": [one]}})

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_call

    def insert_job(self, project: Project, body: dict, data: bytes = b"") -> dict:
        reference = body.get("jobReference") or {"jobId": uuid.uuid4().hex}
        with project.turn:
            if reference["jobId"] in project.jobs:
                raise ApiError(409, "duplicate", f"Already Exists: Job {project.name}:{reference['jobId']}")
            job = project.jobs[reference["jobId"]] = Job(project, body["configuration"], reference, data)
        return job.resource()

    def route(self, project: Project, parts: list[str], body: dict, query: dict) -> dict:
        match (self.command, *parts):
            case ("POST", "jobs"):
                return self.insert_job(project, body)
            case ("POST", "queries"):
                with project.turn:
                    job = project.jobs[uuid.uuid4().hex] = Job(project, {"query": body}, {"jobId": uuid.uuid4().hex}, b"")
                return job.results(body.get("timeoutMs", 10_000), 0, 100_000)
            case ("GET", "jobs", name):
                return job_of(project, name).resource()
            case ("POST", "jobs", name, "cancel"):
                return {"job": job_of(project, name).resource()}
            case ("GET", "queries", name):
                job = job_of(project, name)
                return job.results(int(query.get("timeoutMs", 10_000)), int(query.get("pageToken", 0)), int(query.get("maxResults", 100_000)))
        with project.turn:
            return self.metadata(project, parts, body)

    def metadata(self, project: Project, parts: list[str], body: dict) -> dict:
        match (self.command, *parts):
            case ("POST", "datasets"):
                name = body["datasetReference"]["datasetId"]
                if name in project.datasets:
                    raise ApiError(409, "duplicate", f"Already Exists: Dataset {project.name}:{name}")
                project.root.execute(f"create schema if not exists {quoted(name)}")
                project.datasets[name] = {"location": "US", **body}
                return project.datasets[name]
            case ("GET", "datasets", name):
                if name not in project.datasets:
                    raise ApiError(404, "notFound", f"Not found: Dataset {project.name}:{name}")
                return project.datasets[name]
            case ("POST", "datasets", dataset, "tables"):
                return project.make_table(dataset, body)
            case ("GET", "datasets", dataset, "tables"):
                names = project.root.execute("select table_name from duckdb_tables() where schema_name = ?", [dataset]).fetchall()
                return {"tables": [{"tableReference": {"projectId": project.name, "datasetId": dataset, "tableId": name}} for (name,) in names]}
            case ("GET", "datasets", dataset, "tables", name):
                return project.describe(dataset, name)
            case ("PATCH", "datasets", dataset, "tables", name):
                return project.patch_table(dataset, name, body, self.headers.get("If-Match"))
            case ("DELETE", "datasets", dataset, "tables", name):
                project.drop_table(dataset, name)
                return {}
        raise ApiError(404, "notFound", f"Not found: {self.command} {'/'.join(parts)}")


def project_of(name: str) -> Project:
    with making:
        if name not in projects:
            projects[name] = Project(name)
        return projects[name]


def job_of(project: Project, name: str) -> Job:
    if name not in project.jobs:
        raise ApiError(404, "notFound", f"Not found: Job {project.name}:{name}")
    return project.jobs[name]


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.serve_forever()


main()
