// Messages that everyone means something by: what is made of their fields once they are read. https://protobuf.dev/reference/protobuf/google.protobuf/

import { formatNanos } from "../calendar.ts";
import { decimalText, type Row } from "../rows.ts";
import { signedOf } from "../signed-bytes.ts";
import type { ProtoMessage } from "./schema.ts";

type WellKnown = "timestamp" | "duration" | "wrapper" | "struct" | "value" | "list" | "decimal";

const MEANINGS: Readonly<Record<string, WellKnown>> = {
  "google.protobuf.Timestamp": "timestamp",
  "google.protobuf.Duration": "duration",
  "google.protobuf.Struct": "struct",
  "google.protobuf.Value": "value",
  "google.protobuf.ListValue": "list",
  "confluent.type.Decimal": "decimal",
  ...Object.fromEntries(
    ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"].map((name) => [
      `google.protobuf.${name}Value`,
      "wrapper" as const,
    ]),
  ),
};

/** What each is made of; a message that only has the name means what its fields say. */
const FIELDS: Readonly<Record<WellKnown, readonly string[]>> = {
  timestamp: ["seconds", "nanos"],
  duration: ["seconds", "nanos"],
  wrapper: ["value"],
  struct: ["fields"],
  value: [],
  list: ["values"],
  decimal: ["value", "scale"],
};

/** Undefined: it means what its fields say. */
export const wellKnown = ({ name, fields }: ProtoMessage): WellKnown | undefined => {
  const meaning = Object.hasOwn(MEANINGS, name) ? MEANINGS[name] : undefined;
  if (meaning === undefined) return undefined;
  const isWhole = FIELDS[meaning].every((wanted) => fields.some((field) => field.name === wanted && isPlain(field, meaning)));
  return isWhole ? meaning : undefined;
};

/** A value of its own, where one is worked with. */
const isPlain = ({ type, repeated }: ProtoMessage["fields"][number], meaning: WellKnown): boolean =>
  meaning === "struct" || meaning === "list" || (type.kind === "scalar" && !repeated);

const NANOS_PER_SECOND = 1_000_000_000n;

const nanosOf = ({ seconds, nanos }: Row, signs: boolean): bigint => {
  const [whole, part] = [BigInt(seconds as bigint), BigInt(nanos as number)];
  const isOne = signs ? whole === 0n || part === 0n || whole < 0n === part < 0n : part >= 0n;
  const size = part < 0n ? -part : part;
  if (!isOne || size >= NANOS_PER_SECOND) throw new Error(`has ${whole} seconds and ${part} nanoseconds, which is no time`);
  return whole * NANOS_PER_SECOND + part;
};

/** native: as rows of the field's own column type take it; plain: what JSON says. */
export type Form = "native" | "plain";

/** How a message's own fields are read, and what is made of them. */
interface Meaning {
  readonly inner: Form;
  readonly make: (fields: Row) => unknown;
}

export const meaningOf = (message: ProtoMessage, form: Form): Meaning => {
  switch (wellKnown(message)) {
    case "timestamp":
      return { inner: "native", make: form === "native" ? momentOf : momentText };
    case "duration":
      return { inner: "native", make: durationText };
    case "decimal":
      return { inner: "native", make: decimalOf };
    case "wrapper":
      return { inner: form, make: ({ value }) => value };
    case "struct":
      return { inner: "plain", make: ({ fields }) => fields };
    case "list":
      return { inner: "plain", make: ({ values }) => values };
    case "value":
      return { inner: "plain", make: anyValue };
    case undefined:
      return { inner: "plain", make: (fields) => fields };
  }
};

/** One field of it is there; the one for null is an enum that says so, and is written in either way by who declares it. */
const anyValue = (fields: Row): unknown => ("null_value" in fields || "nullValue" in fields ? null : (Object.values(fields)[0] ?? null));

/** Microseconds since 1970. */
const momentOf = (fields: Row): bigint => {
  const nanos = nanosOf(fields, false);
  if (nanos % 1_000n !== 0n) {
    throw new Error(
      `ends at ${nanos % NANOS_PER_SECOND} nanoseconds: a column of moments ends at microseconds; declare it as string in columns`,
    );
  }
  return nanos / 1_000n;
};

const momentText = (fields: Row): string => `${formatNanos(nanosOf(fields, false))}Z`;

/** Seconds, with as many digits as there are, and an "s": as Protobuf's JSON has it. */
const durationText = (fields: Row): string => {
  const nanos = nanosOf(fields, true);
  const size = nanos < 0n ? -nanos : nanos;
  const part = size % NANOS_PER_SECOND === 0n ? "" : `.${(size % NANOS_PER_SECOND).toString().padStart(9, "0").replace(/0+$/, "")}`;
  return `${nanos < 0n ? "-" : ""}${size / NANOS_PER_SECOND}${part}s`;
};

const decimalOf = ({ value, scale }: Row): string => {
  const places = Number(scale);
  if (places < 0 || places > 1_000) throw new Error(`has a decimal of ${places} places`);
  return decimalText(signedOf(value as Buffer).toString(), places);
};
