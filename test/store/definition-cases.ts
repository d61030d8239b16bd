// What the store promises of definitions and their versions.

import { expect } from "vitest";
import { type StoreKit, unique, planOf, version } from "./kit.ts";

export const definitionCases = (kit: StoreKit): void => {
  const { caseOf } = kit;

  caseOf("a definition saved twice is one version; other content is the next one, and tells what it followed", async () => {
    const name = unique("p");
    expect(await kit.store.definitions.save(version(name, "one"))).toEqual({ version: 1, created: true, previous: undefined });
    expect(await kit.store.definitions.save(version(name, "one"))).toMatchObject({ version: 1, created: false });
    expect(await kit.store.definitions.save(version(name, "two"))).toMatchObject({
      version: 2,
      created: true,
      previous: { description: "content one" },
    });
    // Back to the first content is a new version: history is never rewritten.
    expect(await kit.store.definitions.save(version(name, "one"))).toMatchObject({ version: 3, created: true });
    expect(await kit.store.definitions.find(name)).toMatchObject({ version: 3, source: `name: ${name} # one`, format: "yaml" });
    expect(await kit.store.definitions.find(name, 2)).toMatchObject({ version: 2, hash: `${name}/two` });
    expect(await kit.store.definitions.find(name, 4)).toBeUndefined();
    expect((await kit.store.definitions.listVersions(name, { limit: 2 })).map((entry) => entry.version)).toEqual([3, 2]);
    expect((await kit.store.definitions.listVersions(name, { limit: 2, before: 2 })).map((entry) => entry.version)).toEqual([1]);
  });

  caseOf("a definition's keys keep the order of their author", async () => {
    const name = unique("p");
    await kit.store.definitions.save(version(name, "one"));
    expect(Object.keys((await kit.store.definitions.find(name))?.definition ?? {})).toEqual(["owner", "description", "name"]);
    expect(JSON.stringify((await kit.store.definitions.findPlan(`${name}/one`))?.configs)).toBe('{"a":{"z":1,"b":2}}');
  });

  caseOf("saves of one pipeline at once get versions of their own", async () => {
    const name = unique("p");
    const saved = await Promise.all(["a", "b", "c", "d", "e"].map((hash) => kit.store.definitions.save(version(name, hash))));
    expect(saved.map((result) => result.version).toSorted()).toEqual([1, 2, 3, 4, 5]);
  });

  caseOf("pipelines are listed by name, page by page", async () => {
    const prefix = unique("list");
    for (const suffix of ["c", "a", "b"]) await kit.store.definitions.save(version(`${prefix}-${suffix}`, "x"));
    const names = async (after: string) => (await kit.store.definitions.list({ limit: 2, after })).map((entry) => entry.name);
    expect(await names(prefix)).toEqual([`${prefix}-a`, `${prefix}-b`]);
    expect((await names(`${prefix}-b`))[0]).toBe(`${prefix}-c`);
    expect((await kit.store.definitions.list({ limit: 1, after: prefix }))[0]).toMatchObject({ owner: "us", description: "content x" });
  });

  caseOf("only the latest version says which connections a pipeline uses", async () => {
    const name = unique("p");
    const [before, now] = [unique("c"), unique("c")];
    await kit.store.definitions.save(version(name, "one", planOf(before)));
    await kit.store.definitions.save(version(name, "two", planOf(now)));
    expect(await kit.store.definitions.usersOf(now)).toEqual([name]);
    expect(await kit.store.definitions.usersOf(before)).toEqual([]);
  });
};
