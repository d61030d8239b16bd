// How far the loads of one flow are, as one value: for destinations that keep no tables of their own.

import type { Json } from "../../../core/json.ts";
import type { ResumePoint } from "../../connector.ts";

/** One run's load as far as it has come. */
export interface LoadState {
  readonly position: Json;
  readonly bounds: Json;
  readonly chunks: number;
  readonly rows: number;
  readonly bytes: number;
  readonly dead_letters: number;
  /** A chunk without a position was committed: the stream has been read to its end. */
  readonly whole: boolean;
  readonly done: boolean;
}

/** By origin, oldest first: an earlier run that is tried again must find what it did. */
export type LoadStates<State extends LoadState = LoadState> = Readonly<Record<string, State>>;

/** Runs whose loads are remembered. */
const REMEMBERED_LOADS = 50;

export const begunState = (position: Json, bounds: Json): LoadState => ({
  position,
  bounds,
  chunks: 0,
  rows: 0,
  bytes: 0,
  dead_letters: 0,
  whole: false,
  done: false,
});

/** What a chunk adds. */
export interface ChunkCounts {
  readonly rows: number;
  readonly bytes: number;
  readonly deadLetters: number;
}

/** A chunk further, at `position`; null: the stream was read to its end. */
export const advanced = (state: LoadState, { rows, bytes, deadLetters }: ChunkCounts, position: Json): LoadState => ({
  ...state,
  position,
  chunks: state.chunks + 1,
  rows: state.rows + rows,
  bytes: state.bytes + bytes,
  dead_letters: state.dead_letters + deadLetters,
  whole: position === null,
});

export const withState = <State extends LoadState>(loads: LoadStates<State>, origin: string, state: State): LoadStates<State> => {
  const { [origin]: _, ...others } = loads;
  return Object.fromEntries([...Object.entries(others), [origin, state] as const].slice(-REMEMBERED_LOADS));
};

/** `cursor`: where an incremental load goes on that has not begun; null for others. */
export const resumePoint = (state: LoadState | undefined, cursor: Json): ResumePoint => ({
  done: state?.done ?? false,
  newRun: (state?.chunks ?? 0) === 0,
  position: state === undefined ? cursor : state.position,
  bounds: state?.bounds,
  rows: state?.rows ?? 0,
  bytes: state?.bytes ?? 0,
  deadLetters: state?.dead_letters ?? 0,
});
