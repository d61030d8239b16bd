// One span and one log line per request.

import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { RequestHandler } from "express";
import type { Logger } from "./deps.ts";

const tracer = trace.getTracer("downbeat.api");

export const traceRequests = (log: Logger): RequestHandler => {
  return (request, response, next) => {
    const parent = propagation.extract(context.active(), request.headers);
    const span = tracer.startSpan(`${request.method} ${request.path}`, { kind: SpanKind.SERVER }, parent);
    const started = performance.now();
    response.on("close", () => {
      const status = response.statusCode;
      span.setAttributes({ "http.request.method": request.method, "url.path": request.path, "http.response.status_code": status });
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
      log.info({ method: request.method, path: request.path, status, ms: Math.round(performance.now() - started) }, "request");
    });
    context.with(trace.setSpan(parent, span), next);
  };
};
