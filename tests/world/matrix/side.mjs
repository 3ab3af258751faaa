// One side of the comparison: an origin and the way to it, with Pollcast or without.

import { Origin } from '../lib/origin.mjs';
import { Pollcast } from '../lib/pollcast.mjs';
import { Tap } from '../lib/tap.mjs';

export class Side {
  static async start(t, { pages, browser, direct }) {
    const side = new Side();
    Object.assign(side, { browser, direct });
    side.origin = await Origin.start(pages);
    t.after(() => side.origin.stop());
    if (!direct) {
      side.pollcast = await Pollcast.start(side.origin.base);
      t.after(() => side.pollcast.stop());
    }
    side.tap = await Tap.start(() => {
      const { hostname: host, port } = new URL(side.inner);
      return { host, port: Number(port) };
    });
    t.after(() => side.tap.refuse());
    return side;
  }

  /** Where requests go behind the tap. */
  get inner() {
    return this.pollcast?.base ?? this.origin.base;
  }

  /** From now on nobody gets through: connections are refused, and Pollcast dies without a goodbye. */
  async fall() {
    await this.tap.refuse();
    await this.pollcast?.kill();
  }

  async rise() {
    await this.pollcast?.launch();
    await this.tap.open();
  }
}
