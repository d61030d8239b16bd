// The operations of backfills, for the OpenAPI document.

import { ACTION_KEY, body, header, type Json, type Operation, path, queryOf } from "./openapi-parts.ts";
import { backfillListQuery, partitionListQuery } from "./schemas-backfills.ts";

/** Something that people do to a backfill. */
const backfillAction = (summary: string, carries: Json, refusal: string): Operation => ({
  tag: "backfills",
  summary,
  parameters: [path("id"), ACTION_KEY],
  body: carries,
  answers: { 200: ["Done", "Backfill"], 404: "None", 409: refusal },
});

export const BACKFILL_OPERATIONS: Readonly<Record<string, Operation>> = {
  "POST /v1/pipelines/{name}/backfills": {
    tag: "backfills",
    summary: "Run a pipeline for each partition of a time range, or tell what that would be",
    parameters: [path("name"), header("idempotency-key", "The same key gives the same backfill")],
    body: body("NewBackfill"),
    answers: {
      200: ["With dry_run: the plan", "BackfillPlan"],
      202: ["It goes on", "Backfill"],
      404: "No such pipeline, version or schedule",
      409: "The key belongs to another request",
      422: "Params do not fit",
    },
  },
  "GET /v1/backfills": {
    tag: "backfills",
    summary: "List backfills, newest first",
    parameters: queryOf(backfillListQuery),
    answers: { 200: ["A page", "Backfills"] },
  },
  "GET /v1/backfills/{id}": {
    tag: "backfills",
    summary: "Show a backfill: progress, what runs now, what people did to it",
    parameters: [path("id")],
    answers: { 200: ["The backfill", "BackfillView"], 404: "None" },
  },
  "GET /v1/backfills/{id}/partitions": {
    tag: "backfills",
    summary: "List a backfill's partitions, in the order of time",
    parameters: [path("id"), ...queryOf(partitionListQuery)],
    answers: { 200: ["A page", "Partitions"], 404: "None" },
  },
  "PATCH /v1/backfills/{id}": backfillAction("Change concurrency, priority or when it stops", body("BackfillChanges"), "It has ended"),
  "POST /v1/backfills/{id}/pause": backfillAction(
    "Pause a backfill: its open runs go on, no further ones begin",
    body("Pause", false),
    "It is paused or has ended",
  ),
  "POST /v1/backfills/{id}/resume": backfillAction("Resume a paused backfill", body("Pause", false), "It is not paused"),
  "POST /v1/backfills/{id}/cancel": backfillAction(
    "End a backfill, and its open runs where that is asked",
    body("BackfillCancellation", false),
    "It has ended",
  ),
  "POST /v1/backfills/{id}/skip": backfillAction(
    "Leave out partitions that have not begun or have failed",
    body("BackfillSkip"),
    "They have begun",
  ),
  "POST /v1/backfills/{id}/retry": backfillAction(
    "Run failed partitions again, also of a backfill that has ended",
    body("BackfillRetry", false),
    "None of them has failed",
  ),
};
