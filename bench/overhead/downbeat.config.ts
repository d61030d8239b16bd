// The same no-op activity as the floor's, as a user's own.

import { defineActivity, defineConfig } from "../../connectors/sdk.ts";

export default defineConfig({ activities: [defineActivity({ name: "noop", run: () => Promise.resolve({ ok: true }) })] });
