/** EXPOSE: `80`, `80/udp`, `8000-8010/tcp`; a host part (`127.0.0.1:80:80`) is read and dropped, as BuildKit does. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';

export type PortSpec = { readonly address: string; readonly hostPort: string; readonly port: string; readonly protocol: string };

/** Cuts a word of EXPOSE into its parts; the protocol is as written, '' for none. */
export function splitPort(text: string): PortSpec {
  const parts = text.split(':');
  const [port = '', ...protocol] = (parts.at(-1) ?? '').split('/');
  return {
    address: parts.slice(0, -2).join(':'),
    hostPort: parts.length > 1 ? (parts.at(-2) ?? '') : '',
    port,
    protocol: protocol.join('/'),
  };
}

/** `80/tcp` for each port of the word. Throws `dockerfile/bad-port`. */
export function parsePorts(text: string, at: readonly Span[]): readonly string[] {
  const fail = (message: string): never => {
    throw new JettisonError('dockerfile/bad-port', message, { at, hint: 'Write EXPOSE 80, 80/udp or 8000-8010; ports go from 0 to 65535' });
  };
  const spec = splitPort(text);
  const protocol = spec.protocol.toLowerCase() || 'tcp';
  if (spec.port === '') fail(`Invalid port: "${text}": no port specified`);
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) fail(`Invalid port: "${text}": invalid proto: ${spec.protocol}`);
  if (spec.address !== '' && !/^[\d.]+$|^\[?[\da-f:.]+\]?$/iu.test(spec.address)) fail(`Invalid IP address: ${spec.address}`);
  const range = parseRange(spec.port) ?? fail(`Invalid containerPort: ${spec.port}`);
  if (spec.hostPort !== '') {
    const host = parseRange(spec.hostPort) ?? fail(`Invalid hostPort: ${spec.hostPort}`);
    if (range.last !== range.first && range.last - range.first !== host.last - host.first)
      fail(`Invalid ranges specified for container and host Ports: ${spec.port} and ${spec.hostPort}`);
  }
  return Array.from({ length: range.last - range.first + 1 }, (_, index) => `${range.first + index}/${protocol}`);
}

function parseRange(text: string): { readonly first: number; readonly last: number } | undefined {
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/u.exec(text);
  if (!match) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first <= last && last <= 65_535 ? { first, last } : undefined;
}
