// The lines in which the tasks of one run wait for slots: of each pool and priority only the first few have asked its owner.

/** More of them would cost the run its history and the owner its memory. Fewer would leave slots free for as long as asking takes. */
export const MOST_ASKING = 50;

interface InLine {
  readonly priority: number;
  /** Its age. */
  readonly since: number;
}

interface Line<One> {
  readonly asking: Set<One>;
  /** The oldest first. */
  readonly behind: One[];
}

export class SlotLines<One extends InLine> {
  readonly #ask: (one: One) => void;
  /** Absent: everybody asks at once. */
  readonly #mayAsk: (() => boolean) | undefined;
  /** By pool and priority: who is more urgent never stands behind others. */
  readonly #lines = new Map<string, Map<number, Line<One>>>();

  constructor(ask: (one: One) => void, mayAsk: (() => boolean) | undefined) {
    this.#ask = ask;
    this.#mayAsk = mayAsk;
  }

  join(pool: string, one: One): void {
    const line = this.#lineOf(pool, one.priority);
    line.behind.splice(line.behind.findLastIndex(({ since }) => since <= one.since) + 1, 0, one);
    this.#next(line);
  }

  /** It has its slot, or wants none any more. */
  leave(pool: string, one: One): void {
    const line = this.#lines.get(pool)?.get(one.priority);
    if (line === undefined) return;
    const place = line.behind.indexOf(one);
    if (place >= 0) line.behind.splice(place, 1);
    if (line.asking.delete(one)) this.#next(line);
  }

  goOn(): void {
    for (const lines of this.#lines.values()) for (const line of lines.values()) this.#next(line);
  }

  /** Those who have not asked yet. */
  behind(pool: string): readonly One[] {
    return [...(this.#lines.get(pool)?.values() ?? [])].flatMap(({ behind }) => behind);
  }

  #next({ asking, behind }: Line<One>): void {
    while (this.#mayAsk === undefined || (behind.length > 0 && asking.size < MOST_ASKING && this.#mayAsk())) {
      const one = behind.shift();
      if (one === undefined) return;
      asking.add(one);
      this.#ask(one);
    }
  }

  #lineOf(pool: string, priority: number): Line<One> {
    const lines = this.#lines.get(pool) ?? new Map<number, Line<One>>();
    const line = lines.get(priority) ?? { asking: new Set(), behind: [] };
    this.#lines.set(pool, lines.set(priority, line));
    return line;
  }
}
