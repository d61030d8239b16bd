// The floor's reader: the driver connects, then rows of the binary protocol are handed over as bytes. No retries, no packets over 16 MB.

import { once } from "node:events";
import type { Socket } from "node:net";
import { createConnection, type Connection } from "mysql2";

export interface FloorColumn {
  readonly name: string;
  readonly type: number;
  readonly length: number;
  readonly decimals: number;
  readonly unsigned: boolean;
  readonly notNull: boolean;
}

export interface FloorSource {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly table: string;
}

type RowHandler = (bytes: Buffer, at: number, end: number) => void;

export const connectFloor = async ({ host, port, user, password, database }: FloorSource): Promise<Connection> => {
  const connection = createConnection({ host, port, user, password, database });
  await once(connection, "connect");
  return connection;
};

const lengthEncoded = (b: Buffer, p: number): [number, number] => {
  const first = b[p]!;
  if (first < 251) return [first, p + 1];
  return first === 252 ? [b.readUInt16LE(p + 1), p + 3] : [b.readUIntLE(p + 1, 3), p + 4];
};

const columnOf = (b: Buffer, from: number, end: number): FloorColumn => {
  let p = from;
  let name = "";
  for (let part = 0; part < 6; part += 1) {
    const [length, start] = lengthEncoded(b, p);
    if (part === 4) name = b.toString("utf8", start, start + length);
    p = start + length;
  }
  const fixed = end - 12;
  const flags = b.readUInt16LE(fixed + 7);
  return {
    name,
    type: b[fixed + 6]!,
    length: b.readUInt32LE(fixed + 2),
    decimals: b[fixed + 9]!,
    unsigned: (flags & 32) !== 0,
    notNull: (flags & 1) !== 0,
  };
};

const packet = (payload: Buffer): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
};

/** `afterRead` may answer a promise: the socket is held until then. */
export const readFloor = (
  connection: Connection,
  sql: string,
  onColumns: (columns: readonly FloorColumn[]) => RowHandler,
  afterRead: () => Promise<unknown> | undefined,
): Promise<number> =>
  new Promise((resolve, reject) => {
    const socket = (connection as unknown as { readonly stream: Socket }).stream;
    socket.removeAllListeners("data");
    let buffer = Buffer.allocUnsafeSlow(1 << 20);
    let length = 0;
    let state: "prepare" | "prepared" | "count" | "columns" | "columnsEnd" | "rows" = "prepare";
    let pending = 0;
    let statement = 0;
    let count = 0;
    const columns: FloorColumn[] = [];
    let onRow: RowHandler = () => undefined;
    let rows = 0;
    let done = false;
    const handle = (p: number, e: number): void => {
      if (state === "rows" && buffer[p] === 0) {
        onRow(buffer, p, e);
        rows += 1;
        return;
      }
      if (buffer[p] === 0xff) {
        done = true;
        reject(new Error(buffer.toString("utf8", p + 9, e)));
        return;
      }
      switch (state) {
        case "prepare":
          statement = buffer.readUInt32LE(p + 1);
          pending = buffer.readUInt16LE(p + 5) + 1;
          state = "prepared";
          break;
        case "prepared":
          pending -= 1;
          if (pending === 0) {
            const execute = Buffer.alloc(10);
            execute[0] = 0x17;
            execute.writeUInt32LE(statement, 1);
            execute.writeUInt32LE(1, 6);
            state = "count";
            socket.write(packet(execute));
          }
          break;
        case "count":
          count = buffer[p]!;
          state = "columns";
          break;
        case "columns":
          columns.push(columnOf(buffer, p, e));
          if (columns.length === count) state = "columnsEnd";
          break;
        case "columnsEnd":
          onRow = onColumns(columns);
          state = "rows";
          break;
        case "rows":
          done = true;
          break;
      }
    };
    socket.on("data", (chunk: Buffer) => {
      if (length + chunk.length > buffer.length) {
        const grown = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, length + chunk.length));
        buffer.copy(grown, 0, 0, length);
        buffer = grown;
      }
      chunk.copy(buffer, length);
      length += chunk.length;
      let p = 0;
      while (!done && length - p >= 4) {
        const size = buffer[p]! | (buffer[p + 1]! << 8) | (buffer[p + 2]! << 16);
        if (length - p - 4 < size) break;
        handle(p + 4, p + 4 + size);
        p += 4 + size;
      }
      if (p > 0) {
        buffer.copyWithin(0, p, length);
        length -= p;
      }
      if (done) {
        socket.removeAllListeners("data");
        resolve(rows);
        return;
      }
      const wait = afterRead();
      if (wait !== undefined) {
        socket.pause();
        wait.then(() => socket.resume(), reject);
      }
    });
    socket.on("error", reject);
    socket.write(packet(Buffer.concat([Buffer.from([0x16]), Buffer.from(sql)])));
  });

/** Days since 1970-01-01. */
export const days = (year: number, month: number, day: number): number => {
  const y = year - (month <= 2 ? 1 : 0);
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = (((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) | 0) + day - 1;
  const dayOfEra = yearOfEra * 365 + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
};

export type FloorKind = "bool" | "i32" | "i64" | "f64" | "decimal" | "date" | "timestamp" | "text";

/** The types of the bench's table and no others. */
export const kindOf = ({ type, length, name }: FloorColumn): FloorKind => {
  switch (type) {
    case 1:
      if (length === 1) return "bool";
      throw new Error(`column ${name}: the floor knows tinyint(1) only`);
    case 3:
      return "i32";
    case 8:
      return "i64";
    case 5:
      return "f64";
    case 246:
      return "decimal";
    case 10:
      return "date";
    case 7:
    case 12:
      return "timestamp";
    default:
      return "text";
  }
};
