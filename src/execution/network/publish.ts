/** Reads `-p`, `--publish` and `--expose` as docker does: its forms, and its words for what is none. */
import { isIPv4, isIPv6 } from 'node:net';
import { JettisonError } from '#ground/base/errors.ts';
import type { PublishedPort } from './wish.ts';

type Range = readonly [first: number, last: number];

/**
 * `[[IP:][HOSTPORT]:]PORT[/tcp|udp]`; both ports may be ranges of one length; a range of host ports for one port means any of them. Throws `network/bad-port`.
 */
export function parsePublished(text: string): readonly PublishedPort[] {
  if (text.includes('=')) return parseFields(text);
  const [ports = '', protocolText = 'tcp', ...rest] = text.split('/');
  const protocol = readProtocol(protocolText, rest, text);
  const { address, host, container } = splitParts(ports, text);
  const inside = readRange(container, 'containerPort');
  if (host === '') return each(inside, (port) => ({ address, host: null, port, protocol }));
  const outside = readRange(host, 'hostPort');
  const [few, many] = [inside[1] - inside[0], outside[1] - outside[0]];
  if (few === 0) return [{ address, host: [outside[0], outside[1]], port: inside[0], protocol }];
  if (few !== many) throw badPort(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
  return each(inside, (port) => {
    const same = outside[0] + port - inside[0];
    return { address, host: [same, same], port, protocol };
  });
}

/** `--expose`, EXPOSE: `PORT[-PORT][/tcp|udp]` as `80/tcp`. Throws `network/bad-port`. */
export function parseExposed(text: string): readonly string[] {
  const [ports = '', protocolText = 'tcp', ...rest] = text.split('/');
  const protocol = readProtocol(protocolText, rest, text);
  return each(readRange(ports, 'containerPort'), (port) => `${port}/${protocol}`);
}

/** Docker's long form: `published=8080,target=80,protocol=tcp`. */
function parseFields(text: string): readonly PublishedPort[] {
  const fields = new Map(
    text.split(',').map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)] as const),
  );
  const { target = '', published = '', protocol = 'tcp', mode = 'ingress', ...unknown } = Object.fromEntries(fields);
  const [odd] = Object.keys(unknown);
  if (odd !== undefined) throw badPort(`invalid field key ${odd}`);
  if (mode !== 'ingress' && mode !== 'host') throw badPort(`invalid publish mode (${mode}): must be either 'ingress' or 'host'`);
  return parsePublished(`${published}:${target}/${protocol}`);
}

function splitParts(ports: string, text: string): { readonly address: string | null; readonly host: string; readonly container: string } {
  const [, bracketed, behind] = /^\[([^\]]*)\]:(.*)$/su.exec(ports) ?? [];
  const parts = (behind ?? ports).split(':');
  if (parts.length > (bracketed === undefined ? 3 : 2)) throw badPort(`Invalid ip address: ${parts.slice(0, -2).join(':')}`, text);
  const container = parts.pop() ?? '';
  if (container === '') throw badPort(`no port specified: ${text}<empty>`);
  const host = parts.pop() ?? '';
  const address = bracketed ?? parts.pop() ?? '';
  if (address === '') return { address: null, host, container };
  if (!isIPv4(address) && !isIPv6(address)) throw badPort(`Invalid ip address: ${address}`);
  return { address, host, container };
}

function readRange(text: string, what: 'containerPort' | 'hostPort'): Range {
  const [first, last = first, ...rest] = text.split('-').map((word) => (/^\d{1,5}$/u.test(word) ? Number(word) : Number.NaN));
  if (rest.length > 0 || !isPort(first) || !isPort(last) || last < first) throw badPort(`Invalid ${what}: ${text}`);
  return [first, last];
}

function isPort(port: number | undefined): port is number {
  return port !== undefined && port >= 1 && port <= 65535;
}

function readProtocol(text: string, rest: readonly string[], whole: string): 'tcp' | 'udp' {
  const protocol = text.toLowerCase();
  if (rest.length > 0) throw badPort(`Invalid proto: ${[text, ...rest].join('/')}`);
  if (protocol === 'tcp' || protocol === 'udp') return protocol;
  throw badPort(`Invalid proto: ${text}`, protocol === 'sctp' ? `"${whole}": SCTP is not built yet` : undefined);
}

function each<T>([first, last]: Range, make: (port: number) => T): readonly T[] {
  return Array.from({ length: last - first + 1 }, (_, index) => make(first + index));
}

function badPort(message: string, hint?: string): JettisonError {
  return new JettisonError('network/bad-port', message, {
    hint: hint ?? 'The form is [IP:][HOSTPORT:]PORT[/tcp|udp]: "8080:80", "127.0.0.1:5353:53/udp"',
  });
}
