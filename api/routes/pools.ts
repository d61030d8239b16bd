// /v1/pools: how many slots each has, who holds them, who waits.

import { Router } from "express";
import { z } from "zod";
import { DownbeatError } from "../../core/errors.ts";
import type { PoolRecord } from "../../store/pools.ts";
import type { ApiDeps } from "../deps.ts";
import { presentSlots } from "../present-limits.ts";
import { moment } from "../present.ts";
import { decodeCursor, jsonBody, notFound, page, parseInput, pathParam } from "../request.ts";
import { pageQuery, poolBody, poolPath } from "../schemas.ts";

const presentPool = ({ name, slots, description, createdAt, updatedAt }: PoolRecord) => ({
  name,
  slots,
  description,
  created_at: moment(createdAt),
  updated_at: moment(updatedAt),
});

export const poolRoutes = (deps: ApiDeps): Router => {
  const router = Router();
  const { pools, definitions } = deps.store;

  router.get("/", async (request, response) => {
    const { limit, cursor } = parseInput(pageQuery, request.query);
    const after = decodeCursor(z.string(), cursor);
    const found = await pools.list({ limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { items, next } = page(found, limit, ({ name }) => name);
    response.json({ items: items.map(presentPool), next });
  });

  router.get("/:name", async (request, response) => {
    const name = pathParam(request, "name");
    const found = await pools.find(name);
    if (found === undefined) throw notFound("pool", name);
    response.json({ ...presentPool(found), ...presentSlots(await deps.orchestrator.poolState(name)) });
  });

  router.put("/:name", async (request, response) => {
    const { name } = parseInput(poolPath, request.params);
    const { slots, description = null } = parseInput(poolBody, jsonBody(request));
    const { created } = await pools.save({ name, slots, description });
    await deps.orchestrator.resizePool(name, slots);
    const saved = await pools.find(name);
    if (saved === undefined) throw notFound("pool", name);
    response
      .status(created ? 201 : 200)
      .location(`/v1/pools/${name}`)
      .json(presentPool(saved));
  });

  router.delete("/:name", async (request, response) => {
    const name = pathParam(request, "name");
    if ((await pools.find(name)) === undefined) throw notFound("pool", name);
    const users = await definitions.usersOfPool(name);
    if (users.length > 0) {
      throw new DownbeatError("CONFLICT", `pool "${name}" is used by: ${users.join(", ")}; deploy them without it first`, {
        details: { pipelines: users },
      });
    }
    await pools.remove(name);
    response.status(204).end();
  });

  return router;
};
