// What people see of a load while it goes on: a copy of its figures in the store, brought up to date now and then.

/** A load that is shorter is seen when it has ended. */
const EVERY_MS = 5_000;
/** So late it comes where the process has stood still: another one may have gone on with the load by now. */
const LATE_MS = 10_000;

export interface LoadView<Figures> {
  /** What is committed now. */
  note(figures: Figures): void;
  /** Shows what was noted last, unless it is shown already. */
  end(): Promise<void>;
  /** Shows nothing more. */
  drop(): void;
}

/** `show` must not reject. One is under way at most: a store that is slow or away is asked no more often for that. */
export const createLoadView = <Figures>(show: (figures: Figures) => Promise<void>): LoadView<Figures> => {
  let newest: Figures | undefined;
  let timer: NodeJS.Timeout | undefined;
  let showing: Promise<void> | undefined;

  const write = async (): Promise<void> => {
    const figures = newest;
    newest = undefined;
    if (figures !== undefined) await show(figures);
  };
  const later = (): void => {
    const due = Date.now() + EVERY_MS;
    timer ??= setTimeout(() => {
      timer = undefined;
      if (Date.now() - due > LATE_MS) newest = undefined;
      showing = write().finally(() => {
        showing = undefined;
        if (newest !== undefined) later();
      });
    }, EVERY_MS);
  };
  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };

  return {
    note(figures) {
      newest = figures;
      if (showing === undefined) later();
    },
    async end() {
      await showing;
      stop();
      await write();
    },
    drop() {
      newest = undefined;
      stop();
    },
  };
};
