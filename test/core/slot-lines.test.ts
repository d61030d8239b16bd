// The lines in which a run's tasks wait for slots: few of them have asked, the urgent and the old first, and everybody's turn comes.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MOST_ASKING, SlotLines } from "../../workflows/slot-lines.ts";

describe("the lines of a run's tasks", () => {
  it("let a few of each priority ask, and then one for each that is answered, by age", () => {
    const wish = fc.record({ priority: fc.integer({ min: 1, max: 5 }), since: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 8 * MOST_ASKING }), (wishes) => {
        const asked: (typeof wishes)[number][] = [];
        const lines = new SlotLines<(typeof wishes)[number]>(
          (one) => void asked.push(one),
          () => true,
        );
        for (const one of wishes) lines.join("few", one);
        for (let answered = 0; answered < asked.length; answered += 1) {
          for (const priority of [1, 2, 3, 4, 5])
            expect(asked.slice(answered).filter((one) => one.priority === priority).length).toBeLessThanOrEqual(MOST_ASKING);
          const behind = lines.behind("few");
          lines.leave("few", asked[answered] ?? { priority: 0, since: 0 });
          const next = behind.find((one) => !lines.behind("few").includes(one));
          if (next !== undefined)
            expect(next.since).toBe(Math.min(...behind.filter(({ priority }) => priority === next.priority).map(({ since }) => since)));
        }
        expect(asked.length).toBe(wishes.length);
      }),
    );
  });
});
