// The demo's activation target: an HTTP receiver that remembers which delivery keys it saw, and how often.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export class WebhookReceiver {
  readonly #server: Server;
  readonly #deliveries = new Map<string, number>();

  constructor() {
    this.#server = createServer((request, response) => {
      request.resume().on("end", () => {
        // The connection's check asks with GET; deliveries come by POST.
        if (request.method === "POST") {
          const key = String(request.headers["idempotency-key"] ?? "(none)");
          this.#deliveries.set(key, (this.#deliveries.get(key) ?? 0) + 1);
        }
        response.writeHead(200, { "content-type": "application/json" }).end('{"ok":true}');
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get distinctKeys(): number {
    return this.#deliveries.size;
  }

  get deliveries(): number {
    return [...this.#deliveries.values()].reduce((sum, count) => sum + count, 0);
  }

  get hasUnkeyed(): boolean {
    return this.#deliveries.has("(none)");
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
