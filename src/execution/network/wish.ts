/** What a container is to have of the network, as `create` and `run` were asked for it. It is kept with the container. */
import * as v from 'valibot';
import { JettisonError } from '#ground/base/errors.ts';
import { parseIPv4 } from '#ground/base/ipv4.ts';

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));

/** `-p`: `host` is a range of which one is taken, null for any free port; `address` null for all addresses of the machine. */
const published = v.object({
  address: v.nullable(v.string()),
  host: v.nullable(v.tuple([port, port])),
  port,
  protocol: v.picklist(['tcp', 'udp']),
});

const membership = v.object({ network: v.string(), aliases: v.array(v.string()), address: v.nullable(v.string()) });

/** `default`: a bridge if the machine gives one. `container`: shares that of another container, by its id. `networks`: the first is the one by which ports are published. */
const place = v.variant('kind', [
  v.object({ kind: v.literal('default') }),
  v.object({ kind: v.literal('host') }),
  v.object({ kind: v.literal('none') }),
  v.object({ kind: v.literal('container'), container: v.string() }),
  v.object({ kind: v.literal('networks'), networks: v.array(membership) }),
]);

/** Decodes what was kept with a container. */
export const networkWishSchema = v.object({
  place: v.optional(place, { kind: 'default' }),
  published: v.optional(v.array(published), []),
  publishAll: v.optional(v.boolean(), false),
});

export type NetworkWish = v.InferOutput<typeof networkWishSchema>;
export type NetworkPlace = NetworkWish['place'];
export type Membership = v.InferOutput<typeof membership>;
export type PublishedPort = v.InferOutput<typeof published>;

/** `--ip`. Throws `network/bad-address` for what is no IPv4 address. */
export function checkIPv4(text: string): string {
  if (parseIPv4(text) !== undefined) return text;
  throw new JettisonError('network/bad-address', `invalid IPv4 address: ${text}`, { hint: 'Four numbers from 0 to 255: "172.30.0.5"' });
}

/** What `default` means where nothing else is said (`JETTISON_NETWORK`: `bridge`, `host` or `none`). Throws `network/bad-default`. */
export function placeOfDefault(word: string | undefined): Exclude<NetworkPlace, { kind: 'default' }> {
  if (word === 'host' || word === 'none') return { kind: word };
  if (word === undefined || word === '' || word === 'bridge')
    return { kind: 'networks', networks: [{ network: 'bridge', aliases: [], address: null }] };
  throw new JettisonError('network/bad-default', `JETTISON_NETWORK is "${word}"`, { hint: 'Use "bridge", "host" or "none"' });
}

/** A port that leads into a container, as `ps` and `port` show it. */
export const openPortSchema = v.object({ address: v.string(), host: port, port, protocol: v.picklist(['tcp', 'udp']) });
export type OpenPort = v.InferOutput<typeof openPortSchema>;
