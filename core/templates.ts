// Texts with `${{ … }}` in them, taken apart in one pass: what is text, what is an expression.

import type { Fault, PathPart } from "./issues.ts";

export type TemplatePart = { readonly text: string } | { readonly source: string };

/** `closed` is false when a `${{` has no `}}`: such a text is refused at compile. */
export interface Template {
  readonly parts: readonly TemplatePart[];
  readonly closed: boolean;
}

const OPEN = "${{";

/** The end of an expression: the first `}}` outside its strings and its own braces. */
const closeOf = (text: string, from: number): number => {
  let depth = 0;
  let quote: string | undefined;
  for (let at = from; at < text.length; at += 1) {
    const char = text[at];
    if (quote !== undefined) {
      if (char === "\\") at += 1;
      else if (char === quote) quote = undefined;
    } else if (char === '"' || char === "'") quote = char;
    else if (char === "{") depth += 1;
    else if (char === "}") {
      if (depth > 0) depth -= 1;
      else if (text[at + 1] === "}") return at;
    }
  }
  return -1;
};

export const parseTemplate = (text: string): Template => {
  const parts: TemplatePart[] = [];
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf(OPEN, at);
    if (open === -1) break;
    const close = closeOf(text, open + OPEN.length);
    if (close === -1) return { parts: [...parts, { text: text.slice(at) }], closed: false };
    if (open > at) parts.push({ text: text.slice(at, open) });
    parts.push({ source: text.slice(open + OPEN.length, close).trim() });
    at = close + 2;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return { parts, closed: true };
};

export const isTemplate = (text: string): boolean => text.includes(OPEN);

/** The expression inside a text that is exactly one `${{ … }}`, white space around it aside. */
export const wholeTemplate = (text: string): string | undefined => {
  const [part, ...more] = parseTemplate(text.trim()).parts;
  return part !== undefined && "source" in part && more.length === 0 ? part.source : undefined;
};

const UNCLOSED = 'a "${{" has no "}}"; for the characters themselves write ${{ "${{" }}';

/** Visits every expression inside a value, with the place of its text; a text whose `${{` has no `}}` is a fault. */
export const eachExpression = (
  value: unknown,
  path: readonly PathPart[],
  fault: Fault,
  visit: (source: string, path: readonly PathPart[]) => void,
): void =>
  eachString(value, path, (text, at) => {
    const { parts, closed } = parseTemplate(text);
    if (!closed) fault("INVALID_EXPRESSION", at, UNCLOSED);
    for (const part of parts) if ("source" in part) visit(part.source, at);
  });

/** Visits every text inside a value, with its place. */
const eachString = (value: unknown, path: readonly PathPart[], visit: (text: string, path: readonly PathPart[]) => void): void => {
  if (typeof value === "string") visit(value, path);
  else if (Array.isArray(value)) for (const [index, entry] of value.entries()) eachString(entry, [...path, index], visit);
  else if (typeof value === "object" && value !== null)
    for (const [key, entry] of Object.entries(value)) eachString(entry, [...path, key], visit);
};
