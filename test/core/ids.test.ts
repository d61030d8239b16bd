// Ids that are read back: whose attempt it is that calls a user's own activity.

import { expect, it } from "vitest";
import { attemptPlace, mappedWorkflowId, runWorkflowId, windowWorkflowId } from "../../core/ids.ts";

const run = runWorkflowId("nightly", "run-1");

it.each([
  [run, "score", { runId: "run-1", taskId: "score" }],
  [run, "score#3", { runId: "run-1", taskId: "score" }],
  [windowWorkflowId(run, 2), "score#2", { runId: "run-1", taskId: "score" }],
  [
    runWorkflowId("nightly", "nightly.early-2026-11-23T10:00:00Z"),
    "a_b-c",
    { runId: "nightly.early-2026-11-23T10:00:00Z", taskId: "a_b-c" },
  ],
  [mappedWorkflowId(run, "score", 1), "5", undefined],
  ["of-others", "score", undefined],
])("the place of %s, %s", (workflowId, activityId, place) => {
  expect(attemptPlace(workflowId, activityId)).toEqual(place);
});
