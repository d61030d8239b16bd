// Dead letters as a source: the reader that refused their rows reads their texts again, with the options of today.

import type { Batch, Column, Position } from "../connectors/batch.ts";
import type { DeadLetter, Destination, LoadTarget, Source } from "../connectors/connector.ts";
import { BatchBuilder } from "../connectors/lib/batch-builder.ts";
import { RAW_LENGTH } from "../connectors/lib/rows.ts";
import { DownbeatError } from "../core/errors.ts";

/** Dead letters that were not tried, by the reason. */
export interface Untried {
  /** Left by a load into another table or in another mode, or by one that is forgotten. */
  readonly other_load: number;
  /** The text is empty: the task that left it leaves out or hides columns. */
  readonly no_text: number;
  /** The text may go on behind its 64 KB. */
  readonly cut: number;
  /** The text has U+FFFD, which stands for what could not be kept. */
  readonly altered: number;
}

interface ReplayPosition {
  /** The last letter that was looked at. */
  readonly after: string;
  readonly untried: Untried;
}

const START: ReplayPosition = { after: "", untried: { other_load: 0, no_text: 0, cut: 0, altered: 0 } };

/** Counted where the load stands, so that they hold whatever died meanwhile. */
export const untriedAt = (position: Position | null): Untried => ((position as ReplayPosition | null) ?? START).untried;

export interface Replay {
  /** Of the load whose dead letters they are. */
  readonly key: string;
  readonly source: Source;
  readonly destination: Destination;
  readonly target: Pick<LoadTarget, "table" | "mode">;
}

export const replaySource = ({ key, source, destination, target }: Replay): Source => {
  const { reread } = source;
  const { readLetters } = destination;
  if (reread === undefined || readLetters === undefined) {
    const who =
      reread === undefined ? "from.connection reads no texts: its dead letters" : "to.connection keeps no table of dead letters: they";
    throw new DownbeatError("SOURCE_OPTIONS_INVALID", `${who} cannot be replayed; load the rows anew`);
  }
  return {
    discover: () => Promise.resolve([]),
    async *read({ stream, options, position }): AsyncGenerator<Batch> {
      let { after, untried } = (position as ReplayPosition | null) ?? START;
      let columns: readonly Column[] = [];
      let isEmpty = true;
      const at = (): Position => ({ after, untried: { ...untried } });
      for await (const page of readLetters.call(destination, key, after)) {
        const whole: DeadLetter[] = [];
        for (const letter of page) {
          const why = whyUntried(letter, target);
          if (why === undefined) whole.push(letter);
          else untried = { ...untried, [why]: untried[why] + 1 };
          after = letter.id;
        }
        const batch = await reread.call(source, whole, { stream, options, known: columns });
        columns = batch.schema.columns;
        const refused = new Set((batch.rejects ?? []).map(({ letter }) => letter));
        const letters = whole.map(({ id }) => id).filter((id) => !refused.has(id));
        yield { ...batch, position: at(), letters };
        isEmpty = false;
      }
      if (isEmpty) yield { ...new BatchBuilder({ columns }).take(at()), letters: [] };
    },
  };
};

const whyUntried = ({ raw, load }: DeadLetter, { table, mode }: Replay["target"]): keyof Untried | undefined => {
  if (load?.table !== table || load.mode !== mode) return "other_load";
  if (raw === "") return "no_text";
  if (raw.length >= RAW_LENGTH) return "cut";
  return raw.includes("\u{fffd}") ? "altered" : undefined;
};
