// One span and one log line per request.

import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { RequestHandler } from "express";
import type { Logger } from "./deps.ts";
import { pathTemplate } from "./openapi.ts";

const tracer = trace.getTracer("downbeat.api");

export const traceRequests = (log: Logger): RequestHandler => {
  return (request, response, next) => {
    // Taken now: inside a router the request shows only the rest of the path.
    const { method, path } = request;
    const route = pathTemplate(path);
    const parent = propagation.extract(context.active(), request.headers);
    const span = tracer.startSpan(route === undefined ? method : `${method} ${route}`, { kind: SpanKind.SERVER }, parent);
    const started = performance.now();
    response.on("close", () => {
      const status = response.statusCode;
      span.setAttributes({ "http.request.method": method, "url.path": path, "http.response.status_code": status });
      if (route !== undefined) span.setAttribute("http.route", route);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
      log.info({ method, path, status, ms: Math.round(performance.now() - started) }, "request");
    });
    context.with(trace.setSpan(parent, span), next);
  };
};
