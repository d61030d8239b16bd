// The catalogue: connectors and own activities that a process knows, by name, as data, and as a hash to compare processes by.

import { createHash } from "node:crypto";
import { z } from "zod";
import type { ConnectorFacts } from "../core/compile-plan.ts";
import type { ConnectorSpec } from "./connector.ts";
import { secretKeys } from "./lib/config.ts";

export interface OwnActivity {
  /** The name under which the worker registers it. */
  readonly name: string;
  /** Task queue of the workers that have it; absent: Downbeat's own. */
  readonly queue?: string;
  readonly description?: string;
}

export interface ConnectorDescription {
  readonly kind: string;
  readonly title: string;
  readonly description: string;
  readonly roles: readonly string[];
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: readonly string[];
  readonly source_options?: Readonly<Record<string, unknown>>;
  readonly target_options?: Readonly<Record<string, unknown>>;
  readonly publish_options?: Readonly<Record<string, unknown>>;
  readonly event_options?: Readonly<Record<string, unknown>>;
}

export interface Catalogue {
  readonly hash: string;
  readonly activities: Readonly<Record<string, { readonly queue?: string }>>;
  /** What compilePlan needs. */
  readonly connectors: Readonly<Record<string, ConnectorFacts>>;
  readonly kinds: readonly string[];
  find(kind: string): ConnectorSpec | undefined;
  describe(): readonly ConnectorDescription[];
}

const jsonSchema = (schema: z.ZodType): Record<string, unknown> => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
};

/** Throws on two connectors of one kind: the second would hide the first. */
export const createCatalogue = (specs: readonly ConnectorSpec[], activities: readonly OwnActivity[] = []): Catalogue => {
  const byKind = new Map<string, ConnectorSpec>();
  for (const spec of specs) {
    if (byKind.has(spec.kind)) throw new Error(`two connectors are of the kind "${spec.kind}"`);
    byKind.set(spec.kind, spec);
  }
  const describe = (): readonly ConnectorDescription[] =>
    [...byKind.values()].map((spec) => ({
      kind: spec.kind,
      title: spec.title,
      description: spec.description,
      roles: spec.roles,
      capabilities: { ...spec.capabilities },
      config: jsonSchema(spec.config),
      secrets: secretKeys(spec.config),
      ...(spec.sourceOptions === undefined ? {} : { source_options: jsonSchema(spec.sourceOptions) }),
      ...(spec.targetOptions === undefined ? {} : { target_options: jsonSchema(spec.targetOptions) }),
      ...(spec.publishOptions === undefined ? {} : { publish_options: jsonSchema(spec.publishOptions) }),
      ...(spec.eventOptions === undefined ? {} : { event_options: jsonSchema(spec.eventOptions) }),
    }));
  const facts = (spec: ConnectorSpec): ConnectorFacts => ({
    roles: spec.roles,
    ...(spec.capabilities.modes === undefined ? {} : { modes: spec.capabilities.modes }),
    ...(spec.capabilities.incremental === undefined ? {} : { incremental: spec.capabilities.incremental }),
    ...(spec.capabilities.incrementalWhen === undefined ? {} : { incrementalWhen: spec.capabilities.incrementalWhen }),
    ...(spec.capabilities.repeatsUnless === undefined ? {} : { repeatsUnless: spec.capabilities.repeatsUnless }),
    ...(spec.sourceOptions === undefined ? {} : { sourceOptions: spec.sourceOptions }),
    ...(spec.targetOptions === undefined ? {} : { targetOptions: spec.targetOptions }),
    ...(spec.publishOptions === undefined ? {} : { publishOptions: spec.publishOptions }),
    ...(spec.eventOptions === undefined ? {} : { eventOptions: spec.eventOptions }),
  });
  const sorted = activities.toSorted((left, right) => left.name.localeCompare(right.name));
  const text = JSON.stringify([describe().toSorted((left, right) => left.kind.localeCompare(right.kind)), sorted]);
  return {
    hash: createHash("sha256").update(text).digest("hex").slice(0, 16),
    activities: Object.fromEntries(activities.map(({ name, queue }) => [name, queue === undefined ? {} : { queue }])),
    connectors: Object.fromEntries([...byKind].map(([kind, spec]) => [kind, facts(spec)])),
    kinds: [...byKind.keys()],
    find: (kind) => byKind.get(kind),
    describe,
  };
};
