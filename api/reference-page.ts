// The API reference page: Swagger UI from the package, so that it works without the internet.

import express, { Router } from "express";
import { getAbsoluteFSPath } from "swagger-ui-dist";
import { ERRORS, type ErrorRule } from "../core/errors.ts";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Downbeat API</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/reference/assets/swagger-ui.css"><link rel="icon" href="/reference/assets/favicon-32x32.png">
</head>
<body><div id="swagger-ui"></div>
<script src="/reference/assets/swagger-ui-bundle.js"></script><script src="/reference/start.js"></script>
</body>
</html>`;

const START = 'window.ui = SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });';

/** What the `type` of every problem links to. */
const ERRORS_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Downbeat errors</title><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><h1>Errors</h1>
<table><thead><tr><th>Code</th><th>Meaning</th><th>Status</th><th>Retried</th><th>Whose</th></tr></thead><tbody>
${Object.entries<ErrorRule>(ERRORS)
  .map(
    ([code, { title, http, retry, fault }]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${title.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</td><td>${http}</td><td>${retry ? "yes" : "no"}</td><td>${fault}</td></tr>`,
  )
  .join("\n")}
</tbody></table></body>
</html>`;

export const referencePage = (): Router => {
  const router = Router();
  router.use("/assets", express.static(getAbsoluteFSPath(), { index: false, maxAge: "1d" }));
  router.get("/start.js", (_request, response) => {
    response.type("text/javascript").send(START);
  });
  router.get("/errors", (_request, response) => {
    response.type("html").send(ERRORS_PAGE);
  });
  router.get("/", (_request, response) => {
    response
      .set("content-security-policy", "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'")
      .type("html")
      .send(PAGE);
  });
  return router;
};
