// Fetches things one after the other, each beside the work on the one before.

/** What is given belongs to whoever asked for it. What nobody asks for any more is stopped, and disposed of. */
export async function* fetchAhead<Item, Fetched extends AsyncDisposable>(
  items: readonly Item[],
  fetch: (item: Item, signal: AbortSignal) => Promise<Fetched>,
): AsyncGenerator<readonly [Item, Fetched]> {
  const unasked = new AbortController();
  const begin = (place: number): Promise<Fetched> | undefined => {
    const item = items[place];
    const begun = item === undefined ? undefined : fetch(item, unasked.signal);
    // A failure is thrown when its turn comes; until then it must not count as unhandled.
    begun?.catch(() => undefined);
    return begun;
  };
  let next = begin(0);
  try {
    for (const [place, item] of items.entries()) {
      const fetched = await next;
      if (fetched === undefined) return;
      next = begin(place + 1);
      yield [item, fetched];
    }
  } finally {
    unasked.abort();
    const left = await next?.catch(() => undefined);
    await left?.[Symbol.asyncDispose]();
  }
}
