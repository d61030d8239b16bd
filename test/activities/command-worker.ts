// A worker that runs a shell line as a program and is killed meanwhile. Usage: command-worker.ts LINE

import { runProgram } from "../../connectors/lib/programs/run-program.ts";

const [line = ""] = process.argv.slice(2);
const program = { file: "/bin/sh", args: ["-c", line], cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdin: undefined };
await runProgram(program, new AbortController().signal, (_stream, text) => process.stdout.write(text));
