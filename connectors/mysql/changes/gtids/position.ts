// How far a log has been followed, told by global transaction identifiers: what every server of a replication understands.

export interface Gtid {
  /** What numbers run in: MySQL's server, perhaps with a tag; MariaDB's domain. */
  readonly source: string;
  readonly number: bigint;
  /** MariaDB alone: the server that has given the number. */
  readonly server: number;
}

export interface GtidPosition {
  add(gtid: Gtid): void;
  /** Whether that transaction has come before, and others behind it perhaps too. */
  has(gtid: Gtid): boolean;
  /** Whether all transactions of the other one are in this one. */
  covers(other: GtidPosition): boolean;
  /** How a server that tells of itself as `transactionsOf` asks it stands to this position. */
  standingOf(server: string): Standing;
  readonly text: string;
}

/** `behind`: it may get there; `diverged`: it has gone on without these transactions. */
export type Standing = "there" | "behind" | "diverged";
