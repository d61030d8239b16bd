// The operations of event triggers, for the OpenAPI document.

import { body, header, type Operation, PAGE, path, queryOf } from "./openapi-parts.ts";
import { eventListQuery } from "./schemas.ts";

export const TRIGGER_OPERATIONS: Readonly<Record<string, Operation>> = {
  "POST /v1/hooks/{pipeline}/{trigger}": {
    tag: "triggers",
    summary: "Send a signed event to a webhook; the same event again gives the same answer",
    parameters: [
      path("pipeline"),
      path("trigger"),
      header("webhook-id", "Names the event"),
      header("webhook-timestamp", "Seconds since 1970"),
      header("webhook-signature", 'One or several of "v1," and the base64 HMAC-SHA256 of ID.TIMESTAMP.BODY, a space between'),
      header("x-hub-signature-256", "Instead of these where the signature is github"),
    ],
    body: { required: false, content: { "*/*": { schema: {} } } },
    answers: {
      202: ["It is taken", "TakenEvent"],
      401: "It is not signed with the trigger's secret",
      404: "No such webhook",
      409: "The trigger is paused",
    },
  },
  "GET /v1/pipelines/{name}/triggers": {
    tag: "triggers",
    summary: "List the event triggers of a pipeline",
    parameters: [path("name"), ...PAGE],
    answers: { 200: ["A page", "Triggers"], 404: "No such pipeline" },
  },
  "GET /v1/pipelines/{name}/triggers/{trigger}": {
    tag: "triggers",
    summary: "Show an event trigger, and how many of its events wait",
    parameters: [path("name"), path("trigger")],
    answers: { 200: ["The trigger", "EventTrigger"], 404: "None" },
  },
  "GET /v1/pipelines/{name}/triggers/{trigger}/events": {
    tag: "triggers",
    summary: "List the events that a trigger has taken, newest first, and what became of them",
    parameters: [path("name"), path("trigger"), ...queryOf(eventListQuery)],
    answers: { 200: ["A page", "Events"], 404: "None" },
  },
  "POST /v1/pipelines/{name}/triggers/{trigger}/test": {
    tag: "triggers",
    summary: "Try an event trigger with a sample: whether it counts, and the params of its run; nothing is kept or started",
    parameters: [path("name"), path("trigger")],
    body: body("SampleEvent"),
    answers: { 200: ["What would become of it", "TriedEvent"], 404: "None" },
  },
  "POST /v1/pipelines/{name}/triggers/{trigger}/pause": {
    tag: "triggers",
    summary: "Pause an event trigger: it takes no events; those that wait go on waiting",
    parameters: [path("name"), path("trigger")],
    body: body("Pause", false),
    answers: { 200: ["It is paused", "EventTrigger"], 404: "None", 409: "It is paused already" },
  },
  "POST /v1/pipelines/{name}/triggers/{trigger}/resume": {
    tag: "triggers",
    summary: "Resume an event trigger",
    parameters: [path("name"), path("trigger")],
    body: body("Pause", false),
    answers: { 200: ["It takes events again", "EventTrigger"], 404: "None", 409: "It is not paused" },
  },
};
