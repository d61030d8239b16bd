// Time zones by the runtime's own database: offsets, and moments of a zone's wall clock.

/** A wall clock's reading, as the milliseconds that the same reading has in UTC. */
export type WallTime = number;

/** No zone has changed its clocks at any other minute for decades, nor there and back within a week. */
const BLOCK_MS = 15 * 60_000;
const WEEK_MS = 7 * 86_400_000;
/** Offsets that are remembered for one zone. */
const MOST_KNOWN = 20_000;

interface Zone {
  readonly format: Intl.DateTimeFormat;
  /** By moment, at the beginnings of weeks and blocks. */
  readonly offsets: Map<number, number>;
}

const zones = new Map<string, Zone>();

const zoneOf = (timezone: string): Zone => {
  const known = zones.get(timezone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const zone = { format, offsets: new Map<number, number>() };
  zones.set(timezone, zone);
  return zone;
};

const readOffset = ({ format, offsets }: Zone, moment: number): number => {
  const known = offsets.get(moment);
  if (known !== undefined) return known;
  const parts = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]));
  const read = (name: string): number => Number(parts[name]);
  const offset = Date.UTC(read("year"), read("month") - 1, read("day"), read("hour"), read("minute"), read("second")) - moment;
  if (offsets.size >= MOST_KNOWN) offsets.clear();
  offsets.set(moment, offset);
  return offset;
};

/** How far the zone's clocks are ahead of UTC at a moment, in milliseconds. */
export const offsetAt = (timezone: string, moment: number): number => {
  const zone = zoneOf(timezone);
  const week = Math.floor(moment / WEEK_MS) * WEEK_MS;
  const offset = readOffset(zone, week);
  return readOffset(zone, week + WEEK_MS) === offset ? offset : readOffset(zone, Math.floor(moment / BLOCK_MS) * BLOCK_MS);
};

export const wallTimeAt = (timezone: string, moment: number): WallTime => moment + offsetAt(timezone, moment);

/** Whether it differs from UTC by whole hours, in winter and in summer. */
export const hasWholeHours = (timezone: string): boolean =>
  [0, 6].every((month) => offsetAt(timezone, Date.UTC(2026, month, 1)) % 3_600_000 === 0);

/** ISO 8601 as the zone's clocks show it, with their offset: "2026-03-29T03:00:00+02:00". */
export const isoIn = (timezone: string, moment: number): string => {
  const minutes = Math.round(offsetAt(timezone, moment) / 60_000);
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const pad = (value: number): string => String(value).padStart(2, "0");
  return `${new Date(wallTimeAt(timezone, moment)).toISOString().slice(0, 19)}${minutes < 0 ? "-" : "+"}${pad(hours)}:${pad(rest)}`;
};

/**
 * The moment at which the clocks show it, chosen as Temporal chooses: of two, the later one east of Greenwich and the earlier one west of it; where clocks jump over
 * it, a moment near the jump, at which they show something else.
 */
export const momentOf = (timezone: string, wall: WallTime): number => {
  const moment = wall - offsetAt(timezone, wall);
  return wall - offsetAt(timezone, moment);
};

const NAME = /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/;

/** Names that may have been meant, for hints. */
export const zoneNames = (): readonly string[] => ["UTC", ...Intl.supportedValuesOf("timeZone")];

export const isTimeZone = (name: string): boolean => {
  if (!NAME.test(name)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions();
    // The runtime takes any case, Temporal does not.
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
};
