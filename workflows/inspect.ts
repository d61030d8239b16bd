// A look at a connection, made on a worker since the API opens no drivers.

import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { InspectInput } from "./messages.ts";
import { INSPECT_OPTIONS } from "./policies.ts";
import type { DagActivities, InspectResult } from "./ports.ts";

const { checkConnection, discoverConnection } = proxyActivities<DagActivities>(INSPECT_OPTIONS);

export async function inspect({ kind, connection }: InspectInput): Promise<InspectResult> {
  setCurrentDetails(`a worker ${kind === "check" ? "tries" : "lists the streams of"} connection ${connection}`);
  return kind === "check" ? checkConnection({ connection }) : discoverConnection({ connection });
}
