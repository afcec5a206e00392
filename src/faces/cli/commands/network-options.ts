/** The options of `run` and `create` about the container's network. */
import { checkIPv4, parsePublished, type NetworkWish } from '#engine/container-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { badValue, flag, list, text, type ValuesOf } from '../option.ts';

export const networkOptions = {
  aliases: list('network-alias', { help: 'Add a network-scoped alias for the container' }),
  expose: list('expose', { help: 'Note a port or a range of ports: "80", "53/udp", "8000-8010"' }),
  ip: text('ip', { help: 'IPv4 address (e.g., 172.30.100.104)' }),
  links: list('link', { help: 'Refused: containers on one network find each other by name' }),
  networks: list('network', { value: 'network', help: '"bridge" (the default), "host", "none", "container:NAME", or a network by name' }),
  networksOld: list('net', { value: 'network', help: 'The same' }),
  publish: list('publish', { short: 'p', help: 'Publish ports of the container to the machine: "[IP:][HOSTPORT:]PORT[/tcp|udp]"' }),
  publishAll: flag('publish-all', { short: 'P', help: 'Publish all exposed ports to random ports' }),
} as const;

export type NetworkOptions = ValuesOf<typeof networkOptions>;
type Membership = Extract<NetworkWish['place'], { kind: 'networks' }>['networks'][number];

/** Throws `network/bad-port`, `network/bad-address`, `cli/usage`, `cli/flag-value`, `cli/not-built`. */
export function networkWish(options: NetworkOptions): NetworkWish {
  if (options.links.length > 0) {
    throw new JettisonError('cli/not-built', 'The option "--link" is not built', {
      hint: 'Make a network (jettison network create NAME) and run both containers with --network NAME: they find each other by name, and by --network-alias',
    });
  }
  const published = options.publish.flatMap((one) => parsePublished(one));
  return { place: placeOf(options), published, publishAll: options.publishAll };
}

function placeOf({ networks, networksOld, aliases, ip }: NetworkOptions): NetworkWish['place'] {
  const words = [...networks, ...networksOld];
  if (ip !== undefined) checkIPv4(ip);
  const [first] = words;
  const isOwn = first !== undefined && first !== 'default';
  if (isOwn && words.length === 1 && (first === 'host' || first === 'none' || first.startsWith('container:'))) {
    if (aliases.length > 0 || ip !== undefined) throw conflict(first);
    return first === 'host' || first === 'none' ? { kind: first } : { kind: 'container', container: otherContainer(first) };
  }
  const odd = words.find((word) => words.length > 1 && (word === 'host' || word === 'none' || word.startsWith('container:')));
  if (odd !== undefined)
    throw new JettisonError(
      'cli/usage',
      `Conflicting options: cannot attach both user-defined and non-user-defined network-modes ("${odd}")`,
    );
  if (!isOwn && words.length <= 1 && aliases.length === 0 && ip === undefined) return { kind: 'default' };
  const members = (isOwn ? words : ['bridge']).map(readMembership);
  return {
    kind: 'networks',
    networks: members.map((one, index) =>
      index === 0 ? { ...one, aliases: [...one.aliases, ...aliases], address: one.address ?? ip ?? null } : one,
    ),
  };
}

function otherContainer(word: string): string {
  const name = word.slice('container:'.length);
  if (name === '') throw badValue('network', word, 'name the container: "container:NAME"');
  return name;
}

/** `NAME`, or docker's long form `name=NAME,alias=A,ip=1.2.3.4`. */
function readMembership(word: string): Membership {
  if (!word.includes('=')) return { network: word, aliases: [], address: null };
  let member: Membership = { network: '', aliases: [], address: null };
  for (const field of word.split(',')) {
    const [name, value] = [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)];
    if (name === 'name') member = { ...member, network: value };
    else if (name === 'alias') member = { ...member, aliases: [...member.aliases, value] };
    else if (name === 'ip') member = { ...member, address: checkIPv4(value) };
    else throw badValue('network', word, `"${name}" is not built: there is "name", "alias" and "ip"`);
  }
  if (member.network === '') throw badValue('network', word, 'it names no network');
  return member;
}

function conflict(mode: string): JettisonError {
  return new JettisonError(
    'cli/usage',
    `Conflicting options: --network-alias and --ip need a network of the container's own, not "${mode}"`,
  );
}
