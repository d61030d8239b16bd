// /v1/pipelines: definitions and their versions.

import { Router, text, type Request } from "express";
import { z } from "zod";
import { compilePlan, type CompileResult } from "../../core/compile-plan.ts";
import { checkDefinition, parseDefinition, type Definition, type DefinitionRest, type ParsedDefinition } from "../../core/definition.ts";
import type { Issue } from "../../core/issues.ts";
import type { JsonObject } from "../../core/json.ts";
import { LIMITS } from "../../core/limits.ts";
import type { VersionRecord } from "../../store/definitions.ts";
import type { SourceFormat } from "../../store/schema.ts";
import { changedPaths } from "../changed-paths.ts";
import type { ApiDeps } from "../deps.ts";
import { contentHash } from "../hash.ts";
import { schemaFault } from "../params.ts";
import { applySchedules } from "../reconcile-schedules.ts";
import { applyTriggers } from "../reconcile-triggers.ts";
import { checkScheduleParams } from "../schedule-params.ts";
import { moment } from "../present.ts";
import { IssuesError } from "../problem.ts";
import { DownbeatError } from "../../core/errors.ts";
import { decodeCursor, notFound, page, parseInput, pathParam } from "../request.ts";
import { pageQuery } from "../schemas.ts";
import { warnOfSubPipelines } from "../sub-pipelines.ts";
import { presentPause } from "./pipeline-pause.ts";

const YAML_TYPES = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"];

interface Compiled {
  readonly definition: Definition;
  readonly compiled: Extract<CompileResult, { ok: true }>["compiled"];
  /** What is taken, and may turn out to be wrong. */
  readonly warnings: readonly Issue[];
  readonly source: string;
  readonly format: SourceFormat;
}

/** The text as it came, for positions and for keeping; a JSON body has been parsed already. */
const readDefinition = (request: Request): Pick<Compiled, "source" | "format"> & { readonly parsed: ParsedDefinition } => {
  const body: unknown = request.body;
  if (Number(request.headers["content-length"] ?? 0) === 0 && request.headers["transfer-encoding"] === undefined)
    throw new DownbeatError("REQUEST_INVALID", "the body is empty; send the definition in it, as YAML or JSON");
  if (typeof body === "string" && body !== "") return { parsed: parseDefinition(body), source: body, format: "yaml" };
  if (request.is("application/json")) return { parsed: checkDefinition(body), source: JSON.stringify(body, null, 2), format: "json" };
  throw new DownbeatError(
    "MEDIA_TYPE_UNSUPPORTED",
    `send the definition as ${YAML_TYPES[0]} or application/json, not ${request.headers["content-type"] ?? "without a content-type"}`,
  );
};

const compile = async (request: Request, deps: ApiDeps): Promise<Compiled> => {
  const { parsed, source, format } = readDefinition(request);
  if (!parsed.ok) {
    const { issues, rest } = parsed;
    const found = rest === undefined ? [] : (await check(rest, deps)).issues.filter(rest.isTrue);
    throw refused([...issues, ...found]);
  }
  const { definition, locate } = parsed;
  const { result, issues, schedules: checked } = await check(parsed, deps);
  if (!result.ok || issues.length > 0) throw refused(issues);
  const schedules = result.compiled.schedules?.map((schedule, index) => ({ ...schedule, params: checked[index] ?? {} }));
  const compiled = schedules === undefined ? result.compiled : { ...result.compiled, schedules };
  return { definition, compiled, warnings: await warnOfSubPipelines(deps.store, definition, locate), source, format };
};

/** What a definition means, or all that is wrong with that; and its schedules' params with their defaults. */
const check = async ({ definition, locate }: Pick<DefinitionRest, "definition" | "locate">, deps: ApiDeps) => {
  const { connectors, activities } = deps.catalogue;
  const result = compilePlan(
    definition,
    { connections: await deps.store.connections.kinds(), pools: await deps.store.pools.names(), connectors, activities },
    locate,
  );
  const issues: Issue[] = result.ok ? [] : [...result.issues];
  const fault = definition.params === undefined ? undefined : schemaFault(definition.params as JsonObject);
  if (fault !== undefined)
    issues.push({ code: "INVALID_VALUE", path: "params", message: `is not a JSON Schema: ${fault}`, ...locate(["params"]) });
  const given = (definition.schedules ?? []).map((schedule) => schedule.params as JsonObject);
  const checked = fault === undefined ? checkScheduleParams(given, definition, locate) : { params: given, issues: [] };
  issues.push(...checked.issues);
  return { result, issues, schedules: checked.params };
};

/** The names of the schedules that the version before had and this one has not. */
const droppedNames = (
  kind: "schedules" | "triggers",
  previous: JsonObject | undefined,
  compiled: Compiled["compiled"],
): readonly string[] => {
  const before = (previous?.[kind] ?? []) as readonly { readonly name: string }[];
  const now = compiled[kind] ?? [];
  return before.map(({ name }) => name).filter((name) => !now.some((one) => one.name === name));
};

const refused = (issues: readonly Issue[]): IssuesError =>
  new IssuesError(issues.every((issue) => issue.code === "DEFINITION_MALFORMED") ? "DEFINITION_MALFORMED" : "DEFINITION_INVALID", issues);

const presentVersion = ({ pipeline, version, hash, definition, source, format, createdAt }: VersionRecord) => ({
  name: pipeline,
  version,
  hash,
  created_at: moment(createdAt),
  definition,
  source,
  format,
});

export const pipelineRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  const { definitions } = deps.store;
  router.use(text({ type: YAML_TYPES, limit: LIMITS.bodyBytes }));

  router.post("/validate", async (request, response) => {
    const { definition, compiled, warnings } = await compile(request, deps);
    response.json({ valid: true, name: definition.name, hash: contentHash(definition), tasks: compiled.plan.tasks.length, warnings });
  });

  router.get("/", async (request, response) => {
    const { limit, cursor } = parseInput(pageQuery, request.query);
    const after = decodeCursor(z.string(), cursor);
    const found = await definitions.list({ limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, (last) => last.name);
    response.json({
      items: items.map(({ updatedAt, paused, ...item }) => ({ ...item, paused: presentPause(paused), updated_at: moment(updatedAt) })),
      next,
    });
  });

  router.put("/:name", async (request, response) => {
    const { definition, compiled, warnings, source, format } = await compile(request, deps);
    const name = pathParam(request, "name");
    if (definition.name !== name) {
      throw refused([
        {
          code: "INVALID_VALUE",
          path: "name",
          message: `the definition's name is "${definition.name}", the path says "${name}"; they must be the same`,
        },
      ]);
    }
    const hash = contentHash(definition);
    const saved = await definitions.save({
      pipeline: name,
      hash,
      definition: definition as unknown as JsonObject,
      source,
      format,
      plan: compiled,
    });
    const changed = saved.created && saved.previous !== undefined ? changedPaths(saved.previous, definition) : [];
    await applySchedules(deps, name, saved.created ? droppedNames("schedules", saved.previous, compiled) : []);
    await applyTriggers(deps, name, saved.created ? droppedNames("triggers", saved.previous, compiled) : []);
    response
      .status(saved.created ? 201 : 200)
      .location(`/v1/pipelines/${name}`)
      .json({ name, version: saved.version, hash, created: saved.created, changed, warnings });
  });

  router.get("/:name", async (request, response) => {
    const name = pathParam(request, "name");
    const found = await definitions.find(name);
    if (found === undefined) throw notFound("pipeline", name);
    response.json({ ...presentVersion(found), paused: presentPause(found.paused) });
  });

  /** Where each of the pipeline's loads stands, as its last run reported. */
  router.get("/:name/loads", async (request, response) => {
    const name = pathParam(request, "name");
    const { limit, cursor } = parseInput(pageQuery, request.query);
    const after = decodeCursor(z.string(), cursor);
    if ((await definitions.find(name)) === undefined) throw notFound("pipeline", name);
    const found = await deps.store.loads.list(name, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, (last) => last.key);
    response.json({
      items: items.map(({ runId, deadLetters, updatedAt, ...item }) => ({
        ...item,
        run_id: runId,
        dead_letters: deadLetters,
        updated_at: moment(updatedAt),
      })),
      next,
    });
  });

  router.get("/:name/versions", async (request, response) => {
    const name = pathParam(request, "name");
    const { limit, cursor } = parseInput(pageQuery, request.query);
    const before = decodeCursor(z.int(), cursor);
    const found = await definitions.listVersions(name, { limit: limit + 1, ...(before === undefined ? {} : { before }) });
    if (found.length === 0 && before === undefined) throw notFound("pipeline", name);
    const { items, next } = page(found, limit, (last) => last.version);
    response.json({ items: items.map(({ createdAt, ...item }) => ({ ...item, created_at: moment(createdAt) })), next });
  });

  router.get("/:name/versions/:version", async (request, response) => {
    const name = pathParam(request, "name");
    const version = Number(pathParam(request, "version"));
    const found = Number.isInteger(version) ? await definitions.find(name, version) : undefined;
    if (found === undefined) throw notFound("version", `${name} ${pathParam(request, "version")}`);
    response.json(presentVersion(found));
  });

  return router;
};
