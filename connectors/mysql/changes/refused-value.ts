// What is thrown for one value, and ends only its row where the task wants that.

/** A value that cannot be carried: its row goes to the dead letters or ends the load. */
export class RefusedValue extends Error {
  override readonly name = "RefusedValue";
  /** Whether the option for dates that are none has the say. */
  readonly isDate: boolean;

  constructor(message: string, isDate = false) {
    super(message);
    this.isDate = isDate;
  }
}
