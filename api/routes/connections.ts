// /v1/connections: configured systems; secrets are write-only.

import { Router } from "express";
import { z } from "zod";
import { secretKeys, SECRET_PLACEHOLDER } from "../../connectors/lib/config.ts";
import type { ConnectorSpec } from "../../connectors/connector.ts";
import { DownbeatError } from "../../core/errors.ts";
import { didYouMean, formatPath, type Issue, type PathPart } from "../../core/issues.ts";
import type { JsonObject } from "../../core/json.ts";
import type { ApiDeps } from "../deps.ts";
import { presentConnection } from "../present.ts";
import { IssuesError } from "../problem.ts";
import { decodeCursor, jsonBody, notFound, page, pageQuery, parseInput, pathParam } from "../request.ts";

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;

const saveBody = z.strictObject({ kind: z.string().min(1), config: z.record(z.string(), z.json()) });

const reference = z.union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })]);

const specOf = (deps: ApiDeps, kind: string): ConnectorSpec => {
  const spec = deps.catalogue.find(kind);
  if (spec !== undefined) return spec;
  throw new DownbeatError("CONNECTOR_UNKNOWN", `there is no connector of the kind "${kind}"${didYouMean(kind, deps.catalogue.kinds)}`, {
    details: { known: deps.catalogue.kinds },
  });
};

/** Checks the configuration as the worker will see it: references stand for any text. */
const checkConfig = (spec: ConnectorSpec, config: JsonObject): void => {
  const resolved = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, reference.safeParse(value).success ? SECRET_PLACEHOLDER : value]),
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

  /** Creates or replaces. A secret that is sent back as `{ secret: true }` keeps its value. */
  router.put("/:name", async (request, response) => {
    const name = pathParam(request, "name");
    if (!NAME.test(name))
      throw new DownbeatError("REQUEST_INVALID", `"${name}" is no connection name: 1 to 63 of a-z, 0-9, _ and -, beginning with a letter`);
    const { kind, config: sent } = parseInput(saveBody, jsonBody(request));
    const spec = specOf(deps, kind);
    const opened = Object.values(sent).some(isKeptSecret) ? await connections.findOpened(name) : undefined;
    const config: JsonObject = Object.fromEntries(
      Object.entries(sent).flatMap(([key, value]) => {
        if (!isKeptSecret(value)) return [[key, value]];
        const kept = opened?.kind === kind ? opened.config[key] : undefined;
        if (kept === undefined)
          throw new DownbeatError("CONNECTION_INVALID", `config.${key}: there is no earlier secret to keep; send its value`);
        return [[key, kept]];
      }),
    );
    checkConfig(spec, config);
    const { created } = await connections.save({ name, kind, config, secretKeys: secretKeys(spec.config) });
    response
      .status(created ? 201 : 200)
      .location(`/v1/connections/${name}`)
      .json(presentConnection(await existing(name)));
  });

  router.get("/:name", async (request, response) => {
    response.json(presentConnection(await existing(pathParam(request, "name"))));
  });

  router.delete("/:name", async (request, response) => {
    const name = pathParam(request, "name");
    await existing(name);
    const users = await definitions.usersOf(name);
    if (users.length > 0) {
      throw new DownbeatError("CONFLICT", `connection "${name}" is used by: ${users.join(", ")}; deploy them without it first`, {
        details: { pipelines: users },
      });
    }
    await connections.remove(name);
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

const isKeptSecret = (value: unknown): boolean =>
  typeof value === "object" && value !== null && (value as { secret?: unknown }).secret === true;
