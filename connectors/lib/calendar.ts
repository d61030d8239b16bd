// Proleptic Gregorian dates as day and microsecond numbers, exact before 1970 and beyond 9999.

/** Days since 1970-01-01. Howard Hinnant's days_from_civil: https://howardhinnant.github.io/date_algorithms.html */
export const daysFromCivil = (year: number, month: number, day: number): number => {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
};

export const civilFromDays = (days: number): { readonly year: number; readonly month: number; readonly day: number } => {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthIndex = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthIndex + (monthIndex < 10 ? 3 : -9);
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * monthIndex + 2) / 5) + 1 };
};

export const MICROS_PER_SECOND = 1_000_000n;
export const MICROS_PER_DAY = 86_400n * MICROS_PER_SECOND;

const pad = (value: number, width: number): string => String(value).padStart(width, "0");

export const formatDate = (days: number): string => {
  const { year, month, day } = civilFromDays(days);
  const yearText = year >= 0 && year <= 9_999 ? pad(year, 4) : `${year < 0 ? "-" : "+"}${pad(Math.abs(year), 6)}`;
  return `${yearText}-${pad(month, 2)}-${pad(day, 2)}`;
};

/** "HH:MM:SS" with six places behind the point where there are any; hours may pass 24, and be negative. */
export const formatTime = (micros: bigint): string => {
  const absolute = micros < 0n ? -micros : micros;
  const seconds = Number(absolute / MICROS_PER_SECOND);
  const fraction = Number(absolute % MICROS_PER_SECOND);
  const text = `${pad(Math.floor(seconds / 3_600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
  return `${micros < 0n ? "-" : ""}${text}${fraction === 0 ? "" : `.${pad(fraction, 6)}`}`;
};

const floorDiv = (value: bigint, by: bigint): bigint => (value < 0n ? -((-value + by - 1n) / by) : value / by);

export const formatTimestamp = (micros: bigint): string => {
  const days = floorDiv(micros, MICROS_PER_DAY);
  return `${formatDate(Number(days))}T${formatTime(micros - days * MICROS_PER_DAY)}`;
};

/** Nanoseconds since 1970, with nine digits where six do not say them. */
export const formatNanos = (nanos: bigint): string => {
  const rest = ((nanos % 1_000n) + 1_000n) % 1_000n;
  const text = formatTimestamp((nanos - rest) / 1_000n);
  return rest === 0n ? text : `${text.includes(".") ? text : `${text}.000000`}${rest.toString().padStart(3, "0")}`;
};

const DATE = /^([+-]?\d{4,6})-(\d{2})-(\d{2})$/;
const TIME = /^(-)?(\d{1,3}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?$/;
const TIMESTAMP = /^([+-]?\d{4,6}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/;

/** Undefined when the text is no real date: the 30th of February is none. */
export const parseDate = (text: string): number | undefined => {
  const [, year, month, day] = DATE.exec(text) ?? [];
  if (year === undefined) return undefined;
  const days = daysFromCivil(Number(year), Number(month), Number(day));
  const back = civilFromDays(days);
  return back.month === Number(month) && back.day === Number(day) ? days : undefined;
};

/** More than six places behind the second would be lost: undefined, unless they are zeros. */
export const parseTime = (text: string): bigint | undefined => {
  const [, sign, hours, minutes, seconds, fraction = ""] = TIME.exec(text) ?? [];
  if (hours === undefined || Number(minutes) > 59 || Number(seconds) > 59 || /[1-9]/.test(fraction.slice(6))) return undefined;
  const whole = BigInt(Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds));
  const micros = whole * MICROS_PER_SECOND + BigInt(fraction.slice(0, 6).padEnd(6, "0"));
  return sign === undefined ? micros : -micros;
};

/** Wall-clock microseconds, and the offset from UTC where the text has one. */
export const parseTimestamp = (text: string): { readonly micros: bigint; readonly offsetMinutes: number | undefined } | undefined => {
  const [, date, clock = "", zone] = TIMESTAMP.exec(text) ?? [];
  const days = date === undefined ? undefined : parseDate(date);
  const time = parseTime(clock.length === 5 ? `${clock}:00` : clock);
  if (days === undefined || time === undefined || time >= MICROS_PER_DAY) return undefined;
  return { micros: BigInt(days) * MICROS_PER_DAY + time, offsetMinutes: zone === undefined ? undefined : offsetOf(zone) };
};

const offsetOf = (zone: string): number => {
  if (zone === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3).replace(":", "") || 0);
  return zone.startsWith("-") ? -minutes : minutes;
};
