// CSV files of which readers could make different things are told from those of which they cannot.

import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type CsvDialect, scanCsv } from "../../connectors/lib/formats/csv-scan.ts";

const folder = mkdtempSync(path.join(tmpdir(), "downbeat-csv-scan-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

const scan = (text: string | Buffer, fields = 2, dialect: Partial<CsvDialect> = {}): Promise<number | undefined> => {
  const file = path.join(folder, "x.csv");
  writeFileSync(file, text);
  return scanCsv(file, fields, { delimiter: ",", header: true, ...dialect }, new AbortController().signal);
};

describe("records behind the header", () => {
  it.each([
    ["a,b\n1,x\n2,y\n", 2],
    ["a,b\n1,x\n2,y", 2],
    ["a,b\n1,\n,2\n,\n", 3],
    ['a,b\n1,"x"\n"2",""\n', 2],
    ['a,b\n1,"line\nand\r\nline, ""quoted"""\n', 1],
    ['a,b\n1,""""\n2,"""x"""', 2],
    ["a,b\n", 0],
    ["a,b\n1, padded \n", 1],
    ["a,b\n1,\\N\n", 1],
  ])("%j: %j", async (text, rows) => {
    expect(await scan(text)).toBe(rows);
  });

  it("are counted over the ends of pieces that are read at once", async () => {
    const line = `1,"${'x""\n'.repeat(700)}"\n`;
    expect(await scan(`a,b\n${line.repeat(5_000)}`)).toBe(5_000);
  });

  it("count from the first one without a header, and by other delimiters", async () => {
    expect(await scan("1;x\n2;y\n", 2, { delimiter: ";", header: false })).toBe(2);
    expect(await scan("1\tx,\n", 2, { delimiter: "\t", header: false })).toBe(1);
  });

  it("may have one field", async () => {
    expect(await scan('a\n1\n""\n3', 1)).toBe(3);
  });
});

describe("what readers may differ on", () => {
  it.each([
    ["a quote within a bare field", 'a,b\n1,x"y\n'],
    ["a quote behind blanks", 'a,b\n1, "x"\n'],
    ["something behind a closing quote", 'a,b\n1,"x"y\n'],
    ["a blank behind a closing quote", 'a,b\n1,"x" \n'],
    ["a quote that does not close", 'a,b\n1,"x\n'],
    ["an empty line", "a,b\n1,x\n\n2,y\n"],
    ["an empty line at the end", "a,b\n1,x\n\n"],
    ["carriage returns", "a,b\r\n1,x\r\n"],
    ["a carriage return at the end", "a,b\n1,x\r"],
    ["a field too few", "a,b\n1\n"],
    ["a field too many", "a,b\n1,2,3\n"],
    ["a field too few at the end", "a,b\n1,2\n3"],
    ["NUL", "a,b\n1,x\0\n"],
    ["NUL within quotes", 'a,b\n1,"x\0"\n'],
    ["PostgreSQL's mark of the end", "a,b\n\\.\n"],
    ["such a mark within quotes", 'a,b\n1,"\n\\.\n"\n'],
    ["a byte order mark", "\uFEFFa,b\n1,x\n"],
  ])("%s", async (_, text) => {
    expect(await scan(text)).toBeUndefined();
  });

  it("an empty line of one column", async () => {
    expect(await scan("a\n1\n\n", 1)).toBeUndefined();
  });

  it.each(['"', "\n", "\r", "\\", "ß", "\0"])("the delimiter %j", async (delimiter) => {
    expect(await scan("a,b\n1,x\n", 2, { delimiter })).toBeUndefined();
  });
});
