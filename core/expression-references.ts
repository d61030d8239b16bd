// What an expression reads, and what it may not do, told from its syntax tree alone.

export interface References {
  readonly tasks: readonly string[];
  /** Those of them whose outputs it reads, not their statuses alone. */
  readonly outputs: readonly string[];
  readonly params: readonly string[];
  /** It reads params as a whole, or one whose name it reckons. */
  readonly allParams: boolean;
  readonly run: readonly string[];
  readonly each: readonly string[];
  /** It walks a list inside the walk of another. */
  readonly nested: boolean;
}

/** A node as the CEL parser makes it. */
export interface AstNode {
  readonly op: string;
  readonly args: unknown;
}

const ROOTS: ReadonlySet<unknown> = new Set(["params", "run", "tasks", "each"]);
const TASK_MEMBERS: ReadonlySet<string> = new Set(["status", "output"]);
const INTERVAL_MEMBERS: ReadonlySet<string> = new Set(["start", "end"]);
/** Each walks its receiver and evaluates its last arguments once per entry. */
const WALKS: ReadonlySet<unknown> = new Set(["all", "exists", "exists_one", "map", "filter"]);

/** What is not offered, and what to do instead. */
export const REFUSED_CALLS = {
  // A regular expression can be made to run for ever, and nothing can interrupt it.
  matches: "use contains(), startsWith() or endsWith()",
  // Values bound to names can double their size at each step.
  "cel.bind": "write the value out",
} as const;

const refusalOf = (call: keyof typeof REFUSED_CALLS): string => `${call}() is not offered; ${REFUSED_CALLS[call]}`;

interface Found {
  readonly tasks: Set<string>;
  readonly outputs: Set<string>;
  readonly params: Set<string>;
  readonly run: Set<string>;
  readonly each: Set<string>;
  nested: boolean;
  allParams: boolean;
  refused: string | undefined;
}

export const readReferences = (ast: AstNode): References & { readonly refused: string | undefined } => {
  const found: Found = {
    tasks: new Set(),
    outputs: new Set(),
    params: new Set(),
    run: new Set(),
    each: new Set(),
    nested: false,
    allParams: false,
    refused: undefined,
  };
  walk(ast, found, 0);
  const { tasks, outputs, params, run, each, ...rest } = found;
  return { ...rest, tasks: [...tasks], outputs: [...outputs], params: [...params], run: [...run], each: [...each] };
};

const isNode = (value: unknown): value is AstNode => typeof value === "object" && value !== null && "op" in value && "args" in value;

const walk = (node: unknown, found: Found, depth: number): void => {
  if (Array.isArray(node)) {
    for (const entry of node) walk(entry, found, depth);
    return;
  }
  if (!isNode(node)) return;
  if (node.op === "id" && node.args === "tasks")
    found.refused ??= 'tasks are read one by one: tasks.ID.status, tasks.ID.output, tasks["ID"]';
  if (isRoot(node, "params")) found.allParams = true;
  const args: readonly unknown[] = Array.isArray(node.args) ? node.args : [node.args];
  if (node.op === "rcall") return walkCall(args, found, depth);
  const member = memberOf(node);
  if (member === undefined) return walk(args, found, depth);
  const { object, name } = member;
  const above = memberOf(object);
  if (above !== undefined && isRoot(above.object, "tasks") && !TASK_MEMBERS.has(name))
    found.refused ??= `a task has no "${name}"; it has status and output`;
  if (above !== undefined && isRoot(above.object, "run") && above.name === "interval" && !INTERVAL_MEMBERS.has(name))
    found.refused ??= `a data interval has no "${name}"; it has start and end`;
  if (isRoot(object, "params")) found.params.add(name);
  else if (isRoot(object, "run")) found.run.add(name);
  else if (isRoot(object, "each")) found.each.add(name);
  // The roots themselves are not walked, so that only bare ones are met.
  if (isRoot(object, "tasks")) {
    found.tasks.add(name);
    found.outputs.add(name);
  } else if (above !== undefined && isRoot(above.object, "tasks") && name === "status") found.tasks.add(above.name);
  else if (!isRoot(object, "params")) walk(object, found, depth);
};

const walkCall = ([name, receiver, callArgs]: readonly unknown[], found: Found, depth: number): void => {
  if (name === "matches") found.refused ??= refusalOf("matches");
  if (name === "bind" && isRoot(receiver, "cel")) found.refused ??= refusalOf("cel.bind");
  walk(receiver, found, depth);
  const [variable] = Array.isArray(callArgs) ? callArgs : [];
  if (!WALKS.has(name)) return walk(callArgs, found, depth);
  if (isNode(variable) && variable.op === "id" && ROOTS.has(variable.args))
    found.refused ??= `"${String(variable.args)}" is taken; give the variable of ${String(name)}() another name`;
  if (depth === 1) found.nested = true;
  if (depth > 1) found.refused ??= "lists are walked at most two deep";
  walk(callArgs, found, depth + 1);
};

const isRoot = (node: unknown, name: string): boolean => isNode(node) && node.op === "id" && node.args === name;

/** `object.name` or `object["name"]`. */
const memberOf = (node: unknown): { readonly object: unknown; readonly name: string } | undefined => {
  if (!isNode(node) || (node.op !== "." && node.op !== "[]") || !Array.isArray(node.args)) return undefined;
  const [object, member] = node.args as readonly unknown[];
  if (typeof member === "string") return { object, name: member };
  return isNode(member) && member.op === "value" && typeof member.args === "string" ? { object, name: member.args } : undefined;
};
