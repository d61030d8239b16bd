// How a run goes about what its history shows.

/** What a run does as the release did that started it, since its history shows that. Less expensive than Temporal's own patches, which are events and good for rare states alone (workflows/patches.ts). */
export interface RunManner {
  /** Its progress is shown by the worker as it happens. Absent: it began when runs had a timer for that. */
  readonly live?: true;
  /** Its last report is made by the worker as it ends. Absent: it began when that was an activity of the run. */
  readonly told?: true;
  /** Many tasks at once, and those that come while its history is long, have child workflows. Absent: it began when all attempts were its own. */
  readonly windows?: true;
  /** It minds what becomes of the runs and items that it starts: who is cancelled without its asking has failed. Nothing of it begins that found no place, `finally` tasks neither. Absent: such a task counted as cancelled, and such a run cleaned up. */
  readonly minds?: true;
  /** It asks for a few slots at a time, again after a while, and gives back what it holds where another keeps it waiting. Absent: it began when runs asked once, for all. */
  readonly patient?: true;
  /** It goes easy on Temporal's server: its windows are large and one at a time, long total timeouts it minds itself. */
  readonly thrifty?: true;
  /** Absent: it began when what is ready began in its order of readiness, when `timeout.total` ended waits for conditions, and as the other places say that ask for this. */
  readonly amended?: true;
  /** None of its histories passes the limit, whatever lasts. Absent: while an attempt lasted, it went on to 10,000 events. */
  readonly brief?: true;
}

/** Of every run that is started now. */
export const CURRENT_MANNER: RunManner = {
  live: true,
  told: true,
  windows: true,
  minds: true,
  patient: true,
  thrifty: true,
  amended: true,
  brief: true,
};

export const mannerOf = ({ live, told, windows, minds, patient, thrifty, amended, brief }: RunManner): RunManner => ({
  ...(live === undefined ? {} : { live }),
  ...(told === undefined ? {} : { told }),
  ...(windows === undefined ? {} : { windows }),
  ...(minds === undefined ? {} : { minds }),
  ...(patient === undefined ? {} : { patient }),
  ...(thrifty === undefined ? {} : { thrifty }),
  ...(amended === undefined ? {} : { amended }),
  ...(brief === undefined ? {} : { brief }),
});
