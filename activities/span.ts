// Spans inside an attempt, below the one that Temporal's interceptor opens for the activity.

import { type Attributes, SpanStatusCode, trace } from "@opentelemetry/api";

const tracer = trace.getTracer("downbeat.activities");

/** Runs the work in a span; without an exporter that costs next to nothing. */
export const withSpan = <Value>(name: string, attributes: Attributes, work: () => Promise<Value>): Promise<Value> =>
  tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
      throw error;
    } finally {
      span.end();
    }
  });
