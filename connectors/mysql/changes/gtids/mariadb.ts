// MariaDB's positions: the last transaction of each domain. https://mariadb.com/kb/en/gtid/

import type { Gtid, GtidPosition, Standing } from "./position.ts";

const GTID = /^(\d+)-(\d+)-(\d+)$/;

export class MariadbPosition implements GtidPosition {
  /** By domain. */
  readonly #last = new Map<string, Gtid>();

  add(gtid: Gtid): void {
    this.#last.set(gtid.source, gtid);
  }

  /** One that comes again takes the position back to itself. */
  has(): boolean {
    return false;
  }

  /** Within a domain numbers rise, whichever server gives them. */
  covers(other: MariadbPosition): boolean {
    return [...other.#last.values()].every(({ source, number }) => (this.#last.get(source)?.number ?? -1n) >= number);
  }

  /**
   * By the last number that each server has given in each domain, as the server has logged them. As with MariaDB's own replicas, domains that it knows nothing of are
   * those of other servers; but one that knows none of them is no server of this replication.
   */
  standingOf(server: string): Standing {
    const logged = server.split(",").flatMap((text) => parseGtid(text) ?? []);
    const inDomain = (gtid: Gtid): readonly Gtid[] => logged.filter(({ source }) => source === gtid.source);
    const common = [...this.#last.values()].filter((gtid) => inDomain(gtid).length > 0);
    if (common.length === 0) return this.#last.size === 0 ? "there" : "behind";
    const missing = common.filter((gtid) => !inDomain(gtid).some((known) => known.server === gtid.server && known.number >= gtid.number));
    if (missing.length === 0) return "there";
    return missing.some((gtid) => inDomain(gtid).some(({ number }) => number >= gtid.number)) ? "diverged" : "behind";
  }

  get text(): string {
    return [...this.#last.values()].map(({ source, server, number }) => `${source}-${server}-${number}`).join(",");
  }
}

const parseGtid = (text: string): Gtid | undefined => {
  const [, source, server, number] = GTID.exec(text.trim()) ?? [];
  return source === undefined ? undefined : { source, server: Number(server), number: BigInt(number!) };
};

/** Undefined: these are no GTIDs of MariaDB. */
export const parseMariadbPosition = (text: string): MariadbPosition | undefined => {
  const position = new MariadbPosition();
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const gtid = parseGtid(part);
    if (gtid === undefined) return undefined;
    position.add(gtid);
  }
  return position;
};
