// What no MariaDB server logs or takes: MySQL's GTIDs, and its log of transactions that have some. The bytes follow MySQL's description of the protocol.

import { describe, expect, it } from "vitest";
import { toRows } from "../../connectors/lib/rows.ts";
import { dumpBehindSet } from "../../connectors/mysql/changes/dump-commands.ts";
import { parseStart } from "../../connectors/mysql/changes/gtids/events.ts";
import { parseMariadbPosition } from "../../connectors/mysql/changes/gtids/mariadb.ts";
import { type MysqlPosition, parseMysqlPosition } from "../../connectors/mysql/changes/gtids/mysql.ts";
import { parseEvent } from "../../connectors/mysql/changes/log-event.ts";
import { type LogPlace, PlaceGone } from "../../connectors/mysql/changes/log-place.ts";
import { LogReader, type LogRequest } from "../../connectors/mysql/changes/log-reader.ts";
import type { LogServer } from "../../connectors/mysql/changes/log-server.ts";
import { waysOf } from "../../connectors/mysql/changes/resume.ts";
import type { MysqlClient } from "../../connectors/mysql/client.ts";

const A = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B = "77d1902c-01da-11f1-9a41-908d6e5f6e8d";

const set = (text: string): MysqlPosition => {
  const position = parseMysqlPosition(text);
  if (position === undefined) throw new Error(`${text} is no set`);
  return position;
};

const bytes = (...parts: readonly (number | string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.of(part) : Buffer.from(part))));
const int = (value: number, length: number): Buffer => {
  const buffer = Buffer.alloc(length);
  buffer.writeUIntLE(value, 0, Math.min(length, 6));
  return buffer;
};
const uuidBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll("-", ""), "hex");

describe("sets of MySQL's GTIDs", () => {
  it("are read as servers write them", () => {
    expect(set("").text).toBe("");
    expect(set(`${A.toUpperCase()}:1-5:7,\n${B}:3`).text).toBe(`${A}:1-5:7,${B}:3`);
    expect(set(`${A}:1-5:blue:1-2:8:green:1`).text).toBe(`${A}:1-5,${A}:blue:1-2:8,${A}:green:1`);
    for (const text of ["0-1-100", A, `${A}:`, `${A}:1-`, "x:1", `${A}:1,0-1-2`]) expect(parseMysqlPosition(text)).toBeUndefined();
  });

  it("grow in whichever order transactions come", () => {
    const position = set(`${A}:1-5:7:20-30`);
    const add = (...numbers: readonly number[]): string => {
      for (const number of numbers) position.add({ source: A, number: BigInt(number) });
      return position.text;
    };
    expect(add(31)).toBe(`${A}:1-5:7:20-31`);
    expect(add(40, 10)).toBe(`${A}:1-5:7:10:20-31:40`);
    expect(add(6)).toBe(`${A}:1-7:10:20-31:40`);
    expect(add(3, 25, 40)).toBe(`${A}:1-7:10:20-31:40`);
    position.add({ source: B, number: 9n });
    position.addRange(A, 8n, 35n);
    expect(position.text).toBe(`${A}:1-35:40,${B}:9`);
  });

  it("of numbers in any order are what a plain set of them is", () => {
    let seed = 7;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647);
    for (let round = 0; round < 50; round += 1) {
      const position = set("");
      const plain = new Set<number>();
      for (let step = 0; step < 40; step += 1) {
        const number = 1 + (random() % 60);
        position.add({ source: A, number: BigInt(number) });
        plain.add(number);
      }
      const whole = [...plain].toSorted((left, right) => left - right);
      expect(position.text).toBe(set(`${A}:${whole.join(":")}`).text);
      expect(position.covers(set(`${A}:${whole.join(":")}`))).toBe(true);
      const missing = Array.from({ length: 60 }, (_, place) => place + 1).filter((number) => !plain.has(number));
      for (const number of missing) expect(position.covers(set(`${A}:${number}`))).toBe(false);
    }
  });

  it("cover others that are parts of them", () => {
    const whole = set(`${A}:1-10:20-30,${B}:tag:1-5`);
    for (const part of ["", `${A}:1-10`, `${A}:2:5:25-30`, `${B}:tag:5`]) expect(whole.covers(set(part))).toBe(true);
    for (const part of [`${A}:11`, `${A}:5-25`, `${B}:1`, `${B}:tag:1-6`]) expect(whole.covers(set(part))).toBe(false);
  });

  it("go to the server in its encoding, of which ends are the first number behind", () => {
    expect(set("").encoded).toEqual(int(0, 8));
    const plain = bytes(
      int(2, 8),
      uuidBytes(A),
      int(2, 8),
      int(1, 8),
      int(6, 8),
      int(7, 8),
      int(8, 8),
      uuidBytes(B),
      int(1, 8),
      int(3, 8),
      int(4, 8),
    );
    expect(set(`${A}:1-5:7,${B}:3`).encoded).toEqual(plain);
    // With tags: the format's number at both ends of the first word, the count between them; each server's tag behind it, its length doubled.
    const tagged = bytes(
      1,
      int(2, 6),
      1,
      uuidBytes(A),
      0,
      int(1, 8),
      int(1, 8),
      int(6, 8),
      uuidBytes(A),
      8,
      "blue",
      int(1, 8),
      int(1, 8),
      int(3, 8),
    );
    expect(set(`${A}:1-5:blue:1-2`).encoded).toEqual(tagged);
    const command = dumpBehindSet(tagged);
    expect(command.subarray(0, 3)).toEqual(bytes(0x1e, int(5, 2)));
    // Behind the reader's number: no file, the first offset of one, the set.
    expect(command.subarray(7)).toEqual(bytes(int(0, 4), int(4, 8), int(tagged.length, 4), tagged));
  });
});

describe("MariaDB's positions", () => {
  it("have the last transaction of each domain, whichever server it is of", () => {
    const position = parseMariadbPosition("0-1-100,\n5-2-7")!;
    position.add({ source: "0", server: 3, number: 101n });
    expect(position.text).toBe("0-3-101,5-2-7");
    const covers = (text: string): boolean => position.covers(parseMariadbPosition(text)!);
    expect([covers(""), covers("0-1-101"), covers("0-1-102"), covers("6-1-1")]).toEqual([true, true, false, false]);
    expect(parseMariadbPosition(`${A}:1-5`)).toBeUndefined();
  });

  it.each([
    ["0-1-100,5-2-7", "0-1-90,0-2-120,5-2-7", "diverged"],
    ["0-1-100,5-2-7", "0-1-100,0-2-120,5-2-9", "there"],
    ["0-1-100,5-2-7", "0-1-100,0-2-120", "there"],
    ["0-1-100,5-2-7", "0-1-90,0-2-95,5-2-7", "behind"],
    ["0-1-100", "3-1-500", "behind"],
    ["0-1-100", "", "behind"],
    ["", "0-1-100", "there"],
  ])("%s on a server with %s: %s", (position, server, standing) => {
    expect(parseMariadbPosition(position)!.standingOf(server)).toBe(standing);
  });
});

const HEADER = 19;

/** A log as a server sends it: each event behind the one before, from an offset on. */
class Log {
  at = 4;

  event(type: number, body: Buffer, options: { readonly isMadeUp?: boolean; readonly at?: number } = {}): Buffer {
    const length = HEADER + body.length;
    if (options.isMadeUp !== true) this.at += length;
    return bytes(
      0,
      int(options.at ?? 1_000, 4),
      type,
      int(1, 4),
      int(length, 4),
      int(options.isMadeUp === true ? 0 : this.at, 4),
      int(0, 2),
      body,
    );
  }
  rotate = (file: string, offset: number): Buffer => this.event(4, bytes(int(offset, 8), file), { isMadeUp: true });
  // The last byte before the checksum says that there is none.
  describe = (made: number): Buffer => this.event(15, bytes(int(4, 2), Buffer.alloc(80), 0, int(0, 4)), { at: made });
  gtid = (uuid: string, number: number): Buffer => this.event(33, bytes(1, uuidBytes(uuid), int(number, 8), 2, int(0, 8), int(1, 8)));
  anonymous = (): Buffer => this.event(34, bytes(1, Buffer.alloc(16), int(0, 8)));
  query = (sql: string): Buffer => this.event(2, bytes(int(1, 4), int(0, 4), 4, int(0, 2), int(0, 2), "shop", 0, sql));
  commit = (): Buffer => this.event(16, int(1, 8));
  /** Of a table with one column, `id int primary key`. */
  map = (table: string): Buffer =>
    this.event(19, bytes(int(9, 6), int(1, 2), 4, "shop", 0, table.length, table, 0, 1, 3, 0, 0, 1, 1, 0, 4, 3, 2, "id", 8, 1, 0));
  insert = (...ids: readonly number[]): Buffer =>
    this.event(30, bytes(int(9, 6), int(1, 2), int(2, 2), 1, 0xff, ...ids.flatMap((id) => [bytes(0, int(id, 4))])));
}

const requestOf = (from: LogPlace, given: Partial<LogRequest> = {}): LogRequest => ({
  stream: { database: "shop", table: "orders" },
  from,
  isFromHere: true,
  gtids: from.gtids === undefined ? undefined : set(from.gtids),
  until: from,
  end: undefined,
  log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
  current: new Map(),
  wanted: undefined,
  key: [],
  batchRows: 2,
  transcode: () => null,
  tinyint1: "int",
  zeroDates: "fail",
  what: "the test",
  ...given,
});

const read = (
  reader: LogReader,
  ...events: readonly Buffer[]
): readonly { readonly ids: readonly unknown[]; readonly gtids: string | null | undefined }[] => {
  for (const event of events) reader.row(event, 0, event.length);
  return [...reader.take()].map(({ batch, end }) => ({
    ids: toRows(batch).map(({ id }) => id),
    gtids: end === undefined ? null : end.place.gtids,
  }));
};

describe("MySQL's log of transactions with GTIDs", () => {
  const from: LogPlace = { file: "binlog.000003", offset: 4, made: 500, gtids: `${A}:1-9` };

  it("places lie between transactions and name those up to them, of other tables too", () => {
    const log = new Log();
    const reader = new LogReader(requestOf(from));
    const got = read(
      reader,
      log.rotate(from.file, 4),
      log.describe(500),
      log.gtid(A, 10),
      log.query("BEGIN"),
      log.map("orders"),
      log.insert(1, 2),
      log.commit(),
      log.gtid(A, 11),
      log.query("BEGIN"),
      log.map("others"),
      log.commit(),
      log.gtid(A, 12),
      log.query("BEGIN"),
      log.map("orders"),
      log.insert(3),
    );
    expect(got).toEqual([
      { ids: [1, 2], gtids: `${A}:1-10` },
      { ids: [3], gtids: null },
    ]);
    expect(read(reader, log.insert(4), log.commit())).toEqual([{ ids: [4], gtids: `${A}:1-12` }]);
    const { at: offset } = log;
    // The transaction of the other server has begun: the place is ahead of it.
    expect(read(reader, log.gtid(B, 1), log.query("BEGIN"))).toEqual([]);
    expect(reader.end).toEqual({ file: from.file, offset, made: 500, gtids: `${A}:1-12` });
  });

  it("statements that are transactions of their own end them", () => {
    const log = new Log();
    const reader = new LogReader(requestOf(from));
    const statement = (number: number, sql: string): string | undefined => {
      read(reader, log.gtid(A, number), log.query(sql));
      return reader.end.gtids;
    };
    read(reader, log.rotate(from.file, 4), log.describe(500));
    expect(statement(10, "ALTER TABLE others ADD x int")).toBe(`${A}:1-10`);
    expect(statement(11, "XA COMMIT X'61',X'',1")).toBe(`${A}:1-11`);
    expect(statement(12, "CREATE TABLE `others` (`id` int) START TRANSACTION")).toBe(`${A}:1-11`);
    read(reader, log.commit());
    expect(reader.end.gtids).toBe(`${A}:1-12`);
    expect(statement(13, "BEGIN")).toBe(`${A}:1-12`);
    read(reader, log.query("SAVEPOINT a"), log.query("ROLLBACK TO a"));
    expect(reader.end.gtids).toBe(`${A}:1-12`);
    read(reader, log.query("ROLLBACK"));
    expect(reader.end.gtids).toBe(`${A}:1-13`);
    expect(statement(14, "XA START X'61',X'',1")).toBe(`${A}:1-13`);
    read(reader, log.query("XA END X'61',X'',1"), log.event(38, bytes(0, int(1, 4), int(1, 4), int(0, 4), "a")));
    expect(reader.end.gtids).toBe(`${A}:1-14`);
    // Whatever it is that has no end which is known: the next one begins behind it, and so does the end of the log.
    expect(statement(15, "BEGIN")).toBe(`${A}:1-14`);
    expect(statement(16, "BEGIN")).toBe(`${A}:1-15`);
    reader.logEnds();
    expect(reader.end.gtids).toBe(`${A}:1-16`);
  });

  it("transactions that were read on another server, which logged them in another order, are one with what follows", () => {
    const log = new Log();
    const reader = new LogReader(requestOf({ ...from, gtids: `${A}:1-9:11:13` }));
    const transaction = (number: number, id: number): readonly Buffer[] => [
      log.gtid(A, number),
      log.query("BEGIN"),
      log.map("orders"),
      log.insert(id),
      log.commit(),
    ];
    expect(read(reader, log.rotate(from.file, 4), log.describe(500), ...transaction(10, 1))).toEqual([{ ids: [1], gtids: `${A}:1-11:13` }]);
    const { at: offset } = log;
    // The row may be older than what the thirteenth has made of it.
    expect(read(reader, ...transaction(11, 2))).toEqual([{ ids: [2], gtids: null }]);
    expect(reader.end).toMatchObject({ offset, gtids: `${A}:1-11:13` });
    expect(read(reader, ...transaction(12, 3))).toEqual([{ ids: [3], gtids: `${A}:1-13` }]);
    read(reader, ...transaction(13, 4));
    reader.logEnds();
    expect(reader.end).toMatchObject({ offset: log.at, gtids: `${A}:1-13` });
  });

  it("a transaction that its server died in, half of which ends the file, is none; rows of the table that came with it are refused", () => {
    const log = new Log();
    const next = (): readonly Buffer[] => [log.rotate("binlog.000004", 4), log.describe(700)];
    const reader = new LogReader(requestOf(from));
    read(reader, log.rotate(from.file, 4), log.describe(500), log.gtid(A, 10), log.query("BEGIN"), log.map("others"), ...next());
    expect(reader.end.gtids).toBe(`${A}:1-9`);
    read(reader, log.gtid(A, 11), log.query("BEGIN"), log.commit());
    expect(reader.end).toMatchObject({ file: "binlog.000004", made: 700, gtids: `${A}:1-9:11` });
    read(reader, log.gtid(A, 12), log.query("BEGIN"), log.map("orders"), log.insert(1));
    expect(() => read(reader, ...next())).toThrow(/ends within a transaction.*start the load anew/);
  });

  it("of a server whose transactions have none any more, places go by files again", () => {
    const log = new Log();
    const reader = new LogReader(requestOf(from));
    read(reader, log.rotate(from.file, 4), log.describe(500), log.anonymous(), log.query("BEGIN"), log.commit());
    expect(reader.end).toEqual({ file: from.file, offset: log.at, made: 500 });
  });

  it("on another server the place is that of the first one until a transaction has come that it does not have", () => {
    const log = new Log();
    const until = { file: "binlog.000001", offset: 4, gtids: `${A}:1-10` };
    const reader = new LogReader(requestOf(from, { isFromHere: false, until, end: set(until.gtids) }));
    read(reader, log.rotate("other.000008", 4), log.describe(900), log.event(35, int(0, 8)));
    expect(reader.end).toBe(from);
    expect(reader.isAtEnd).toBe(false);
    const got = read(reader, log.gtid(A, 10), log.query("BEGIN"), log.map("orders"), log.insert(1), log.commit());
    expect(got).toEqual([{ ids: [1], gtids: `${A}:1-10` }]);
    expect(reader.isAtEnd).toBe(true);
    expect(reader.end).toEqual({ file: "other.000008", offset: log.at, made: 900, gtids: `${A}:1-10` });
  });

  it("another file of the same name is not the one that was read", () => {
    const log = new Log();
    const reader = new LogReader(requestOf(from));
    expect(() => read(reader, log.rotate(from.file, 4), log.describe(501))).toThrow(PlaceGone);
  });

  it("tagged ones describe themselves", () => {
    // A number's length is in its lowest bits, its sign in the one above; each field comes behind its number: flags, uuid, number, tag.
    const number = (value: number): Buffer => (value < 128 ? int(value * 2, 1) : int(value * 4 + 1, 2));
    const uuid = bytes(...[...uuidBytes(B)].map(number));
    const fields = bytes(
      number(0),
      number(1),
      number(1),
      uuid,
      number(2),
      number(2 * 300),
      number(3),
      number(8),
      "test_tag",
      number(4),
      number(0),
    );
    const body = bytes(number(1), number(fields.length + 3), number(0), fields);
    const event = new Log().event(42, body);
    expect(parseStart(parseEvent(event, 1, event.length))?.gtid).toMatchObject({ source: `${B}:test_tag`, number: 300n });
  });
});

describe("going on on another MySQL server", () => {
  const here: LogServer = { name: B, number: "2", flavour: "mysql", hasGtids: true, aheadMs: 0 };
  const from: LogPlace = { file: "binlog.000003", offset: 4, made: 500, gtids: `${A}:1-9` };
  const answering = (executed: string, missing = ""): MysqlClient => ({
    query: (sql) => Promise.resolve([sql.includes("gtid_subtract") ? { missing } : { value: executed }]),
    run: () => Promise.reject(new Error("nothing is changed")),
    takeOver: () => {
      throw new Error("nothing is read");
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  const goOn = async (client: MysqlClient, server: LogServer, place: LogPlace = from) => {
    const start = { server: A, log: place };
    const [way] = waysOf({ here: server, start, what: "orders" });
    return way!({ client, here: server, start, until: start, what: "orders" });
  };

  it("the same server goes on by its files, also where GTIDs were turned off since", async () => {
    const same = { ...here, name: A };
    for (const server of [same, { ...same, hasGtids: false }]) {
      expect(await goOn(answering(`${A}:1-9`), server)).toMatchObject({ isFromHere: true });
    }
  });

  it("asks for what follows on the set", async () => {
    const { command, isFromHere } = await goOn(answering(`${A}:1-12,\n${B}:1-3`), here);
    expect(isFromHere).toBe(false);
    expect(command.subarray(23)).toEqual(set(`${A}:1-9`).encoded);
  });

  it.each([
    ["GTIDs that are off", answering(""), { ...here, hasGtids: false }, from, "SOURCE_LOG_LOST", "gtid_mode has to be ON"],
    ["GTIDs of another kind", answering(""), here, { ...from, gtids: "0-1-9" }, "SOURCE_LOG_LOST", "in another way"],
    ["a place without any", answering(""), here, { file: from.file, offset: 4 }, "SOURCE_LOG_LOST", "its place has no GTIDs"],
    [
      "a server that is behind",
      answering(`${A}:1-8`),
      here,
      from,
      "SOURCE_UNAVAILABLE",
      `is behind: it has come to ${A}:1-8, and the load has seen server ${A} at ${A}:1-9`,
    ],
    [
      "a log that was purged",
      answering(`${A}:1-20`, `${A}:10-12`),
      here,
      from,
      "SOURCE_LOG_LOST",
      `has purged the transactions ${A}:10-12`,
    ],
    ["a log that was begun anew", answering(`${B}:1`), { ...here, name: A }, { ...from, made: undefined }, "SOURCE_LOG_LOST", "begun anew"],
  ] as const)("tells of %s what to do", async (_, client, server, place, code, message) => {
    const { made, ...rest } = place as LogPlace;
    const going = (async () => goOn(client, server, made === undefined ? rest : { ...rest, made }))();
    await expect(going).rejects.toMatchObject({ code, message: expect.stringContaining(message) as string });
    await expect(going).rejects.toThrow("delete the stream's cursor and start the load anew");
  });
});
