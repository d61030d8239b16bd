// Prepared statements over a connected and authenticated socket, read by hand. https://mariadb.com/kb/en/com_stmt_execute/
// The driver never negotiates CLIENT_DEPRECATE_EOF, so an EOF packet ends every list.

import type { Socket } from "node:net";
import { lengthEncoded, parseColumnDefinition, type ColumnDefinition } from "./column-definition.ts";
import { PacketReader } from "./packet-reader.ts";

const COM_STMT_PREPARE = 0x16;
const COM_STMT_EXECUTE = 0x17;
const COM_STMT_CLOSE = 0x19;
/** Types of parameters. https://mariadb.com/kb/en/com_stmt_execute/#binary-parameter-types */
const TYPE = { tiny: 0x01, double: 0x05, null: 0x06, longlong: 0x08, string: 0xfe } as const;
const OK = 0x00;
const ERR = 0xff;
const MOST_PAYLOAD = 0xff_ff_ff;

/** An error that the server sent, with the fields that the driver's own errors have. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly errno: number;
  readonly sqlState: string;

  constructor(errno: number, sqlState: string, message: string) {
    super(message);
    this.errno = errno;
    this.sqlState = sqlState;
  }
}

export type BinaryParam = string | number | boolean | null;

export interface PreparedStatement {
  readonly id: number;
  readonly columns: readonly ColumnDefinition[];
}

/** Where rows go. */
export interface RowSink {
  /** One row's payload, valid during the call. */
  row(bytes: Buffer, start: number, end: number): void;
  /** Asked after each piece of the stream: true holds the server back until more is asked for. */
  isFull(): boolean;
}

/** Takes one packet of a response; true = it was the last one. */
type Step = (bytes: Buffer, start: number, end: number) => boolean;

export class BinarySession {
  readonly #socket: Socket;
  readonly #packets = new PacketReader();
  #step: Step = unexpected;
  #isComplete = true;
  #sink: RowSink | undefined;
  #refusal: ServerError | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #wake: () => void = () => undefined;

  /** Takes the socket over from the driver: nothing may be under way on it. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (error) => this.fail(error));
    socket.on("close", () => this.fail(Object.assign(new Error("the server closed the connection"), { code: "PROTOCOL_CONNECTION_LOST" })));
  }

  /** Ends the session: what waits, and whatever is asked from now on, rejects with the reason. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#socket.destroy();
    this.#wake();
  }

  async prepare(sql: string): Promise<PreparedStatement> {
    const columns: ColumnDefinition[] = [];
    let id = 0;
    let seen = -1;
    let columnsFrom = 0;
    let columnsTo = 0;
    let last = 0;
    await this.#command(Buffer.concat([Buffer.from([COM_STMT_PREPARE]), Buffer.from(sql)]), (bytes, start, end) => {
      seen += 1;
      if (seen === 0) {
        id = bytes.readUInt32LE(start + 1);
        const columnCount = bytes.readUInt16LE(start + 5);
        const parameterCount = bytes.readUInt16LE(start + 7);
        // Definitions of parameters, then of columns; an EOF behind each list that is not empty.
        columnsFrom = 1 + (parameterCount === 0 ? 0 : parameterCount + 1);
        columnsTo = columnsFrom + columnCount;
        last = columnCount === 0 ? columnsFrom - 1 : columnsTo;
      } else if (seen >= columnsFrom && seen < columnsTo) columns.push(parseColumnDefinition(bytes, start, end));
      return seen === last;
    });
    return { id, columns };
  }

  /** Frees a statement; the server does not answer. */
  close({ id }: PreparedStatement): void {
    const payload = Buffer.alloc(5);
    payload[0] = COM_STMT_CLOSE;
    payload.writeUInt32LE(id, 1);
    this.#write(payload);
  }

  /** Runs a statement and feeds its rows into the sink that `begin` gives, until it is full (true) or the rows have ended (false). */
  async execute(
    statement: PreparedStatement,
    params: readonly BinaryParam[],
    begin: (columns: readonly ColumnDefinition[]) => RowSink,
  ): Promise<boolean> {
    const columns: ColumnDefinition[] = [];
    let count = -1;
    await this.#command(executePayload(statement, params), (bytes, start, end) => {
      if (count < 0) {
        if (bytes[start] === OK) throw new ServerError(0, "", "the statement gives no rows; it has to be a query");
        count = lengthEncoded(bytes, start).value;
      } else if (columns.length < count) columns.push(parseColumnDefinition(bytes, start, end));
      else {
        const sink = begin(columns);
        this.#sink = sink;
        this.#step = rowStep(sink);
      }
      return false;
    });
    return !this.#isComplete;
  }

  /** Asks for the binary log by a command of that payload, and feeds its events into the sink as `execute` does rows: each behind a zero byte. */
  async dump(command: Buffer, sink: RowSink): Promise<boolean> {
    this.#sink = sink;
    await this.#command(command, rowStep(sink));
    return !this.#isComplete;
  }

  /** Goes on where a full sink has stopped the rows. */
  async more(): Promise<boolean> {
    await this.#received();
    return !this.#isComplete;
  }

  async #command(payload: Buffer, step: Step): Promise<void> {
    this.#step = step;
    this.#isComplete = false;
    this.#write(payload);
    await this.#received();
  }

  #write(payload: Buffer): void {
    if (this.#failure !== undefined) return;
    for (let from = 0, sequence = 0; ; from += MOST_PAYLOAD, sequence += 1) {
      const part = payload.subarray(from, from + MOST_PAYLOAD);
      const header = Buffer.alloc(4);
      header.writeUIntLE(part.length, 0, 3);
      header[3] = sequence;
      this.#socket.write(Buffer.concat([header, part]));
      // A part of the greatest length says that another follows, if only an empty one.
      if (part.length < MOST_PAYLOAD) return;
    }
  }

  /** Lets the stream flow until the response is complete or the sink is full. */
  async #received(): Promise<void> {
    if (this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#socket.resume();
      });
    }
    if (this.#failure !== undefined) throw this.#failure.reason;
    const refusal = this.#refusal;
    this.#refusal = undefined;
    if (refusal !== undefined) throw refusal;
  }

  #receive(chunk: Buffer): void {
    try {
      this.#packets.push(chunk, this.#packet);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (!this.#isComplete && this.#sink?.isFull() !== true) return;
    this.#socket.pause();
    this.#wake();
  }

  readonly #packet = (bytes: Buffer, start: number, end: number): void => {
    if (bytes[start] === ERR) {
      // An error ends the response, the connection stays.
      this.#refusal = parseError(bytes, start, end);
      this.#end();
    } else if (this.#step(bytes, start, end)) this.#end();
  };

  #end(): void {
    this.#step = unexpected;
    this.#sink = undefined;
    this.#isComplete = true;
  }
}

const unexpected: Step = () => {
  throw new Error("the server sent a packet that was not asked for");
};

const rowStep =
  (sink: RowSink): Step =>
  (bytes, start, end) => {
    // Anything else is the EOF packet: errors are taken out before.
    if (bytes[start] !== OK) return true;
    sink.row(bytes, start, end);
    return false;
  };

const parseError = (bytes: Buffer, start: number, end: number): ServerError => {
  const errno = bytes.readUInt16LE(start + 1);
  const hasState = bytes[start + 3] === 0x23;
  const sqlState = hasState ? bytes.toString("latin1", start + 4, start + 9) : "";
  return new ServerError(errno, sqlState, bytes.toString("utf8", start + (hasState ? 9 : 3), end));
};

const executePayload = ({ id }: PreparedStatement, params: readonly BinaryParam[]): Buffer => {
  const head = Buffer.alloc(10);
  head[0] = COM_STMT_EXECUTE;
  head.writeUInt32LE(id, 1);
  head.writeUInt32LE(1, 6);
  if (params.length === 0) return head;
  const nulls = Buffer.alloc((params.length + 7) >> 3);
  for (const [place, param] of params.entries()) if (param === null) nulls[place >> 3]! |= 1 << (place & 7);
  const types = Buffer.concat([Buffer.from([1]), ...params.map((param) => Buffer.from([typeOf(param), 0]))]);
  return Buffer.concat([head, nulls, types, ...params.map(encodedParam)]);
};

const typeOf = (param: BinaryParam): number => {
  if (param === null) return TYPE.null;
  if (typeof param === "string") return TYPE.string;
  if (typeof param === "boolean") return TYPE.tiny;
  return Number.isSafeInteger(param) ? TYPE.longlong : TYPE.double;
};

const encodedParam = (param: BinaryParam): Buffer => {
  if (param === null) return Buffer.alloc(0);
  if (typeof param === "string") return lengthEncodedText(param);
  if (typeof param === "boolean") return Buffer.from([param ? 1 : 0]);
  const bytes = Buffer.alloc(8);
  if (Number.isSafeInteger(param)) bytes.writeBigInt64LE(BigInt(param));
  else bytes.writeDoubleLE(param);
  return bytes;
};

const lengthEncodedText = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(bytes.length < 251 ? 1 : 9);
  if (bytes.length < 251) head[0] = bytes.length;
  else {
    head[0] = 0xfe;
    head.writeBigUInt64LE(BigInt(bytes.length), 1);
  }
  return Buffer.concat([head, bytes]);
};
