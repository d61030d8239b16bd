// A run's params against the JSON Schema of its pipeline: defaults filled in, every fault at once.

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { DownbeatError } from "../core/errors.ts";
import { formatPath } from "../core/issues.ts";
import type { JsonObject } from "../core/json.ts";
import { LIMITS } from "../core/limits.ts";
import { IssuesError } from "./problem.ts";

const createAjv = (): Ajv2020 => {
  const ajv = new Ajv2020({ allErrors: true, useDefaults: true, strict: false });
  ajvFormats.default(ajv);
  return ajv;
};

const CACHE_SIZE = 500;
const cache = new Map<string, ValidateFunction>();

const validatorOf = (schema: JsonObject, hash: string): ValidateFunction => {
  const known = cache.get(hash);
  if (known !== undefined) return known;
  const validate = createAjv().compile(schema);
  if (cache.size >= CACHE_SIZE) cache.clear();
  cache.set(hash, validate);
  return validate;
};

/** In one line what is wrong with a schema, or undefined. */
export const schemaFault = (schema: JsonObject): string | undefined => {
  try {
    createAjv().compile(schema);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

/** `hash` names the version that the schema belongs to. A pipeline without params takes none. */
export const checkParams = (schema: JsonObject | undefined, hash: string, given: JsonObject): JsonObject => {
  const params = structuredClone(given);
  if (JSON.stringify(params).length > LIMITS.paramsBytes) {
    throw new DownbeatError(
      "PARAMS_INVALID",
      `params are over ${LIMITS.paramsBytes} bytes of JSON; put large values where the pipeline can read them`,
    );
  }
  if (schema === undefined) {
    const names = Object.keys(params);
    if (names.length === 0) return params;
    throw new DownbeatError("PARAMS_INVALID", `this pipeline declares no params, but got: ${names.join(", ")}`);
  }
  const validate = validatorOf(schema, hash);
  if (validate(params)) return params;
  throw new IssuesError(
    "PARAMS_INVALID",
    (validate.errors ?? []).map(({ instancePath, message = "is not valid", params: facts }) => ({
      code: "INVALID_VALUE",
      path: formatPath(["params", ...instancePath.split("/").slice(1)]),
      message: "additionalProperty" in facts ? `${message}: "${String(facts["additionalProperty"])}"` : message,
    })),
  );
};
