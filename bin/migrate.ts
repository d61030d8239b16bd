// `npm run migrate`: brings the PostgreSQL store to this version's schema and ends. API and workers do the same when they start.

import { openStore } from "../store/open-store.ts";
import { requireServers } from "./config.ts";
import { runProcess } from "./process.ts";

await runProcess("npm run migrate: migrates the store in DATABASE_URL", async (config, handle) => {
  const store = await openStore({ url: requireServers(config), secretKey: new Uint8Array(32) });
  await store.close();
  console.log("the store has this version's schema");
  await handle.stop(0);
});
