// Where in a YAML or JSON text a path of the definition stands.

import { isAlias, isMap, isScalar, isSeq, visit, type Document, type LineCounter, type Node, type Pair } from "yaml";
import type { Locate, PathPart } from "./issues.ts";

export const locateIn =
  (document: Document, lines: LineCounter): Locate =>
  (path) => {
    const offset = offsetOf(document, path);
    if (offset === undefined) return undefined;
    const { line, col: column } = lines.linePos(offset);
    return { line, column };
  };

/** Offset of the key (or item) that a path names; of its nearest ancestor where the key is missing. */
const offsetOf = (document: Document, path: readonly PathPart[]): number | undefined => {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0];
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => keyOf(item) === part);
      if (pair === undefined) break;
      offset = (pair.key as Node | null)?.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = (node as Node | null)?.range?.[0] ?? offset;
    } else break;
  }
  return offset;
};

const keyOf = ({ key }: Pair): string => String(isScalar(key) ? key.value : key);

/** The parser's own check compares every key with every other, which takes minutes for a large map. */
export const findDuplicateKey = (document: Document): { readonly key: string; readonly offset: number } | undefined => {
  let found: { readonly key: string; readonly offset: number } | undefined;
  visit(document, {
    Map(_key, map) {
      const seen = new Set<string>();
      for (const pair of map.items) {
        const key = keyOf(pair);
        if (seen.has(key)) {
          found = { key, offset: (pair.key as Node | null)?.range?.[0] ?? 0 };
          return visit.BREAK;
        }
        seen.add(key);
      }
      return undefined;
    },
  });
  return found;
};
