// Redshift's errors by what they mean to a load: those that no double gives.

import { describe, expect, it } from "vitest";
import { redshiftError } from "../../connectors/redshift/errors.ts";
import { DownbeatError } from "../../core/errors.ts";

const told = (code: string, message: string, side: "destination" | "sql" = "destination"): DownbeatError => {
  const error = redshiftError(Object.assign(new Error(message), { code }), side, "Redshift dev", new AbortController().signal);
  if (!(error instanceof DownbeatError)) throw new Error(`no error of ours: ${String(error)}`);
  return error;
};

describe("Redshift's errors", () => {
  it("a violation of isolation is tried again, and is no conflict of one load's attempts", () => {
    for (const [code, message] of [
      ["40001", "could not serialize access due to concurrent update"],
      ["XX000", "1023 Serializable isolation violation on table - 1256109, transactions forming the cycle are: 1, 2 (pid:8238)"],
      ["40P01", "deadlock detected"],
    ] as const) {
      const error = told(code, message);
      expect(error.code).toBe("DESTINATION_UNAVAILABLE");
      expect(error.message).toContain("try again");
      expect(error.details).toEqual({ sqlState: code });
    }
  });

  it("what the role may not read, or no one may connect with, is a matter of rights", () => {
    expect(told("XX000", "S3ServiceException:Access Denied,Status 403,Error AccessDenied").code).toBe("DESTINATION_AUTH");
    expect(
      told("XX000", "User arn:aws:redshift:x:dbuser:c/u is not authorized to assume IAM Role arn:aws:iam::1:role/r").message,
    ).toContain("iam_role");
    expect(told("28000", 'password authentication failed for user "u"').message).toContain("security group");
    expect(told("42501", "permission denied for schema public").code).toBe("DESTINATION_AUTH");
  });

  it("a limit of time or space says so, and others are PostgreSQL's", () => {
    expect(told("57014", "Query (12) cancelled on user's request", "sql").code).toBe("DESTINATION_UNAVAILABLE");
    expect(told("XX000", "Disk Full").code).toBe("DESTINATION_FULL");
    expect(told("22001", "value too long for type character varying(3)").code).toBe("DESTINATION_DATA_REFUSED");
    expect(told("42P01", 'relation "x" does not exist', "sql").code).toBe("SQL_FAILED");
  });
});
