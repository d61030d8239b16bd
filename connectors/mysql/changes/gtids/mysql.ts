// MySQL's positions: sets of transactions, as intervals of numbers by server and tag. https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html

import type { Gtid, GtidPosition, Standing } from "./position.ts";

/** Both ends belong to it. */
interface Interval {
  from: bigint;
  to: bigint;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d+)(?:-(\d+))?$/;

export class MysqlPosition implements GtidPosition {
  /** By server or `server:tag`: sorted, with gaps between them. */
  readonly #intervals = new Map<string, Interval[]>();

  add({ source, number }: Pick<Gtid, "source" | "number">): void {
    this.addRange(source, number, number);
  }

  addRange(source: string, from: bigint, to: bigint): void {
    const intervals = this.#intervals.get(source);
    if (intervals === undefined) {
      this.#intervals.set(source, [{ from, to }]);
      return;
    }
    // Servers log their own transactions in order.
    const last = intervals.at(-1)!;
    if (from >= last.from && from <= last.to + 1n) {
      if (to > last.to) last.to = to;
      return;
    }
    const first = intervals.findIndex((interval) => interval.to + 1n >= from);
    if (first < 0) {
      intervals.push({ from, to });
      return;
    }
    const grown = { from, to };
    let behind = first;
    for (; behind < intervals.length && intervals[behind]!.from <= to + 1n; behind += 1) {
      const { from: lowest, to: highest } = intervals[behind]!;
      if (lowest < grown.from) grown.from = lowest;
      if (highest > grown.to) grown.to = highest;
    }
    intervals.splice(first, behind - first, grown);
  }

  has({ source, number }: Pick<Gtid, "source" | "number">): boolean {
    const intervals = this.#intervals.get(source);
    if (intervals === undefined || number > intervals.at(-1)!.to) return false;
    return intervals.some(({ from, to }) => from <= number && number <= to);
  }

  covers(other: MysqlPosition): boolean {
    return [...other.#intervals].every(([source, wanted]) => {
      const mine = this.#intervals.get(source) ?? [];
      return wanted.every(({ from, to }) => mine.some((interval) => interval.from <= from && to <= interval.to));
    });
  }

  /** Numbers tell nothing of others': what is missing may come. */
  standingOf(server: string): Standing {
    return parseMysqlPosition(server)?.covers(this) === true ? "there" : "behind";
  }

  get text(): string {
    return this.#sorted
      .map(([source, intervals]) => [source, ...intervals.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`))].join(":"))
      .join(",");
  }

  /** As COM_BINLOG_DUMP_GTID takes it: `Gtid_set::encode`. Sets with tags have a layout of their own, which servers before 8.3 do not know. */
  get encoded(): Buffer {
    const sources = this.#sorted;
    const isTagged = sources.some(([source]) => source.includes(":"));
    const count = BigInt(sources.length);
    const parts = [int64(isTagged ? (1n << 56n) | (count << 8n) | 1n : count)];
    for (const [source, intervals] of sources) {
      const [uuid = "", tag = ""] = source.split(":");
      parts.push(Buffer.from(uuid.replaceAll("-", ""), "hex"));
      if (isTagged) parts.push(Buffer.of(tag.length << 1), Buffer.from(tag));
      parts.push(int64(BigInt(intervals.length)));
      // The end that is encoded is the first number that does not belong to it.
      for (const { from, to } of intervals) parts.push(int64(from), int64(to + 1n));
    }
    return Buffer.concat(parts);
  }

  get #sorted(): readonly (readonly [string, readonly Interval[]])[] {
    return [...this.#intervals].toSorted(([left], [right]) => (left < right ? -1 : 1));
  }
}

const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

/** `uuid:1-5:7:tag:1-2,…`; a tag counts for what follows on it. Undefined: these are no GTIDs of MySQL. */
export const parseMysqlPosition = (text: string): MysqlPosition | undefined => {
  const position = new MysqlPosition();
  for (const part of text.toLowerCase().split(",")) {
    if (part.trim() === "") continue;
    const [uuid = "", ...rest] = part.split(":").map((piece) => piece.trim());
    if (!UUID.test(uuid) || rest.length === 0) return undefined;
    let source = uuid;
    for (const piece of rest) {
      const [, from, to] = INTERVAL.exec(piece) ?? [];
      if (from !== undefined) position.addRange(source, BigInt(from), BigInt(to ?? from));
      else if (TAG.test(piece)) source = `${uuid}:${piece}`;
      else return undefined;
    }
  }
  return position;
};
