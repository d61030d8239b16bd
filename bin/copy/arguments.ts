// The arguments of `downbeat copy`: parsed into what is asked for, with every fault of theirs at once.

import { parseArgs } from "node:util";
import type { WriteMode } from "../../connectors/connector.ts";
import { choiceFaults } from "../../core/column-choices.ts";
import { isColumnType, NO_COLUMN_TYPE } from "../../core/column-type-names.ts";
import type { ColumnChoices } from "../../core/definition-columns.ts";
import { didYouMean } from "../../core/issues.ts";
import { scrub } from "../../core/scrub.ts";

export const USAGE = `downbeat copy SOURCE DESTINATION --table NAME [options]

Copies tables, files or topics once, without a pipeline and without a server: each row exactly once in effect. When it was interrupted, the same
command goes on where it stopped. Ends with 0 when all is copied, 1 when something failed, 2 when the arguments are wrong, 130 when it was interrupted.

SOURCE and DESTINATION are URLs or paths; what else a connector can be told goes behind "?" or into --from-option and --to-option:
{ENDS}

What is copied
  --table NAME             a table, topic or file of the source; may be repeated
  --all-tables             every table that the source has
  --exclude PATTERN        but not these, such as "tmp_*"; may be repeated
  --query SQL              what the source answers to a query; needs --into
  --into NAME              the table that is written; default: the same name

How it is written
  --mode MODE              replace: the rows take the place of those that are there; append: they are added; merge: those with the same --key are
                           replaced. Without it the table must not exist yet
  --key COLUMNS            columns that tell rows apart, as the table names them: what merge goes by, and what lets a query go on in its middle
  --cursor COLUMN          with append or merge: the next call copies only rows with a greater value
  --restart                begin anew, even where an interrupted copy could go on

Columns, by their names in the source; lists have commas
  --columns LIST           these alone
  --omit LIST              all but these
  --rename OLD=NEW,…       other names in the table
  --cast COLUMN=TYPE       another type in the table, such as total=decimal(12,2); may be repeated
  --hash LIST              their SHA-256 instead; --hash-key-env NAME makes it an HMAC with the variable's value
  --redact LIST            NULL instead

Connections
  --from-option KEY=VALUE  a setting of the source's connector; may be repeated. --to-option: of the destination's
  --from-password-env NAME the variable with the source's password; default: MYSQL_PWD, PGPASSWORD. --to-password-env: the destination's
  --from-config FILE       instead of SOURCE: {"kind": …, "config": {…}} as YAML or JSON. --to-config FILE: instead of DESTINATION

And
  --max-dead-letters N     rows that cannot be read and may be put aside before the copy fails; default: 0
  --retries N              attempts in a row that may fail without a step forward; default: 5
  --json                   a line of JSON for each table on standard output
  --yes                    ask nothing`;

const MODES: readonly WriteMode[] = ["replace", "append", "merge"];

const TEXT = { type: "string" } as const;
const TEXTS = { type: "string", multiple: true } as const;
const FLAG = { type: "boolean" } as const;

export const OPTIONS = {
  table: TEXTS,
  "all-tables": FLAG,
  exclude: TEXTS,
  query: TEXT,
  into: TEXT,
  mode: TEXT,
  key: TEXTS,
  cursor: TEXT,
  restart: FLAG,
  columns: TEXTS,
  omit: TEXTS,
  rename: TEXTS,
  cast: TEXTS,
  hash: TEXTS,
  "hash-key-env": TEXT,
  redact: TEXTS,
  "from-option": TEXTS,
  "to-option": TEXTS,
  "from-password-env": TEXT,
  "to-password-env": TEXT,
  "from-config": TEXT,
  "to-config": TEXT,
  "max-dead-letters": TEXT,
  retries: TEXT,
  json: FLAG,
  yes: FLAG,
} as const;

type OptionName = keyof typeof OPTIONS;

/** One end as the command line gives it. */
export interface EndArguments {
  readonly url: string | undefined;
  readonly configFile: string | undefined;
  readonly options: readonly (readonly [key: string, value: string])[];
  readonly passwordEnv: string | undefined;
}

export interface CopyArguments {
  readonly from: EndArguments;
  readonly to: EndArguments;
  readonly tables: readonly string[];
  readonly allTables: boolean;
  readonly exclude: readonly string[];
  readonly query: string | undefined;
  readonly into: string | undefined;
  /** Undefined: the table must not exist yet. */
  readonly mode: WriteMode | undefined;
  readonly key: readonly string[];
  readonly cursor: string | undefined;
  readonly columns: ColumnChoices | undefined;
  readonly maxDeadLetters: number;
  readonly retries: number;
  readonly restart: boolean;
  readonly json: boolean;
  readonly yes: boolean;
}

export interface ParsedArguments {
  readonly args: CopyArguments;
  readonly faults: readonly string[];
}

export const parseCopyArguments = (argv: readonly string[]): ParsedArguments => {
  const given = new Given(argv);
  const { faults, positionals } = given;
  const fault = (message: string): void => void faults.push(message);
  const [fromConfig, toConfig] = [given.text("from-config"), given.text("to-config")];
  const wanted = [...(fromConfig === undefined ? ["SOURCE"] : []), ...(toConfig === undefined ? ["DESTINATION"] : [])];
  const missing = wanted.slice(positionals.length);
  if (missing.length > 0) fault(`${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing, such as ./orders.csv shop.duckdb`);
  for (const extra of positionals.slice(wanted.length)) fault(`"${withoutPassword(extra)}" is one argument too many`);
  const fromUrl = fromConfig === undefined ? positionals[0] : undefined;
  const toUrl = toConfig === undefined ? positionals[wanted.length - 1] : undefined;

  const mode = MODES.find((candidate) => candidate === given.text("mode"));
  const modeText = given.text("mode");
  if (modeText !== undefined && mode === undefined) fault(`--mode is "${modeText}"; it takes ${MODES.join(", ")}`);
  const key = given.list("key");
  if (mode === "merge" && key.length === 0) fault("--mode merge needs --key: the columns by which rows are the same");
  const cursor = given.text("cursor");
  if (cursor !== undefined && mode !== "append" && mode !== "merge" && (modeText === undefined || mode !== undefined))
    fault("--cursor needs --mode append or --mode merge: what is new comes on top of what is there");
  const columns = given.columns(mode === "merge" ? key : []);
  return {
    args: {
      from: { url: fromUrl, configFile: fromConfig, options: given.pairs("from-option"), passwordEnv: given.text("from-password-env") },
      to: { url: toUrl, configFile: toConfig, options: given.pairs("to-option"), passwordEnv: given.text("to-password-env") },
      tables: given.texts("table"),
      allTables: given.flag("all-tables"),
      exclude: given.texts("exclude"),
      query: given.text("query"),
      into: given.text("into"),
      mode,
      key,
      cursor,
      columns,
      maxDeadLetters: given.whole("max-dead-letters", 0),
      retries: given.whole("retries", 5),
      restart: given.flag("restart"),
      json: given.flag("json"),
      yes: given.flag("yes"),
    },
    faults,
  };
};

/** A URL as it may be shown: whatever may be a password is cut out, also where it is not encoded as it should be. */
export const withoutPassword = (url: string): string => scrub(url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@:]*):.*@/is, "$1@"));

const TITLES: Readonly<Record<string, string>> = { select: "--columns", key: "--key" };

/** What the command line says, option by option; faults gather. */
class Given {
  readonly faults: string[] = [];
  readonly positionals: string[] = [];
  readonly #values = new Map<string, string[]>();

  constructor(argv: readonly string[]) {
    const { tokens } = parseArgs({ args: [...argv], options: OPTIONS, strict: false, allowPositionals: true, tokens: true });
    let unknownAt: number | undefined;
    for (const token of tokens) {
      // What follows an option that is mistyped was most likely its value.
      if (token.kind === "positional" && token.index !== unknownAt) this.positionals.push(token.value);
      if (token.kind !== "option") continue;
      if (!Object.hasOwn(OPTIONS, token.name)) unknownAt = token.value === undefined ? token.index + 1 : undefined;
      this.#take(token.name, token.rawName, token.value);
    }
  }

  #take(name: string, rawName: string, value: string | undefined): void {
    if (!Object.hasOwn(OPTIONS, name)) {
      this.faults.push(`there is no option ${rawName}${didYouMean(name, Object.keys(OPTIONS)).replace(/"([^"]+)"/, "--$1")}`);
      return;
    }
    const option: { readonly type: string; readonly multiple?: boolean } = OPTIONS[name as OptionName];
    const known = this.#values.get(name) ?? [];
    if (option.type === "boolean") {
      if (value !== undefined) this.faults.push(`--${name} takes no value`);
    } else if (value === undefined || value === "" || value.startsWith("--")) this.faults.push(`--${name} needs a value`);
    else if (known.length > 0 && option.multiple !== true) this.faults.push(`--${name} is there twice`);
    this.#values.set(name, [...known, value ?? ""]);
  }

  flag(name: OptionName): boolean {
    return this.#values.has(name);
  }

  text(name: OptionName): string | undefined {
    return this.#values.get(name)?.[0];
  }

  texts(name: OptionName): readonly string[] {
    return [...new Set(this.#values.get(name))];
  }

  list(name: OptionName): readonly string[] {
    return (this.#values.get(name) ?? []).flatMap((text) => text.split(",").map((entry) => entry.trim())).filter((entry) => entry !== "");
  }

  pairs(name: OptionName): readonly (readonly [string, string])[] {
    return this.#pairsOf(name, this.#values.get(name) ?? []);
  }

  #pairsOf(name: OptionName, texts: readonly string[]): readonly (readonly [string, string])[] {
    return texts.flatMap((text) => {
      const [, left, right] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (left !== undefined && right !== undefined) return [[left, right] as const];
      // What was meant as KEY=VALUE may be a secret.
      this.faults.push(`--${name} takes a name, "=" and a value`);
      return [];
    });
  }

  whole(name: OptionName, standard: number): number {
    const text = this.text(name);
    if (text === undefined) return standard;
    if (/^\d{1,9}$/.test(text)) return Number(text);
    this.faults.push(`--${name} is "${text}"; it takes a whole number from 0`);
    return standard;
  }

  columns(keys: readonly string[]): ColumnChoices | undefined {
    const some = (names: readonly string[]): string[] | undefined => (names.length === 0 ? undefined : [...names]);
    const [select, omit, hash, redact] = (["columns", "omit", "hash", "redact"] as const).map((name) => some(this.list(name)));
    const renames = this.#pairsOf("rename", this.list("rename"));
    const casts = this.pairs("cast");
    for (const [name, type] of casts) if (!isColumnType(type)) this.faults.push(`--cast ${name}: "${type}" ${NO_COLUMN_TYPE}`);
    const hashKey = this.text("hash-key-env");
    const choices: ColumnChoices = {
      ...(select === undefined ? {} : { select }),
      ...(omit === undefined ? {} : { omit }),
      ...(renames.length === 0 ? {} : { rename: Object.fromEntries(renames) }),
      ...(casts.length === 0 ? {} : { cast: Object.fromEntries(casts) }),
      ...(hash === undefined ? {} : { hash }),
      ...(hashKey === undefined ? {} : { hash_key: { env: hashKey } }),
      ...(redact === undefined ? {} : { redact }),
    };
    if (Object.keys(choices).length === 0) return undefined;
    for (const { at, message } of choiceFaults(choices, keys)) {
      const name = String(at[1]);
      this.faults.push(`${TITLES[name] ?? `--${name.replace("hash_key", "hash-key-env")}`}: ${message}`);
    }
    return choices;
  }
}
