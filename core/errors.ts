// The one table of errors: code → may a retry help, whose fault it is, which HTTP status it maps to. And the one class.

/** Who can act on it: the author of the definition, request or configuration; the other system; the data; or us. */
export type Fault = "user" | "system" | "data" | "internal";

export interface ErrorRule {
  /** Whether the same attempt, made again later, may succeed. Read by the run-state reducer, never by Temporal. */
  readonly retry: boolean;
  readonly fault: Fault;
  readonly http: number;
  /** One line for the reference page. */
  readonly title: string;
  /** It says that the other side is unwell: a connection's circuit breaker counts it for the connection on this side of the task. */
  readonly unwell?: "source" | "destination" | "either";
}

export const ERRORS = {
  // definitions and requests
  DEFINITION_MALFORMED: { retry: false, fault: "user", http: 422, title: "The definition is not valid YAML or JSON" },
  DEFINITION_INVALID: { retry: false, fault: "user", http: 422, title: "The definition breaks one or more rules" },
  REQUEST_INVALID: { retry: false, fault: "user", http: 400, title: "The request is not what this endpoint takes" },
  PARAMS_INVALID: { retry: false, fault: "user", http: 422, title: "The run's params do not fit the pipeline's JSON Schema" },
  BODY_TOO_LARGE: { retry: false, fault: "user", http: 413, title: "The request body is over the limit" },
  MEDIA_TYPE_UNSUPPORTED: { retry: false, fault: "user", http: 415, title: "The content type is not one this endpoint reads" },
  NOT_FOUND: { retry: false, fault: "user", http: 404, title: "There is no such thing" },
  METHOD_NOT_ALLOWED: { retry: false, fault: "user", http: 405, title: "The path exists, but not with this method" },
  CONFLICT: { retry: false, fault: "user", http: 409, title: "It clashes with what already exists" },
  IDEMPOTENCY_KEY_REUSED: { retry: false, fault: "user", http: 409, title: "The idempotency key was used for a different request" },
  RUN_NOT_ACTIVE: { retry: false, fault: "user", http: 409, title: "The run has already ended" },
  ACTION_REFUSED: { retry: false, fault: "user", http: 409, title: "What the action is for is not in a state for it" },
  PIPELINE_PAUSED: { retry: true, fault: "user", http: 409, title: "The pipeline is paused" },
  UNAUTHENTICATED: { retry: false, fault: "user", http: 401, title: "No valid API key was given" },
  SIGNATURE_INVALID: { retry: false, fault: "user", http: 401, title: "The event is not signed with the trigger's secret" },
  TRIGGER_PAUSED: { retry: true, fault: "user", http: 409, title: "The trigger is paused" },
  CONFIG_INVALID: { retry: false, fault: "user", http: 500, title: "The process's configuration is not valid" },
  FORBIDDEN: { retry: false, fault: "user", http: 403, title: "The request comes from where it may not come from" },
  // connections
  CONNECTION_NOT_FOUND: { retry: false, fault: "user", http: 422, title: "The connection does not exist" },
  CONNECTION_INVALID: { retry: false, fault: "user", http: 422, title: "The connection's configuration does not fit its connector" },
  CONNECTOR_UNKNOWN: { retry: false, fault: "user", http: 422, title: "There is no connector of this kind" },
  ROLE_UNSUPPORTED: { retry: false, fault: "user", http: 422, title: "The connector cannot play the role that the task asks for" },
  SECRET_UNRESOLVED: { retry: false, fault: "user", http: 422, title: "A secret reference leads nowhere" },
  // sources
  SOURCE_AUTH: { retry: false, fault: "user", http: 422, title: "The source refused the credentials" },
  SOURCE_UNAVAILABLE: {
    retry: true,
    fault: "system",
    http: 503,
    title: "The source cannot be reached or broke the connection",
    unwell: "source",
  },
  SOURCE_STREAM_NOT_FOUND: { retry: false, fault: "user", http: 422, title: "The source has no such stream" },
  SOURCE_OPTIONS_INVALID: { retry: false, fault: "user", http: 422, title: "The task asks the source for something that it cannot do" },
  SOURCE_TYPE_UNSUPPORTED: { retry: false, fault: "user", http: 422, title: "A column's type cannot be carried without loss" },
  SOURCE_DATA_INVALID: { retry: false, fault: "data", http: 422, title: "A row or message cannot be read" },
  SOURCE_FILE_BROKEN: { retry: false, fault: "data", http: 422, title: "A file is truncated or not in its format" },
  SOURCE_CHANGED: { retry: true, fault: "data", http: 409, title: "The source changed while it was read" },
  SOURCE_LOG_UNUSABLE: { retry: false, fault: "user", http: 422, title: "The source's log of changes cannot be followed" },
  SOURCE_LOG_LOST: { retry: false, fault: "data", http: 422, title: "Changes are gone from the source's log before they were read" },
  SOURCE_QUERY_FAILED: { retry: false, fault: "user", http: 422, title: "The source refused the query" },
  CURSOR_NULL: { retry: false, fault: "data", http: 422, title: "The cursor column holds NULL" },
  CURSOR_INVALID: { retry: false, fault: "user", http: 422, title: "The cursor cannot be used on this stream" },
  RATE_LIMITED: { retry: true, fault: "system", http: 503, title: "The other system asks to come back later" },
  // destinations
  DESTINATION_AUTH: { retry: false, fault: "user", http: 422, title: "The destination refused the credentials" },
  DESTINATION_UNAVAILABLE: {
    retry: true,
    fault: "system",
    http: 503,
    title: "The destination cannot be reached or broke the connection",
    unwell: "destination",
  },
  DESTINATION_TABLE_INVALID: { retry: false, fault: "user", http: 422, title: "The destination table cannot be used as asked" },
  DESTINATION_SCHEMA_MISMATCH: { retry: false, fault: "data", http: 422, title: "The stream's columns do not fit the destination table" },
  DESTINATION_TYPE_UNSUPPORTED: {
    retry: false,
    fault: "user",
    http: 422,
    title: "The destination cannot hold a column's type without loss",
  },
  DESTINATION_DATA_REFUSED: { retry: false, fault: "data", http: 422, title: "The destination refused the rows" },
  DESTINATION_FULL: {
    retry: true,
    fault: "system",
    http: 507,
    title: "The destination or the working disk is full",
    unwell: "destination",
  },
  LOAD_FENCED: { retry: false, fault: "internal", http: 409, title: "Another attempt of the same load has overtaken this one" },
  DEAD_LETTER_LIMIT: { retry: false, fault: "data", http: 422, title: "More rows were refused than the task allows" },
  // operators
  SQL_FAILED: { retry: false, fault: "user", http: 422, title: "The warehouse refused the SQL" },
  CHECK_FAILED: { retry: false, fault: "data", http: 422, title: "A data check did not hold" },
  HTTP_REFUSED: { retry: false, fault: "user", http: 422, title: "The HTTP endpoint refused the request" },
  HTTP_UNAVAILABLE: { retry: true, fault: "system", http: 503, title: "The HTTP endpoint cannot be reached or failed", unwell: "either" },
  COMMAND_REFUSED: { retry: false, fault: "user", http: 422, title: "The program may not be run or cannot be started" },
  COMMAND_FAILED: { retry: true, fault: "user", http: 500, title: "The program ended with an exit code that means failure" },
  COMMAND_OUTPUT_INVALID: { retry: false, fault: "data", http: 422, title: "The program's output is not what the task says it is" },
  FILE_NOT_FOUND: { retry: false, fault: "user", http: 422, title: "There is no such file" },
  FILE_EXISTS: { retry: false, fault: "user", http: 409, title: "There is another file already" },
  FILE_REFUSED: { retry: false, fault: "user", http: 422, title: "The path is not one that the connection gives access to" },
  EXPRESSION_FAILED: { retry: false, fault: "user", http: 422, title: "An expression could not be evaluated" },
  WAIT_DEADLINE: { retry: false, fault: "user", http: 504, title: "What a task waited for did not come in time" },
  MARKED_FAILED: { retry: false, fault: "user", http: 409, title: "Somebody marked a task as failed" },
  APPROVAL_REJECTED: { retry: false, fault: "user", http: 409, title: "Somebody rejected an approval" },
  POOL_UNKNOWN: { retry: false, fault: "user", http: 422, title: "The task's pool does not exist" },
  CONCURRENCY_LIMIT: { retry: false, fault: "user", http: 409, title: "As many runs of the pipeline go on as may" },
  ITEMS_FAILED: { retry: false, fault: "data", http: 422, title: "More items of a for_each failed than the task allows" },
  OUTPUT_TOO_LARGE: { retry: false, fault: "user", http: 422, title: "A task's output is over the limit" },
  ACTIVITY_FAILED: { retry: true, fault: "user", http: 500, title: "A user's own activity failed" },
  ACTIVITY_REFUSED: { retry: false, fault: "user", http: 500, title: "A user's own activity failed and asked not to be retried" },
  // running
  ATTEMPT_TIMEOUT: { retry: true, fault: "system", http: 504, title: "An attempt took longer than its limit", unwell: "either" },
  TASK_TIMEOUT: { retry: false, fault: "system", http: 504, title: "A task took longer than its total limit" },
  WORKER_LOST: { retry: true, fault: "system", http: 503, title: "The worker died or stopped reporting" },
  CANCELLED: { retry: false, fault: "user", http: 409, title: "It was cancelled" },
  STORE_UNAVAILABLE: { retry: true, fault: "system", http: 503, title: "Downbeat's own store cannot be reached" },
  STORE_LOCKED: { retry: false, fault: "user", http: 409, title: "Another process owns the data folder" },
  TEMPORAL_UNAVAILABLE: { retry: true, fault: "system", http: 503, title: "Temporal cannot be reached" },
  SERVICE_MISSING: { retry: false, fault: "user", http: 500, title: "A needed server program cannot be had on this machine" },
  INTERNAL: { retry: true, fault: "internal", http: 500, title: "Something unforeseen went wrong in Downbeat itself" },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERRORS;

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);

export interface ErrorOptions {
  /** Small JSON facts for people and programs: names, limits, counts. Never secrets or rows. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  /** The other side's own request for a pause, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** The only error class: the message says what failed, on what, and what to check, without secrets. */
export class DownbeatError extends Error {
  override readonly name = "DownbeatError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
  }

  get rule(): ErrorRule {
    return ERRORS[this.code];
  }
}

/** Not the fault of what was asked: a service is away, and the same may do once it is back. */
export const isSystemFault = (error: unknown): boolean => error instanceof DownbeatError && error.rule.fault === "system";
