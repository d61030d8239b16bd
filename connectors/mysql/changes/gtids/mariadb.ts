// MariaDB's positions: the last transaction of each domain. https://mariadb.com/kb/en/gtid/

import type { Gtid, GtidPosition } from "./position.ts";

const GTID = /^(\d+)-(\d+)-(\d+)$/;

export class MariadbPosition implements GtidPosition {
  /** By domain. */
  readonly #last = new Map<string, Gtid>();

  add(gtid: Gtid): void {
    this.#last.set(gtid.source, gtid);
  }

  /** Within a domain numbers rise, whichever server gives them. */
  covers(other: MariadbPosition): boolean {
    return [...other.#last.values()].every(({ source, number }) => (this.#last.get(source)?.number ?? -1n) >= number);
  }

  /** As MariaDB's replicas do it: domains that a server knows nothing of are those of other servers. */
  canFollow(other: MariadbPosition): boolean {
    const common = [...other.#last.values()].filter(({ source }) => this.#last.has(source));
    return (common.length > 0 || other.#last.size === 0) && common.every(({ source, number }) => this.#last.get(source)!.number >= number);
  }

  get text(): string {
    return [...this.#last.values()].map(({ source, server, number }) => `${source}-${server}-${number}`).join(",");
  }
}

/** Undefined: these are no GTIDs of MariaDB. */
export const parseMariadbPosition = (text: string): MariadbPosition | undefined => {
  const position = new MariadbPosition();
  for (const part of text.split(",")) {
    const given = part.trim();
    if (given === "") continue;
    const [, source, server, number] = GTID.exec(given) ?? [];
    if (source === undefined) return undefined;
    position.add({ source, server: Number(server), number: BigInt(number!) });
  }
  return position;
};
