// BigQuery: what the contract of destinations does not ask. Refusals, lost answers and tokens are seen at a proxy of the test's own.

import { generateKeyPairSync, verify } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { bigquery } from "../../connectors/bigquery/spec.ts";
import { flowSuffix } from "../../connectors/bigquery/dialect.ts";
import type { Reject } from "../../connectors/batch.ts";
import { fromRows } from "../../connectors/lib/rows.ts";
import { bigqueryQueries } from "../fixtures/bigquery.ts";
import { httpProxy } from "../fixtures/http-proxy.ts";
import { freshBigqueryProject } from "../fixtures/services.ts";
import { openConnector, testContext, testFolder } from "./kit.ts";
import { column, target, write } from "./load-kit.ts";
import { expectCode, hasCode } from "./sql-roles.ts";

const folder = testFolder("bigquery-faults");
const config = freshBigqueryProject();
const make = (given: Record<string, unknown> = {}, signal?: AbortSignal): ReturnType<typeof openConnector> =>
  openConnector(bigquery, { ...config, ...given }, testContext(folder, signal));
const { query, tablesOf } = bigqueryQueries(config.endpoint, config.project);

const ID = column("id", { kind: "int64" });
const rows = (...ids: readonly number[]) =>
  fromRows(
    [ID],
    ids.map((id) => ({ id })),
    { position: ids.at(-1)! },
  );
const idsIn = async (table: string): Promise<readonly number[]> =>
  (await query(`select id from shop.${table} order by id`)).map(({ id }) => Number(id));
const own = (table: string, key: string): string => `\`_downbeat_us.${table}_${flowSuffix(key)}\``;

describe("loads into BigQuery", () => {
  it("a session that somebody else ends leaves nothing, also not what is asked after it", async () => {
    await using connector = await make();
    const into = target({ key: "ended", table: "ended", incremental: true });
    {
      await using load = await connector.destination!.openLoad(into);
      await load.begin(null);
      await load.write(rows(1));
      await load.commit(1);
      await load.write(rows(2));
      const noted = await fetch(
        `${config.endpoint}/bigquery/v2/projects/${config.project}/datasets/_downbeat_us/tables/attempts_${flowSuffix(into.key)}`,
      );
      const { description } = (await noted.json()) as { readonly description: string };
      await query(`call bq.abort_session('${(JSON.parse(description) as { readonly session: string }).session}')`);
      await expectCode(load.commit(2), "DESTINATION_UNAVAILABLE", "try again");
      await expectCode(load.commit(2), "DESTINATION_UNAVAILABLE");
    }
    expect(await idsIn("ended")).toEqual([1]);
    await using again = await connector.destination!.openLoad(into);
    expect(again.resume).toMatchObject({ done: false, position: 1, rows: 1 });
    expect(await query(`select seq from ${own("receipts", into.key)}`)).toEqual([{ seq: "1" }]);
    await again.write(rows(2));
    await again.commit(null);
    await again.finish();
    expect(await idsIn("ended")).toEqual([1, 2]);
  });

  it("the next attempt ends the session that a dead one has left, with what was open in it", async () => {
    await using connector = await make();
    const into = target({ key: "left", table: "left_open" });
    const killed = new Error("killed");
    const dead = await connector.destination!.openLoad({
      ...into,
      failpoint: (name) => (name === "within-commit" ? Promise.reject(killed) : Promise.resolve()),
    });
    await dead.begin(null);
    await dead.write(rows(1, 2));
    await expect(dead.commit(2)).rejects.toBe(killed);
    // It is not disposed of: its transaction has changed the flow's tables, and is open.
    await using next = await connector.destination!.openLoad(into);
    await next.write(rows(1, 2, 3));
    await next.commit(null);
    await next.finish();
    await expectCode(dead.commit(2), "LOAD_FENCED");
    expect(await idsIn("left_open")).toEqual([1, 2, 3]);
  });

  it("rows that are uploaded after the transaction had to begin are in it, and letters once", async () => {
    await using connector = await make();
    const into = target({ key: "late", table: "late" });
    await using load = await connector.destination!.openLoad(into);
    await load.begin(null);
    const rejects = Array.from(
      { length: 600 },
      (_, n): Reject => ({ where: `line ${n}`, code: "SOURCE_DATA_INVALID", reason: "bad", raw: "x" }),
    );
    await load.write({ ...rows(1), rejects });
    await load.write(rows(2));
    await load.write({ ...rows(3), rejects });
    await load.write(fromRows([ID, column("name", { kind: "string" })], [{ id: 4, name: "four" }], { position: 4 }));
    await load.write(rows(5));
    await load.commit(null);
    await load.finish();
    expect(await idsIn("late")).toEqual([1, 2, 3, 4, 5]);
    const [letters] = await query(`select count(*) as n from _downbeat_us.dead_letters where key = 'late'`);
    expect(letters).toEqual({ n: "1200" });
    expect(load.resume.done).toBe(false);
  });

  it("upload tables expire, and are gone when a load has ended", async () => {
    const seen: unknown[] = [];
    await using proxy = await httpProxy(config.endpoint, ({ method, url, body }) => {
      if (method === "POST" && url.endsWith("/tables") && body.includes("upload_")) seen.push(JSON.parse(body));
      return undefined;
    });
    await using connector = await make({ endpoint: proxy.endpoint });
    await write(await connector.destination!.openLoad(target({ key: "expires", table: "expires" })), [ID], [{ id: 1 }]);
    expect(seen).toHaveLength(1);
    const hours = (Number((seen[0] as { readonly expirationTime: string }).expirationTime) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(23);
    expect(hours).toBeLessThan(25);
    expect((await tablesOf("_downbeat_us")).filter((name) => name.startsWith("upload_"))).toEqual([]);
  });

  it("loads that make the same table at once, and add to it at once, all go in", async () => {
    await using connector = await make();
    const loads = Array.from({ length: 4 }, async (_, id) => {
      await using load = await connector.destination!.openLoad(target({ key: `at once ${id}`, table: "new_dataset.at_once" }));
      await write(load, [ID, column(`c${id}`, { kind: "string" })], [{ id, [`c${id}`]: "x" }]);
    });
    await Promise.all(loads);
    expect(await query("select id from new_dataset.at_once order by id")).toEqual(["0", "1", "2", "3"].map((id) => ({ id })));
  });

  it("a merge that another one was faster than is tried again, and not taken for overtaken", async () => {
    await using connector = await make();
    const into = target({ key: "merged one", table: "merged", mode: "merge", keyColumns: ["id"] });
    await write(await connector.destination!.openLoad({ ...into, key: "merged zero" }), [ID], [{ id: 1 }]);
    // Each does all of its commit while the other one's transaction is open.
    let others: Promise<void> | undefined;
    const faster = async (): Promise<void> => {
      await using load = await connector.destination!.openLoad({ ...into, key: "merged two" });
      await write(load, [ID], [{ id: 1 }]);
    };
    await using load = await connector.destination!.openLoad({
      ...into,
      failpoint: async (name) => {
        if (name === "between-rows-and-cursor") others ??= faster();
        await (name === "between-rows-and-cursor" ? others : undefined)?.catch(() => undefined);
      },
    });
    await write(load, [ID], [{ id: 1 }]);
    const error: unknown = await others!.catch((reason: unknown) => reason);
    hasCode("DESTINATION_UNAVAILABLE", "concurrent update", "try again")(error);
    expect(await idsIn("merged")).toEqual([1]);
  });

  it("a merge takes batches with other columns in one chunk, and deletions after rows", async () => {
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "mixed", table: "mixed", mode: "merge", keyColumns: ["id"] }));
    const [name, more] = [column("name", { kind: "string" }), column("more", { kind: "json" })];
    await load.begin(null);
    const two = [
      { id: 1, name: "one" },
      { id: 2, name: "two" },
    ];
    await load.write(fromRows([ID, name], two, { position: 1 }));
    await load.write(fromRows([ID, more, name], [{ id: 2, name: "second", more: '{"a":[1]}' }], { position: 2 }));
    await load.write(fromRows([name, ID], [{ id: 3, name: "three" }], { position: 3 }));
    await load.write({ ...fromRows([ID], [{ id: 1 }], { position: 4 }), deleted: Uint8Array.of(1) });
    await load.commit(null);
    await load.finish();
    expect(await query("select id, name, more from shop.mixed order by id")).toEqual([
      { id: "2", name: "second", more: '{"a":[1]}' },
      { id: "3", name: "three", more: null },
    ]);
  });

  it("keeps odd names, and refuses those that BigQuery has not", async () => {
    const names = ["customerId", "grün Ω 表", "select", "x:y <z> & 10%", "1st", "'"];
    await using connector = await make();
    await using load = await connector.destination!.openLoad(target({ key: "names", table: "Odd-table 表" }));
    await write(
      load,
      [ID, ...names.map((name) => column(name, { kind: "string" }))],
      [{ id: 1, ...Object.fromEntries(names.map((name) => [name, `value of ${name}`])) }],
    );
    const [row] = await query("select * from shop.`Odd-table 表`");
    expect(row).toEqual({ id: "1", ...Object.fromEntries(names.map((name) => [name, `value of ${name}`])) });
    for (const [name, why] of [
      ["x".repeat(301), "300"],
      ["a.b", '"."'],
      ["_PARTITIONTIME", "own columns"],
    ] as const) {
      await using refused = await connector.destination!.openLoad(target({ key: `refused ${why}`, table: "refused" }));
      await expectCode(write(refused, [column(name, { kind: "string" })], [{ [name]: "x" }]), "DESTINATION_TABLE_INVALID", why);
    }
    await using doubled = await connector.destination!.openLoad(target({ key: "doubled", table: "doubled" }));
    await expectCode(write(doubled, [ID, column("ID", { kind: "string" })], [{ id: 1, ID: "x" }]), "DESTINATION_TABLE_INVALID", "BigQuery");
  });

  it("a time that is none of a day is refused", async () => {
    await using connector = await make();
    await using times = await connector.destination!.openLoad(target({ key: "times", table: "times" }));
    await expectCode(write(times, [column("t", { kind: "time" })], [{ t: "30:00:00" }]), "DESTINATION_DATA_REFUSED", '"t"');
  });
});

const apiError = (code: number, reason: string, message = `Refused with ${reason}.`) => ({
  status: code,
  body: { error: { code, message, errors: [{ reason, message }] } },
});

describe("calls of BigQuery's API", () => {
  it("whose answers are lost, or that come at a bad moment, are made again without doing anything twice", async () => {
    const met = new Set<string>();
    await using proxy = await httpProxy(config.endpoint, ({ method, url }) => {
      // Once for each kind of call: by turns the answer is lost, and the server is not well.
      const kind = `${method} ${url.replace(/\?.*/, "").replaceAll(/(downbeat|upload|session)_[\w-]+|[0-9a-f]{12,}/g, "")}`;
      if (met.has(kind)) return undefined;
      met.add(kind);
      return met.size % 3 === 0 ? apiError(503, "backendError") : "lose the answer";
    });
    await using connector = await make({ endpoint: proxy.endpoint });
    const load = await connector.destination!.openLoad(target({ key: "lost", table: "lost", mode: "merge", keyColumns: ["id"] }));
    await write(load, [ID], [{ id: 1 }, { id: 2 }]);
    await load[Symbol.asyncDispose]();
    expect(met.size).toBeGreaterThan(8);
    expect(await idsIn("lost")).toEqual([1, 2]);
    expect(await query(`select seq from ${own("receipts", "lost")}`)).toEqual([{ seq: "1" }]);
  });

  it("end with a signal, and the job with them", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    await using proxy = await httpProxy(config.endpoint, ({ url }) => {
      if (!url.includes("/queries/")) return undefined;
      stop.abort(reason);
      return "hold";
    });
    await using connector = await make({ endpoint: proxy.endpoint }, stop.signal);
    await expect(connector.check()).rejects.toBe(reason);
    await expect.poll(() => proxy.calls.some(({ url }) => /\/jobs\/downbeat_[\w-]+\/cancel/.test(url)), { timeout: 20_000 }).toBe(true);
  });

  it("are refused with codes that say what to do", async () => {
    const check = async (code: number, reason: string, message?: string): Promise<unknown> => {
      await using proxy = await httpProxy(config.endpoint, () => apiError(code, reason, message));
      await using connector = await make({ endpoint: proxy.endpoint });
      return await connector.check().catch((error: unknown) => error);
    };
    hasCode("DESTINATION_AUTH", "roles/bigquery.jobUser")(await check(403, "accessDenied"));
    hasCode("DESTINATION_AUTH", "key")(await check(401, "authError"));
    hasCode("DESTINATION_UNAVAILABLE", "quota")(await check(403, "quotaExceeded"));
    hasCode("DESTINATION_UNAVAILABLE", "try again")(await check(403, "rateLimitExceeded"));
    hasCode("CONNECTION_INVALID", "project")(await check(404, "notFound", "Not found: Project acme"));
    await using closed = await make({ endpoint: "http://127.0.0.1:1" });
    await expectCode(closed.check(), "DESTINATION_UNAVAILABLE", "endpoint");
  });

  it("bear a token that is signed with the service account's key, which is in no message", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
    const account = { type: "service_account", client_email: "loader@acme.iam.gserviceaccount.com", private_key_id: "k1" };
    const credentials = JSON.stringify({ ...account, private_key: pem });
    await using proxy = await httpProxy(config.endpoint, () => apiError(403, "accessDenied"));
    await using connector = await make({ endpoint: proxy.endpoint, credentials });
    const error: unknown = await connector.check().catch((reason: unknown) => reason);
    hasCode("DESTINATION_AUTH")(error);
    const [header = "", payload = "", signature = ""] = (proxy.calls[0]?.headers.authorization ?? "").replace("Bearer ", "").split(".");
    expect(verify("sha256", Buffer.from(`${header}.${payload}`), publicKey, Buffer.from(signature, "base64url"))).toBe(true);
    expect(JSON.parse(String(Buffer.from(payload, "base64url")))).toMatchObject({
      iss: account.client_email,
      scope: "https://www.googleapis.com/auth/bigquery",
    });
    await using broken = await make({ credentials: JSON.stringify({ ...account, private_key: "no key-s3cret" }) });
    const failure: unknown = await broken.check().catch((reason: unknown) => reason);
    hasCode("DESTINATION_AUTH", "service account")(failure);
    for (const shown of [error, failure]) {
      expect(inspect(shown, { depth: 10 })).not.toContain("s3cret");
      expect(inspect(shown, { depth: 10 })).not.toContain(pem.split("\n")[1]);
    }
  });
});

describe("BigQuery's configuration", () => {
  const issues = (given: object): string =>
    (bigquery.config.safeParse({ project: "p", dataset: "d", ...given }).error?.issues ?? [])
      .map(({ path, message }) => `${path.join()} ${message}`)
      .join();

  it("says what is wrong", () => {
    expect(issues({})).toBe("");
    expect(issues({ dataset: "a-b" })).toContain("dataset datasets have letters");
    expect(issues({ credentials: "/key.json" })).toContain("credentials must be the JSON text");
    expect(issues({ endpoint: "https://bigquery.example.com" })).toContain("endpoint of another machine wants credentials");
    expect(issues({ endpoint: "http://bigquery.example.com", credentials: '{"type":"service_account"}' })).toContain("must be https");
    expect(issues({ endpoint: "https://bigquery.example.com", credentials: '{"type":"service_account"}' })).toBe("");
    expect(issues({ endpoint: "http://[::1]:9050" })).toBe("");
  });
});
