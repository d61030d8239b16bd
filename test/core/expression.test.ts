// CEL expressions: what they give, what they read, what is refused; the traps that people fall into.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DownbeatError } from "../../core/errors.ts";
import { checkExpression, evaluateCondition, evaluateExpression, renderTemplates, type Scope } from "../../core/expression.ts";
import type { Json } from "../../core/json.ts";

const scope: Scope = {
  params: { n: 5, ratio: 5.5, text: "x", list: [1, 2, 3], nothing: null, big: 2 ** 60, nested: { deep: { value: true } } },
  run: { id: "r1", pipeline: "commerce", version: 3, trigger: "schedule", triggeredAt: "2026-11-23T10:00:00.000Z" },
  tasks: {
    revenue: { status: "succeeded", output: [{ country: "DE" }, { country: "FR" }] },
    "a-b": { status: "failed", output: null },
  },
};

const failure = (work: () => unknown): DownbeatError => {
  try {
    work();
  } catch (error) {
    if (error instanceof DownbeatError) return error;
    throw error;
  }
  throw new Error("it did not fail");
};

describe("expressions give plain JSON", () => {
  it.each<[string, Json]>([
    ["params.n + 1", 6],
    ["params.n + 0.5", 5.5],
    ["0.5 + params.n", 5.5],
    ["params.ratio - params.n", 0.5],
    ["params.n - params.ratio", -0.5],
    ["2 * params.ratio", 11],
    ["params.ratio / 2", 2.75],
    ["params.n / 2.0", 2.5],
    ["params.n == 5.0", true],
    ["params.n > 4.5", true],
    ["params.n < params.ratio", true],
    ["-params.n", -5],
    ["params.big / 2.0", 2 ** 59],
    ["params.nothing == null", true],
    ["params.nested.deep.value", true],
    ["params.list.map(x, x * 2)", [2, 4, 6]],
    ["params.list.filter(x, x > 1).map(x, string(x)).join(',')", "2,3"],
    ["2 in params.list", true],
    ["has(params.missing)", false],
    ["has(params.n)", true],
    ["run.trigger == 'schedule' && run.version >= 3", true],
    ["tasks.revenue.output.map(r, r.country)", ["DE", "FR"]],
    ["size(tasks.revenue.output)", 2],
    ['tasks["a-b"].status', "failed"],
    ["timestamp(run.triggeredAt) + duration('1h')", "2026-11-23T11:00:00.000Z"],
    ["{'count': params.n, 'first': params.list[0]}", { count: 5, first: 1 }],
    ["[1, 'a', 2.5]", [1, "a", 2.5]],
    ["'ümläut'.size()", 6],
  ])("%s", (source, expected) => {
    expect(evaluateExpression(source, scope)).toEqual(expected);
    expect(checkExpression(source).ok).toBe(true);
  });

  it("keeps whole numbers beyond double precision as text", () => {
    expect(evaluateExpression("9007199254740993", scope)).toBe("9007199254740993");
  });
});

describe("expressions say what they read", () => {
  it("finds tasks, params and run facts wherever they stand", () => {
    const source = `tasks.revenue.output.exists(r, r.country == params.text) && tasks["a-b"].status != 'x' ? run.id : run.pipeline`;
    expect(checkExpression(source)).toEqual({
      ok: true,
      tasks: ["revenue", "a-b"],
      outputs: ["revenue"],
      params: ["text"],
      run: ["id", "pipeline"],
      each: [],
      nested: false,
      allParams: false,
    });
  });

  it("tells who reads params as a whole, or by a name that it reckons", () => {
    for (const source of ["params", "params[run.id]", "params.map(name, name)", "{'all': params}"])
      expect([source, checkExpression(source)]).toEqual([source, expect.objectContaining({ ok: true, params: [], allParams: true })]);
    for (const source of ["params.text", "params['text']", "has(params.text) && params.text.size() > 1"])
      expect([source, checkExpression(source)]).toEqual([source, expect.objectContaining({ params: ["text"], allParams: false })]);
  });

  it("finds what has() asks for", () => {
    expect(checkExpression("has(tasks.revenue.output.x) && has(params.y)")).toMatchObject({ tasks: ["revenue"], params: ["y"] });
  });

  it("does not take keys of other things for tasks", () => {
    expect(checkExpression("params.nested.tasks == 'tasks'")).toMatchObject({ ok: true, tasks: [], params: ["nested"] });
  });
});

describe("outputs that go by reference", () => {
  const withLarge: Scope = {
    params: {},
    run: {},
    tasks: {
      big: { status: "succeeded", output: { $output: { runId: "r", taskId: "big" }, bytes: 9_000 } },
      small: { status: "", output: 1 },
    },
    large: { big: 9_000 },
  };

  it.each([
    "tasks.big.output",
    "size(tasks['big'].output) > 100",
    "has(tasks.big.output.rows)",
    "tasks.big",
    "true || tasks.big.output == 1",
  ])("fail whoever reads them: %s", (source) => {
    expect(() => evaluateExpression(source, withLarge)).toThrow(
      /output of task "big" is large \(9000 bytes of JSON\).*select what is needed/,
    );
  });

  it("leave statuses and the outputs of other tasks alone", () => {
    expect(evaluateExpression("tasks.big.status + string(tasks.small.output)", withLarge)).toBe("succeeded1");
  });
});

describe("expressions that are refused before they run", () => {
  it.each([
    ["1 +", "Unexpected token: EOF"],
    ["unknown.x", "Unknown variable: unknown"],
    ["'a' + 1", "no such overload"],
    ["'a'.matches('(a+)+$')", "matches() is not offered"],
    ["params.list.exists(x, string(x).matches('a'))", "matches() is not offered"],
    ["cel.bind(x, params.text, x + x)", "cel.bind() is not offered"],
    ["tasks[params.text].status", "tasks are read one by one"],
    ["size(tasks)", "tasks are read one by one"],
    ["params.list.map(tasks, tasks.x)", '"tasks" is taken'],
    ["tasks.revenue.state", 'a task has no "state"; it has status and output'],
    ["tasks.a-b.status", 'write tasks["a-b"]'],
    ["params.list.map(a, params.list.map(b, params.list.map(c, a + b + c)))", "at most two deep"],
  ])("%s", (source, reason) => {
    const checked = checkExpression(source);
    expect(checked.ok ? "" : checked.message).toContain(reason);
    expect(failure(() => evaluateExpression(source, scope)).code).toBe("EXPRESSION_FAILED");
  });
});

describe("expressions are bounded", () => {
  it.each([
    ["length", `'${"x".repeat(5_000)}' == ''`, "longer than 4096 characters"],
    ["depth", `${"(".repeat(60)}1${")".repeat(60)}`, "maxDepth"],
    ["list length", `[${"1,".repeat(300)}1]`, "maxListElements"],
    ["size", Array.from({ length: 400 }, () => "1").join("+"), "maxAst"],
  ])("by %s", (_name, source, reason) => {
    const checked = checkExpression(source);
    expect(checked.ok ? "" : checked.message).toContain(reason);
    expect(failure(() => evaluateExpression(source, scope)).message).toContain(reason);
  });
});

describe("expressions that fail when they run", () => {
  it.each([
    ["params.missing", "No such key: missing"],
    ["params.text + 1", "no such overload"],
    ["params.list[9]", "index out of bounds"],
    ["params.n / 0", "division by zero"],
    ["params.ratio / 0", "JSON has no word for"],
    ["9223372036854775807 + params.n", "integer overflow"],
    ["duration('1h')", "convert it with string()"],
  ])("%s", (source, reason) => {
    const error = failure(() => evaluateExpression(source, scope));
    expect(error.code).toBe("EXPRESSION_FAILED");
    expect(error.message).toContain(`expression "${source}"`);
    expect(error.message).toContain(reason);
  });

  it("bounds a walk inside a walk by the lists in reach", () => {
    const source = "params.list.exists(a, params.list.exists(b, a == -b))";
    const list = Array.from({ length: 500 }, (_, index) => index + 1);
    expect(evaluateExpression(source, { ...scope, params: { list } })).toBe(false);
    const error = failure(() => evaluateExpression(source, { ...scope, params: { list: [...list, 501] } }));
    expect(error.message).toContain("501 entries; the limit is 500");
    expect(evaluateExpression("params.list.all(a, a > 0)", { ...scope, params: { list: [...list, 501] } })).toBe(true);
  });
});

describe("conditions", () => {
  it("are bare CEL or exactly one template", () => {
    expect(evaluateCondition("tasks.revenue.status == 'succeeded'", scope)).toBe(true);
    expect(evaluateCondition("${{ run.trigger != 'schedule' }}", scope)).toBe(false);
  });

  it("are true or false, nothing else", () => {
    expect(failure(() => evaluateCondition("params.n", scope)).message).toBe('condition "params.n" gives 5, not true or false');
  });
});

describe("templates", () => {
  it("keep the type of a value that is one expression, and spell out the rest", () => {
    const value = {
      whole: "${{ params.list }}",
      spaced: "  ${{ params.n }} ",
      text: "n=${{ params.n }}, list=${{ params.list }}, null=${{ params.nothing }}, s=${{ params.text }}",
      nested: [{ deep: ["${{ params.nested.deep.value }}", 1, null, true] }],
      plain: "no { braces } $ {{ here }}",
    };
    expect(renderTemplates(value, scope)).toEqual({
      whole: [1, 2, 3],
      spaced: 5,
      text: "n=5, list=[1,2,3], null=null, s=x",
      nested: [{ deep: [true, 1, null, true] }],
      plain: "no { braces } $ {{ here }}",
    });
  });

  it("end at their own braces, not at those of maps and texts", () => {
    expect(renderTemplates('${{ {"a": {"b": params.n}} }}', scope)).toEqual({ a: { b: 5 } });
    expect(renderTemplates('<${{ "}}" }}>', scope)).toBe("<}}>");
    expect(renderTemplates("${{ 'it\\'s }}' }}!", scope)).toBe("it's }}!");
    expect(renderTemplates('literally ${{ "${{" }}', scope)).toBe("literally ${{");
  });

  it("fail by name when they are not closed", () => {
    expect(failure(() => renderTemplates("x ${{ params.n", scope)).code).toBe("EXPRESSION_FAILED");
  });

  it("cost time in proportion to the text", () => {
    const text = "${{".repeat(300_000);
    expect(failure(() => renderTemplates(text, scope)).code).toBe("EXPRESSION_FAILED");
  });

  it("do not change values without templates", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes("${{"));
        expect(JSON.stringify(renderTemplates(JSON.parse(text) as Json, scope))).toBe(text);
      }),
    );
  });

  it("carry any JSON through params unchanged", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as Json;
        expect(renderTemplates("${{ params.value }}", { ...scope, params: { value: plain } })).toEqual(plain);
      }),
    );
  });
});
