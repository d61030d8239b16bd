// A small client of Downbeat's own HTTP API, for the processes in bin that act as a user would.

export interface TaskView {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly output: unknown;
  readonly metrics: { readonly rows?: number; readonly bytes?: number; readonly seconds?: number; readonly deadLetters?: number } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly attempt_log: readonly { readonly attempt: number; readonly lost_attempts: number }[];
}

export interface RunView {
  readonly id: string;
  readonly status: string;
  readonly tasks: readonly TaskView[];
  readonly links: Readonly<Record<string, string>>;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly problem: unknown;

  constructor(status: number, problem: unknown, message: string) {
    super(message);
    this.status = status;
    this.problem = problem;
  }
}

export interface ApiClientOptions {
  readonly baseUrl: string;
  readonly apiKey?: string;
  /** How long to try again while nothing answers: an API that is being restarted. */
  readonly patienceMs?: number;
}

const RETRY_PAUSE_MS = 250;

export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /** Sends JSON, or text as it is with its own content type. Throws ApiError on every status from 400. */
  async call<Answer>(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const response = await this.#fetch(method, path, body, headers);
    const text = await response.text();
    const answer: unknown = text === "" ? null : JSON.parse(text);
    if (response.status < 400) return answer as Answer;
    const problem = answer as {
      readonly code?: string;
      readonly detail?: string;
      readonly issues?: readonly { readonly path: string; readonly message: string }[];
    };
    const issues = (problem.issues ?? []).map((issue) => `\n  ${issue.path}: ${issue.message}`).join("");
    throw new ApiError(
      response.status,
      answer,
      `${method} ${path}: ${response.status} ${problem.code ?? ""} ${problem.detail ?? ""}${issues}`,
    );
  }

  async #fetch(method: string, path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Response> {
    const { baseUrl, apiKey, patienceMs = 0 } = this.#options;
    const until = Date.now() + patienceMs;
    for (;;) {
      try {
        return await fetch(`${baseUrl}${path}`, {
          method,
          headers: {
            ...(body === undefined ? {} : { "content-type": typeof body === "string" ? "application/yaml" : "application/json" }),
            ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        });
      } catch (error) {
        if (Date.now() >= until) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
      }
    }
  }

  getRun(id: string): Promise<RunView> {
    return this.call("GET", `/v1/runs/${id}`);
  }

  /** Polls until the run has ended; tells of every change of a task's status. */
  async followRun(id: string, onChange: (task: TaskView) => void, onPoll: (run: RunView) => void = () => undefined): Promise<RunView> {
    const seen = new Map<string, string>();
    for (;;) {
      const run = await this.getRun(id).catch((error: unknown) => {
        // A restarting API may answer 503 while its store or Temporal comes up.
        if (error instanceof ApiError && error.status === 503 && (this.#options.patienceMs ?? 0) > 0) return undefined;
        throw error;
      });
      if (run !== undefined) {
        for (const task of run.tasks) {
          const state = `${task.status} ${task.attempts}`;
          if (seen.get(task.id) !== state) onChange(task);
          seen.set(task.id, state);
        }
        onPoll(run);
        if (["succeeded", "failed", "cancelled"].includes(run.status)) return run;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
    }
  }
}
