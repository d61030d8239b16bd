// /v1/assets: what tasks have made, when, and by which runs.

import { Router } from "express";
import { z } from "zod";
import type { AssetRecord, AssetUpdateRecord } from "../../store/assets.ts";
import type { ApiDeps } from "../deps.ts";
import { moment } from "../present.ts";
import { decodeCursor, notFound, page, parseInput, pathParam } from "../request.ts";
import { assetListQuery, pageQuery } from "../schemas.ts";

const presentUpdate = ({ runId, taskId, rows, at }: Omit<AssetUpdateRecord, "asset">) => ({
  at: moment(at),
  run: runId,
  task: taskId,
  rows,
  links: { run: `/v1/runs/${runId}` },
});

const presentAsset = ({ name, pipeline, updates, updatedAt, ...last }: AssetRecord) => ({
  name,
  pipeline,
  updates,
  last: presentUpdate({ ...last, at: updatedAt }),
  links: { self: `/v1/assets/${encodeURIComponent(name)}` },
});

export const assetRoutes = ({ store: { assets } }: ApiDeps): Router => {
  const router = Router();

  router.get("/", async (request, response) => {
    const { limit, cursor, prefix } = parseInput(assetListQuery, request.query);
    const after = decodeCursor(z.string(), cursor);
    const filter = prefix === undefined ? {} : { prefix };
    const found = await assets.list(filter, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, ({ name }) => name);
    response.json({ items: items.map(presentAsset), next });
  });

  router.get("/:name", async (request, response) => {
    const name = pathParam(request, "name");
    const found = await assets.find(name);
    if (found === undefined) throw notFound("asset", name);
    response.json(presentAsset(found));
  });

  router.get("/:name/updates", async (request, response) => {
    const name = pathParam(request, "name");
    const { limit, cursor } = parseInput(pageQuery, request.query);
    const after = decodeCursor(z.strictObject({ at: z.string(), runId: z.string(), taskId: z.string() }), cursor);
    const found = await assets.updatesOf(name, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    if (found.length === 0 && (await assets.find(name)) === undefined) throw notFound("asset", name);
    const { items, next } = page(found, limit, ({ at, runId, taskId }) => ({ at, runId, taskId }));
    response.json({ items: items.map(presentUpdate), next });
  });

  return router;
};
