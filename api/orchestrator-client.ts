// Clients of Temporal that read and write payloads as Downbeat's workers do.

import { Client, type ClientOptions } from "@temporalio/client";
import { DATA_CONVERTER } from "./payload-codec.ts";

export const temporalClient = (options: Omit<ClientOptions, "dataConverter">): Client =>
  new Client({ ...options, dataConverter: DATA_CONVERTER });
