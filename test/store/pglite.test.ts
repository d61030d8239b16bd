// The store on PGlite: the shared suite, and what is special about a folder.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openStore } from "../../store/open-store.ts";
import { SECRET_KEY } from "./kit.ts";
import { describeStore } from "./suite.ts";
import { describeActions } from "./actions-suite.ts";
import { describeTriggers } from "./triggers-suite.ts";

const openInMemory = () => openStore({ url: "pglite:memory", secretKey: SECRET_KEY });
describeStore("store on PGlite", openInMemory);
describeTriggers("triggers on PGlite", openInMemory);
describeActions("actions on PGlite", openInMemory);

describe("a PGlite folder", () => {
  const root = mkdtempSync(path.join(tmpdir(), "downbeat-store-"));
  afterAll(() => rm(root, { recursive: true, force: true }));

  const connection = { name: "c", kind: "k", config: { password: "p" }, secretKeys: ["password"] };

  it("is migrated from empty, and again opened with what it held", async () => {
    const url = `pglite:${path.join(root, "kept")}`;
    const first = await openStore({ url, secretKey: SECRET_KEY });
    await first.connections.save(connection);
    await first.close();
    const second = await openStore({ url, secretKey: SECRET_KEY });
    expect(await second.connections.findOpened("c")).toMatchObject({ config: { password: "p" } });
    await second.close();
    const withOtherKey = await openStore({ url, secretKey: new Uint8Array(32).fill(8) });
    await expect(withOtherKey.connections.findOpened("c")).rejects.toMatchObject({ code: "SECRET_UNRESOLVED" });
    await withOtherKey.close();
  });

  it("belongs to one process; the next one gets it when that was killed", async () => {
    const folder = path.join(root, "locked");
    const script = path.join(root, "hold.mts");
    writeFileSync(
      script,
      `import { openStore } from ${JSON.stringify(path.resolve("store/open-store.ts"))};
      const store = await openStore({ url: ${JSON.stringify(`pglite:${folder}`)}, secretKey: new Uint8Array(32).fill(7) });
      await store.connections.save({ name: "left", kind: "k", config: {}, secretKeys: [] });
      process.stdout.write("held\\n");
      setInterval(() => undefined, 1_000);`,
    );
    const holder = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(holder.stdout, "data");
      await expect(openStore({ url: `pglite:${folder}`, secretKey: SECRET_KEY })).rejects.toMatchObject({
        code: "STORE_LOCKED",
        message: expect.stringContaining(folder) as string,
      });
    } finally {
      holder.kill("SIGKILL");
      await once(holder, "exit");
    }
    const next = await openStore({ url: `pglite:${folder}`, secretKey: SECRET_KEY });
    expect(await next.connections.find("left")).toBeDefined();
    await next.close();
  }, 120_000);

  it("that cannot be made is named", async () => {
    const file = path.join(root, "a-file");
    writeFileSync(file, "");
    await expect(openStore({ url: `pglite:${file}/data`, secretKey: SECRET_KEY })).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: expect.stringContaining(file) as string,
    });
  });
});
