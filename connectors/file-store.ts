// The contract of the role `files`: whole files by path, found, read, written, removed. Bytes are streamed, however large a file is.

export interface FileFacts {
  /** As the store's own methods take it. */
  readonly path: string;
  readonly size: number;
  /** Changes whenever the content does. */
  readonly tag: string;
  /** The same for two connections that lead to the same file. */
  readonly uri: string;
  /** The key that it was written with, "" when it was with none; undefined where the system keeps no keys. */
  readonly key: string | undefined;
}

export interface WriteOptions {
  /** False: whatever is there stays, and the write throws FILE_EXISTS. */
  readonly replace: boolean;
  /** Names this writing for ever, the same on every repetition. */
  readonly key: string;
}

export interface FileStore {
  /** Undefined: there is no such file. Every method throws FILE_REFUSED for a path that the connection gives no access to. */
  find(path: string): Promise<FileFacts | undefined>;
  /** Every file that the glob names, in the order of paths. */
  list(glob: string): Promise<readonly FileFacts[]>;
  /** Exactly the content that was found; throws SOURCE_CHANGED, at its end at the latest, when there is another by now. */
  read(file: FileFacts): AsyncIterable<Uint8Array>;
  /** Nobody sees the file before the content has ended; when that throws, what was there is there still. */
  write(path: string, content: AsyncIterable<Uint8Array>, options: WriteOptions & { readonly size: number }): Promise<void>;
  /** What is gone already is fine; throws SOURCE_CHANGED for a file that has changed since it was found. */
  remove(file: FileFacts): Promise<void>;
  /** Takes over a file of another store without its bytes coming through this process; undefined where the two cannot. A move may be done as a copy. */
  takeOver?(
    from: FileStore,
    file: FileFacts,
    path: string,
    options: WriteOptions & { readonly move: boolean },
  ): Promise<"copied" | "moved" | undefined>;
}
