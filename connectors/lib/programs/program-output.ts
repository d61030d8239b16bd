// What a program writes, for the log: line by line, bounded, without secrets.

import { stripVTControlCharacters } from "node:util";

/** Shorter secrets are part of too many words. */
const SHORTEST_SECRET = 4;
/** A line beyond this is cut: a log is read by people. */
const LINE_LENGTH = 16_384;

export interface Redactor {
  (text: string): string;
  /** Characters of the longest text that it takes out. */
  readonly longest: number;
}

/** Takes secrets out of texts: whole, line by line, and as JSON writes them. */
export const createRedactor = (secrets: readonly string[]): Redactor => {
  const forms = secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), ...secret.split(/\r?\n/)]);
  const hidden = [...new Set(forms)].filter((form) => form.length >= SHORTEST_SECRET).toSorted((left, right) => right.length - left.length);
  const redact = (text: string): string => hidden.reduce((rest, form) => rest.replaceAll(form, "***"), text);
  return Object.assign(redact, { longest: hidden[0]?.length ?? 0 });
};

/** Makes lines of pieces of text, without colours and secrets. Of a line that is too long only the beginning is kept in memory. */
export class LineReader {
  readonly #redact: Redactor;
  readonly #onLine: (line: string) => void;
  #line = "";
  #isCut = false;

  constructor(redact: Redactor, onLine: (line: string) => void) {
    this.#redact = redact;
    this.#onLine = onLine;
  }

  push(text: string): void {
    const [rest = "", ...lines] = text.split("\n");
    this.#add(rest);
    for (const line of lines) {
      this.#finish();
      this.#add(line);
    }
  }

  /** What has no line end yet is a line too. */
  end(): void {
    if (this.#line !== "") this.#finish();
  }

  #add(text: string): void {
    const room = LINE_LENGTH + this.#redact.longest - this.#line.length;
    this.#isCut ||= text.length > room;
    this.#line += text.slice(0, Math.max(room, 0));
  }

  #finish(): void {
    const redacted = this.#redact(stripVTControlCharacters(this.#line).replace(/\r$/, ""));
    // The cut may have gone through a secret, which is not recognised any more.
    const sure = Math.max(Math.min(LINE_LENGTH, redacted.length - this.#redact.longest), 0);
    const line = this.#isCut ? `${redacted.slice(0, sure)}… (cut)` : redacted;
    this.#line = "";
    this.#isCut = false;
    if (line.trim() !== "") this.#onLine(line);
  }
}
