// How an end of a copy is written on the command line: as a URL, of which a connector makes a configuration and perhaps a stream.

export interface NamedEnd {
  /** Keys of the connector's configuration; parameters and options of the user's come on top, and the schema checks all of it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What the URL itself says is to be read: a file, a topic. */
  readonly stream?: string;
  /** Keys of the source's options. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Which system it is, always the same for the same one: for bookkeeping and messages. Without user and password. */
  readonly place: string;
}

export interface UrlReading {
  readonly role: "source" | "destination";
  /** Relative paths are resolved against it. */
  readonly baseDir: string;
}

export interface ConnectorUrl {
  /** Without "://". */
  readonly schemes: readonly string[];
  /** Endings of plain paths that are meant for this connector. */
  readonly endings?: readonly string[];
  /** For help and messages. */
  readonly example: string;
  /** Variables of the user's environment that fill a key of the configuration which nothing else fills; the first that is set. */
  readonly environment?: Readonly<Record<string, readonly string[]>>;
  /** What follows "?" belongs to the address, so that it sets no keys. */
  readonly keepsQuery?: boolean;
  /** `text`: a URL of one of the schemes, or a plain path. Gives what is wrong as a text that repeats no password. */
  read(text: string, reading: UrlReading): NamedEnd | string;
  /** The table that a stream is copied into where the user names none; undefined: there is no natural one. Default: the stream's own name. */
  tableOf?(stream: string): string | undefined;
}
