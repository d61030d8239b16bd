// How a definition names a secret that it does not contain.

import { z } from "zod";

/** `of`: whose environment and files it is looked up in. */
export const secretReference = (of: "API" | "worker") =>
  z
    .union([
      z.strictObject({
        env: z
          .string()
          .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no name of an environment variable")
          .describe(`A variable of the ${of}'s environment`),
      }),
      z.strictObject({ file: z.string().min(1).describe(`A file that the ${of} can read`) }),
    ])
    .describe(`Where the ${of} finds the secret: { env: NAME } or { file: PATH }, never the secret itself`);
