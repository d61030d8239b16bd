// What to do about each error: the sections of docs/reference/errors.md.

import type { ErrorCode } from "../../core/errors.ts";

export const ERROR_ADVICE: Readonly<Record<ErrorCode, string>> = {
  DEFINITION_MALFORMED: "The text cannot be parsed. The issues give line and column; look for indentation, unclosed quotes and brackets.",
  DEFINITION_INVALID:
    "The document is well-formed and breaks rules. `issues` has all of them, each with its path, line and column. `POST /v1/pipelines/validate` checks without saving.",
  REQUEST_INVALID: "Compare the request with the API reference at `/reference`; `issues` names the keys.",
  PARAMS_INVALID: "The params of the trigger do not fit the JSON Schema under `params` of the pipeline's version.",
  BODY_TOO_LARGE:
    "A definition may have 4 MB: split the pipeline, or generate less of it. An event of a webhook may have 64 KB: send a reference to what it is about.",
  MEDIA_TYPE_UNSUPPORTED: "Send `content-type: application/json`, or `application/yaml` where a definition is taken.",
  NOT_FOUND: "Check the name or id; lists show what there is.",
  METHOD_NOT_ALLOWED: "The detail names the methods that the path takes.",
  CONFLICT:
    "Something else stands in the way; the detail says what. A connection in use cannot be deleted before the pipelines go without it.",
  IDEMPOTENCY_KEY_REUSED:
    "A key stands for one request. Use another key for other params, another version, another action, or another body of the same action.",
  RUN_NOT_ACTIVE: "The run has ended; there is nothing to cancel.",
  ACTION_REFUSED:
    "The detail says in which state it is (the run and its task, the pipeline, the schedule, …), and what the action needs. Nothing has happened, and nothing is recorded.",
  PIPELINE_PAUSED:
    "The detail says who paused it and why. Resume it with `POST /v1/pipelines/NAME/resume`, or start this one run with `force: true`. A task that runs a paused pipeline waits for it within its `timeout.total`.",
  UNAUTHENTICATED: "Send the key of `DOWNBEAT_API_KEY` as a bearer token or in `X-API-Key`.",
  SIGNATURE_INVALID:
    "Sign the raw body with the secret that the trigger's `secret` leads to, and send the time with it; the sender's clock may be 5 minutes off. See [event triggers](../guides/event-triggers.md).",
  TRIGGER_PAUSED:
    "Events are not taken while a trigger is paused. Resume it with `POST /v1/pipelines/NAME/triggers/TRIGGER/resume` and send the event again.",
  FORBIDDEN: "A page of another site sent the request through somebody's browser. Programs and the API's own pages are not affected.",
  CONFIG_INVALID: "The message lists every fault of the environment or of `downbeat.config.ts`. See [configuration](configuration.md).",
  CONNECTION_NOT_FOUND: "Create the connection with `PUT /v1/connections/NAME`, or mend the name in the task.",
  CONNECTION_INVALID: "The configuration does not fit the connector; the issues name the keys. See [connectors](connectors.md).",
  CONNECTOR_UNKNOWN: "Check the kind. A connector of your own must be named in the `downbeat.config.ts` of API and workers alike.",
  ROLE_UNSUPPORTED: "The connector cannot do what the task asks for, such as run SQL. See its roles in [connectors](connectors.md).",
  SECRET_UNRESOLVED:
    "The environment variable or file that the connection refers to is not there on the worker, or the store's key has changed.",
  SOURCE_AUTH: "Check user, password, token and grants of the source's connection; `POST /v1/connections/NAME/check` tries them.",
  SOURCE_UNAVAILABLE:
    "The source does not answer or broke off. The task tries again; check host, port and the server itself if it goes on.",
  SOURCE_STREAM_NOT_FOUND: "Check the stream's name; `POST /v1/connections/NAME/discover` lists what there is.",
  SOURCE_OPTIONS_INVALID:
    "A key of `from` or `to` asks for something that the connector cannot do. See its options in [connectors](connectors.md).",
  SOURCE_TYPE_UNSUPPORTED: "Leave the column out with `columns`, or cast it in a `query`.",
  SOURCE_DATA_INVALID:
    "A row cannot be read or mapped; the message says where it lies. Repair it, or divert such rows with `dead_letters.max_rows`.",
  SOURCE_FILE_BROKEN: "The file is truncated or not in its format. Upload it again; nothing of it was committed that will be doubled.",
  SOURCE_CHANGED: "An object changed or vanished while it was read. The next attempt lists anew.",
  SOURCE_LOG_UNUSABLE:
    "The message names the settings that the server's log needs to be followed. Set them, wait until changes are written with them, and start the load anew.",
  SOURCE_LOG_LOST:
    "The server has removed its log, or it is another server, or the table was emptied or dropped: what changed meanwhile cannot be told. Keep logs longer than the longest pause between two loads, and load the stream anew: delete its cursor (see Downbeat's own tables) and empty the table.",
  SOURCE_QUERY_FAILED: "The source refused the query; the message is its own. Try the query there.",
  CURSOR_NULL: "Rows without a cursor value would never be read. Fill the column, choose another one, or set `null_cursor: dead_letter`.",
  CURSOR_INVALID: "The column does not exist among those that are read, or its values cannot be compared exactly. Choose another.",
  RATE_LIMITED:
    "The other system asks to wait; the task waits as long as it says. `requests_per_second` of an HTTP connection keeps below a limit.",
  DESTINATION_AUTH: "Check user, password and grants of the destination's connection.",
  DESTINATION_UNAVAILABLE: "The destination does not answer, or another process owns its file. The task tries again.",
  DESTINATION_TABLE_INVALID: "The table's name, key or state does not fit what the task asks for; the message says which.",
  DESTINATION_SCHEMA_MISMATCH:
    "The stream brings a column that the table cannot hold. Change the table, declare the stream's columns, or set `schema`.",
  DESTINATION_TYPE_UNSUPPORTED:
    "The destination has no type that holds the column without loss. Cast it in a source query, or declare it as string.",
  DESTINATION_DATA_REFUSED: "The destination refused rows: a constraint, a NULL in a key, a value out of range. The message is its own.",
  DESTINATION_FULL: "The destination's disk, memory or the worker's temporary folder is full. Make room; the task tries again.",
  LOAD_FENCED: "Another attempt of the same load went on meanwhile; this one stopped without writing. Nothing is to be done.",
  DEAD_LETTER_LIMIT:
    "More rows were refused than `dead_letters` allows, in number or as a share. Look at [`_downbeat.dead_letters`](bookkeeping.md), repair the source, or raise the limit: [bad rows](../guides/bad-rows.md).",
  SQL_FAILED: "The warehouse refused the SQL; the message is its own. Statements of a task are one transaction: nothing of it stands.",
  CHECK_FAILED:
    "The expectation does not hold; the message names every one that failed with what was observed. Tasks behind it did not start.",
  HTTP_REFUSED: "The endpoint answered with a status of 400 to 499; the message has the beginning of its answer.",
  HTTP_UNAVAILABLE: "The endpoint does not answer or answered with a status from 500. The task tries again.",
  COMMAND_REFUSED:
    "Workers run no program that `DOWNBEAT_COMMANDS` does not allow, no container image that `DOWNBEAT_IMAGES` does not, and no shell without `DOWNBEAT_COMMAND_SHELL`; or it is not on the worker's PATH, or not executable. The message says which.",
  COMMAND_FAILED:
    "The message ends with the last lines that the program wrote to standard error; the worker's log has all. The task tries again as its `retry` says: a program cannot tell whether that helps. `never_on: [COMMAND_FAILED]` ends it at once.",
  COMMAND_OUTPUT_INVALID:
    "With `output: json` the standard output must be one JSON value and nothing else; write messages to standard error. The program has run, so it is not run again.",
  FILE_NOT_FOUND: "Check the path; `action: exists` asks without failing, and a glob may match nothing.",
  FILE_EXISTS: "What is there has another content and stays. Choose another path, or write `overwrite: replace` or `overwrite: skip`.",
  FILE_REFUSED:
    "Paths are relative to the connection's root (or to the data folder) and cannot leave it, not through links either; Downbeat's own files are not given to tasks, and a folder is no file.",
  EXPRESSION_FAILED:
    "An expression failed with the values of this run, such as a missing key; guard it with `has()`. See [expressions](expressions.md#errors).",
  WAIT_DEADLINE:
    "What the task waited for did not come within its `deadline`. Give it more time, or say with `on_deadline` what becomes of the task.",
  MARKED_FAILED: "The message says who marked it and why. Tasks with the rule `one_failed` can handle it.",
  APPROVAL_REJECTED: "The message says who rejected it and why. Tasks with the rule `one_failed` can handle it.",
  POOL_UNKNOWN: "Create the pool with `PUT /v1/pools/NAME`, or mend the name in the task.",
  CONCURRENCY_LIMIT:
    "The pipeline's `concurrency` lets no further run go on and says that it is skipped. Trigger it again later, or choose the strategy `queue`.",
  ITEMS_FAILED:
    "`GET /v1/runs/RUN/tasks/TASK/items?status=failed` lists the items with their errors. A rerun from failed, or `continue` of a parked task, takes up those that have not succeeded.",
  OUTPUT_TOO_LARGE:
    "A task's output is at most 8 MB of JSON, and 4 KB where nothing keeps larger ones: an item's, a run's own, that of an activity on a queue with workers of your own. Select less, or write a table.",
  ACTIVITY_FAILED: "Your own activity threw; its message is shown. The task tries again as its `retry` says.",
  ACTIVITY_REFUSED: "Your own activity threw a non-retryable failure, which ends the task.",
  ATTEMPT_TIMEOUT: "One attempt took longer than `timeout.attempt`. Raise it, or look for what hangs.",
  TASK_TIMEOUT:
    "All attempts together took longer than `timeout.total`, or no worker took the task: is one running on [its queue](../guides/queues-and-priorities.md#a-queue-that-nobody-serves)?",
  WORKER_LOST:
    "Workers stopped reporting in the middle of the task. Lost attempts are not counted; this many mean that the task kills its worker: look at memory.",
  CANCELLED: "Somebody cancelled the run.",
  STORE_UNAVAILABLE: "Downbeat's own PostgreSQL does not answer. Runs go on as far as they need nothing from it, and report later.",
  STORE_LOCKED: "Two processes on one data folder would lose data. Stop the other one, or set `DOWNBEAT_DATA_DIR`.",
  TEMPORAL_UNAVAILABLE: "Temporal does not answer. Check `TEMPORAL_ADDRESS`, TLS and the server.",
  SERVICE_MISSING:
    "A server program that is needed cannot be had on this machine; the message says what to install or which address to set.",
  INTERNAL: "A bug of ours, or something nobody thought of. The log has more under the instance or run id; please report it.",
};
