// Limits, Temporal's and ours, each with its reason or source.

export const LIMITS = {
  /** Tasks written in one definition (semantics.md). */
  tasks: 5_000,
  /** Runs above a run: a pipeline that runs itself ends somewhere. */
  runDepth: 10,
  /** Items of one `for_each` (semantics.md). */
  items: 20_000,
  /** A request body: definitions are text; 4 MB holds 5,000 tasks with room. */
  bodyBytes: 4 * 1024 * 1024,
  /** An inline task output; larger ones go by reference, those of items are refused. */
  outputBytes: 4 * 1024,
  /** An output that goes by reference: what expressions read of it is read by workers. */
  largeOutputBytes: 8 * 1024 * 1024,
  /** Of one pipeline. */
  schedules: 100,
  /** Of one backfill: even where every other one fails, its state fits Temporal's 2 MB payload. */
  backfillPartitions: 100_000,
  /** Runs of one backfill at the same time. */
  backfillRuns: 200,
  /** Event triggers of one pipeline. */
  triggers: 100,
  /** What one event says: it is kept in the store. */
  eventBytes: 64 * 1024,
  /** Events that one run can be started for. */
  eventsPerRun: 1_000,
  /** Ids of events that a trigger's workflow holds; the store has the others. At under 100 bytes each they go along when it continues as new. */
  eventsWaiting: 10_000,
  /** Params travel in the workflow's input. */
  paramsBytes: 64 * 1024,
  /** All outputs that later tasks of one run read: with plan and params they fit Temporal's 2 MB payload when the run continues as new. */
  outputsBytesPerRun: 256 * 1024,
  /** The input of a user's own activity, its expressions evaluated; more goes by reference. */
  activityInputBytes: 256 * 1024,
  /** Commands of one workflow task after which the next begins in another; Temporal's message limit is 4 MB for all of them. */
  workflowTaskBytes: 1_536 * 1024,
  /** The plan's graph in the workflow's input. Temporal's payload error limit is 2 MB: https://docs.temporal.io/cloud/limits */
  planBytes: 1_500 * 1024,
  /** An error's message and details in Temporal's history, which cuts failures at 4 KB in mutable state. */
  errorBytes: 3 * 1024,
  /** Temporal suggests continue-as-new at 4,096 events; about 3.3 events an activity. */
  historyEvents: 4_096,
  /** Activities in flight in one workflow: pending activities are capped at 2,000 and advised below 500; 500 were no faster than 200. */
  activitiesInFlight: 200,
  /**
   * A worker of Downbeat that says nothing for so long of a user's own activity has died. Far more than its thread may be kept by one of them; the odd
   * millisecond tells it from a time that the user asked for, where the activity itself has to heartbeat.
   */
  silentActivityMs: 60_001,
  expressionLength: 4_096,
  /** Levels of lists and maps in a definition: what walks it may recurse. */
  nesting: 100,
} as const;
