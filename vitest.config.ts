// Two projects: `unit` needs no server, `integration` gets real servers from test/global-setup.ts.
import { defineConfig } from "vitest/config";

const integration = [
  "test/integration/**/*.test.ts",
  "test/workflow/**/*.test.ts",
  "test/replay/**/*.test.ts",
  "test/contract/**/*.test.ts",
  "test/e2e/**/*.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/**/*.test.ts"], exclude: integration, testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        test: {
          name: "integration",
          include: integration,
          globalSetup: ["test/global-setup.ts"],
          // Nothing here is about speed: what takes so long has stopped.
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // On two cores: most of a file is waiting for servers and timers.
          maxWorkers: 3,
        },
      },
    ],
  },
});
