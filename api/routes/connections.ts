// /v1/connections: configured systems; secrets are write-only.

import { Router, type Response } from "express";
import { z } from "zod";
import { secretKeys, SECRET_PLACEHOLDER } from "../../connectors/lib/config.ts";
import type { ConnectorSpec } from "../../connectors/connector.ts";
import type { ConnectionLimits } from "../../core/circuit.ts";
import { DownbeatError } from "../../core/errors.ts";
import { didYouMean, formatPath, type Issue, type PathPart } from "../../core/issues.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { isSealed, type ConnectionRecord } from "../../store/connections.ts";
import type { ApiDeps } from "../deps.ts";
import { presentUse } from "../present-limits.ts";
import { presentConnection } from "../present.ts";
import { IssuesError } from "../problem.ts";
import { decodeCursor, jsonBody, notFound, page, parseInput, pathParam } from "../request.ts";
import { connectionBody, connectionPatch, connectionPath, newConnectionBody, pageQuery, pauseBody } from "../schemas.ts";

const reference = z.union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })]);

const specOf = (deps: ApiDeps, kind: string): ConnectorSpec => {
  const spec = deps.catalogue.find(kind);
  if (spec !== undefined) return spec;
  throw new DownbeatError("CONNECTOR_UNKNOWN", `there is no connector of the kind "${kind}"${didYouMean(kind, deps.catalogue.kinds)}`, {
    details: { known: deps.catalogue.kinds },
  });
};

/** References are texts on the worker, wherever they stand. */
const asResolved = (value: unknown): unknown => {
  if (reference.safeParse(value).success) return SECRET_PLACEHOLDER;
  if (Array.isArray(value)) return value.map(asResolved);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, asResolved(entry)]));
};

/** Checks the configuration as the worker will see it: references and kept secrets stand for any text. */
const checkConfig = (spec: ConnectorSpec, config: JsonObject, kept: ReadonlySet<string>): void => {
  const resolved = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, kept.has(key) ? SECRET_PLACEHOLDER : asResolved(value)]),
  );
  const parsed = spec.config.safeParse(resolved);
  if (parsed.success) return;
  const known = Object.keys(spec.config.shape);
  const issues = parsed.error.issues.flatMap((issue): Issue[] => {
    const path: PathPart[] = ["config", ...issue.path.filter((part): part is PathPart => typeof part !== "symbol")];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        code: "UNKNOWN_KEY",
        path: formatPath([...path, key]),
        message: `"${key}" is not a key here${didYouMean(key, known)}`,
        known,
      }));
    }
    return [{ code: "INVALID_VALUE", path: formatPath(path), message: issue.message }];
  });
  throw new IssuesError("CONNECTION_INVALID", issues);
};

export const connectionRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  const { connections, definitions } = deps.store;

  const existing = async (name: string) => {
    const found = await connections.find(name);
    if (found === undefined) throw notFound("connection", name);
    return found;
  };

  router.get("/", async (request, response) => {
    const { limit, cursor } = parseInput(pageQuery, request.query);
    const after = decodeCursor(z.string(), cursor);
    const found = await connections.list({ limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, (last) => last.name);
    response.json({ items: items.map(presentConnection), next });
  });

  const save = async (
    name: string,
    kind: string,
    sent: JsonObject,
    limits: ConnectionLimits | null,
    stored: ConnectionRecord | undefined,
    onlyNew: boolean,
  ) => {
    const spec = specOf(deps, kind);
    const kept = new Set(Object.keys(sent).filter((key) => isKeptSecret(sent[key])));
    const missing = [...kept].filter((key) => stored?.kind !== kind || stored.config[key] === undefined);
    if (missing.length > 0) {
      throw new IssuesError(
        "CONNECTION_INVALID",
        missing.map((key) => ({
          code: "INVALID_VALUE",
          path: `config.${key}`,
          message: "there is no stored secret to keep; send its value",
        })),
      );
    }
    // Kept secrets stay sealed: the API has no need to open them.
    const config: JsonObject = Object.fromEntries(
      Object.entries(sent).map(([key, value]) => [key, kept.has(key) ? (stored?.config[key] as Json) : value]),
    );
    checkConfig(spec, config, kept);
    const keys = secretKeys(spec.config);
    const saved = await connections.save({ name, kind, config, secretKeys: keys, ...(limits === null ? {} : { limits }), onlyNew });
    if (saved.created || !onlyNew) await tellOwner(name, limits, stored?.limits ?? null);
    return saved;
  };

  /** At once, and not where there never was a limit. */
  const tellOwner = async (name: string, limits: ConnectionLimits | null, before: ConnectionLimits | null): Promise<void> => {
    if (limits !== null || before !== null) await deps.orchestrator.limits.configure(name, limits);
  };

  const answer = async (response: Response, status: number, name: string): Promise<void> => {
    response
      .status(status)
      .location(`/v1/connections/${name}`)
      .json(presentConnection(await existing(name)));
  };

  router.post("/", async (request, response) => {
    const { name, kind, config, ...limits } = parseInput(newConnectionBody, jsonBody(request));
    const { created } = await save(name, kind, config as JsonObject, limitsOf(limits), undefined, true);
    if (!created) throw new DownbeatError("CONFLICT", `connection "${name}" exists already; change it with PUT or PATCH`);
    await answer(response, 201, name);
  });

  router.put("/:name", async (request, response) => {
    const { name } = parseInput(connectionPath, request.params);
    const { kind, config, ...limits } = parseInput(connectionBody, jsonBody(request));
    const { created } = await save(name, kind, config as JsonObject, limitsOf(limits), await connections.find(name), false);
    await answer(response, created ? 201 : 200, name);
  });

  router.patch("/:name", async (request, response) => {
    const stored = await existing(pathParam(request, "name"));
    const { config: changes, ...limits } = parseInput(connectionPatch, jsonBody(request));
    const unchanged = Object.entries(stored.config).map(([key, value]) => [key, isSealed(value) ? { secret: true } : value]);
    const merged = Object.entries({ ...Object.fromEntries(unchanged), ...changes }).filter(([, value]) => value !== null);
    await save(stored.name, stored.kind, Object.fromEntries(merged) as JsonObject, limitsOf(limits, stored.limits), stored, false);
    await answer(response, 200, stored.name);
  });

  router.get("/:name", async (request, response) => {
    const found = await existing(pathParam(request, "name"));
    const state = found.limits === null ? undefined : await deps.orchestrator.limits.stateOf(found.name);
    response.json({ ...presentConnection(found), ...presentUse(state, Date.now()) });
  });

  router.post("/:name/reset", async (request, response) => {
    const { by, why } = parseInput(pauseBody, jsonBody(request));
    const { name, limits } = await existing(pathParam(request, "name"));
    if (limits?.breaker === undefined) throw new DownbeatError("ACTION_REFUSED", `connection "${name}" has no circuit breaker`);
    const reset = { by, ...(why === undefined ? {} : { why }), at: new Date().toISOString() };
    await deps.orchestrator.limits.reset(name, reset);
    deps.log.info({ connection: name, by, why }, "a circuit was closed by hand");
    response.json({ name, reset: { by, why: why ?? null, at: reset.at }, links: { self: `/v1/connections/${name}` } });
  });

  router.delete("/:name", async (request, response) => {
    const name = pathParam(request, "name");
    const { limits } = await existing(name);
    const users = await definitions.usersOf(name);
    if (users.length > 0) {
      throw new DownbeatError("CONFLICT", `connection "${name}" is used by: ${users.join(", ")}; deploy them without it first`, {
        details: { pipelines: users },
      });
    }
    await connections.remove(name);
    await tellOwner(name, null, limits);
    response.status(204).end();
  });

  for (const kind of ["check", "discover"] as const) {
    router.post(`/:name/${kind}`, async (request, response) => {
      const name = pathParam(request, "name");
      await existing(name);
      response.json(await deps.orchestrator.inspect({ kind, connection: name }));
    });
  }

  return router;
};

/** `before`: what is left as it is when nothing is said of it. */
const limitsOf = (
  { max_concurrent: asked, circuit_breaker: breaker }: Omit<z.output<typeof connectionPatch>, "config">,
  before: ConnectionLimits | null = null,
): ConnectionLimits | null => {
  const maxConcurrent = asked === undefined ? before?.maxConcurrent : asked;
  const wanted =
    breaker === undefined
      ? before?.breaker
      : breaker && { failures: breaker.failures, withinMs: breaker.within, openForMs: breaker.open_for };
  const limits = {
    ...(maxConcurrent === undefined || maxConcurrent === null ? {} : { maxConcurrent }),
    ...(wanted === undefined || wanted === null ? {} : { breaker: wanted }),
  };
  return Object.keys(limits).length === 0 ? null : limits;
};

const isKeptSecret = (value: unknown): boolean =>
  typeof value === "object" && value !== null && (value as { secret?: unknown }).secret === true;
