/** Which results to give up first when space runs out: those that save the fewest seconds a byte. Pure: no database, no clock. */

/** Something that takes up space: a snapshot over another one, or a thing of its own. */
export type Kept = {
  readonly id: string;
  /** What it stands on, which cannot go while it is there. */
  readonly parent: string | undefined;
  /** What else cannot go while it is there. */
  readonly also: readonly string[];
  /** Bytes that are free when it is gone. */
  readonly bytes: number;
  /** Milliseconds to make it again while what it was made of is there. */
  readonly cost: number;
  /** What else it was made of, and the milliseconds to make that from nothing. */
  readonly inputs: readonly { readonly id: string; readonly rebuild: number }[];
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number;
  /** Somebody needs it: it stays, and what it stands on. */
  readonly held: boolean;
};

/** What was used a week ago is worth half of what was used just now. */
export const halfLife = 7 * 24 * 3_600_000;

/** `worth`, `size` and `heldBy` are of the whole branch: the node and all that stands on it and is still there. */
type Node = Kept & {
  readonly children: Node[];
  readonly over: Node | undefined;
  decay: number;
  gone: boolean;
  worth: number;
  size: number;
  heldBy: number;
};

/**
 * Ids to give up, in this order, until at least `wanted` bytes are free: each time the branch (a snapshot with all that stands on it) that saves the fewest
 * seconds a byte, a result being worth what it costs to make again, what is gone of its inputs included, halved for each `halfLife` since its last use.
 * Children come before what they stand on. Fewer bytes when no more can be had.
 */
export function chooseEvictions(kept: readonly Kept[], wanted: number, now: number): readonly string[] {
  const nodes = plant(kept, now);
  for (const node of nodes.values()) holdOthers(node, nodes, 1);
  const readers = readersOf(nodes.values());
  const left = new Set(nodes.values());
  const chosen: string[] = [];
  for (let free = 0; free < wanted;) {
    const branch = cheapest(left);
    if (branch === undefined) break;
    for (const node of bottomUp(branch)) {
      change(node, { worth: -node.worth, size: -node.bytes });
      node.gone = true;
      holdOthers(node, nodes, -1);
      left.delete(node);
      free += node.bytes;
      chosen.push(node.id);
      for (const [reader, cost] of readers.get(node.id) ?? []) if (!reader.gone) change(reader, { worth: cost * reader.decay, size: 0 });
    }
  }
  return chosen;
}

function plant(kept: readonly Kept[], now: number): ReadonlyMap<string, Node> {
  const nodes = new Map<string, Node>();
  const given = new Map(kept.map((one) => [one.id, one]));
  const make = (one: Kept, over: Node | undefined): void => {
    const decay = 2 ** (-Math.max(0, now - one.lastUsedAt) / halfLife);
    const node: Node = { ...one, over, children: [], decay, gone: false, worth: 0, size: 0, heldBy: 0 };
    nodes.set(one.id, node);
    over?.children.push(node);
    const lost = one.inputs.reduce((sum, input) => sum + (given.has(input.id) ? 0 : input.rebuild), 0);
    change(node, { worth: (one.cost + lost) * decay, size: one.bytes });
    if (one.held) hold(node, 1);
  };
  for (const one of kept) {
    // What it stands on comes first; chains may be thousands long.
    const waiting: Kept[] = [];
    for (let next: Kept | undefined = one; next !== undefined && !nodes.has(next.id); next = given.get(next.parent ?? ''))
      waiting.push(next);
    for (const next of waiting.toReversed()) make(next, nodes.get(next.parent ?? ''));
  }
  return nodes;
}

function hold(node: Node | undefined, by: number): void {
  for (let below = node; below !== undefined; below = below.over) below.heldBy += by;
}

/** What goes with it anyway needs no holding. */
function holdOthers(node: Node, nodes: ReadonlyMap<string, Node>, by: number): void {
  for (const id of node.also) {
    const other = nodes.get(id);
    if (other !== undefined && rootOf(other) !== rootOf(node)) hold(other, by);
  }
}

function rootOf(node: Node): Node {
  let root = node;
  while (root.over !== undefined) root = root.over;
  return root;
}

function change(node: Node, by: { readonly worth: number; readonly size: number }): void {
  for (let below: Node | undefined = node; below !== undefined; below = below.over) {
    below.worth += by.worth;
    below.size += by.size;
  }
}

/** Who was made of what, and what that costs from nothing. */
function readersOf(nodes: Iterable<Node>): ReadonlyMap<string, readonly (readonly [Node, number])[]> {
  const readers = new Map<string, [Node, number][]>();
  for (const node of nodes) {
    for (const { id, rebuild } of node.inputs) {
      const list = readers.get(id) ?? [];
      list.push([node, rebuild]);
      readers.set(id, list);
    }
  }
  return readers;
}

/** Of all branches that nobody needs, the one of the least worth a byte; the smaller one where two are equal. */
function cheapest(nodes: Iterable<Node>): Node | undefined {
  let best: Node | undefined;
  for (const node of nodes) {
    if (node.heldBy > 0 || node.size <= 0) continue;
    if (best === undefined || isCheaper(node, best)) best = node;
  }
  return best;
}

function isCheaper(one: Node, other: Node): boolean {
  const [left, right] = [one.worth * other.size, other.worth * one.size];
  return left < right || (left === right && one.size < other.size);
}

/** What is still there of a branch, children first. */
function bottomUp(root: Node): readonly Node[] {
  const order: Node[] = [];
  const waiting = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    order.push(node);
    for (const child of node.children) if (!child.gone) waiting.push(child);
  }
  return order.toReversed();
}
