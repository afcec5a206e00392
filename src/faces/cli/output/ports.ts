/** Ports as docker's tables show them. */
import type { OpenPort } from '#engine/networks.ts';

/** `0.0.0.0:8080`, `[::]:8080` */
export function printAddress({ address, host }: Pick<OpenPort, 'address' | 'host'>): string {
  return `${address.includes(':') ? `[${address}]` : address}:${host}`;
}

/**
 * The PORTS column, as docker's client writes it: ports that are only exposed (`80-81/tcp`) and those that have the same number outside (`0.0.0.0:80->80/tcp`) as
 * ranges where they follow each other, then the others one by one (`[::]:8080->80/tcp`).
 */
export function printPorts(open: readonly OpenPort[], exposed: readonly string[]): string {
  const isPublished = (text: string): boolean => open.some(({ port, protocol }) => `${port}/${protocol}` === text);
  const closed = exposed.filter((text) => !isPublished(text)).map((text) => ({ key: text.split('/')[1] ?? '', port: parseInt(text, 10) }));
  const sorted = open.toSorted((one, other) => one.port - other.port || (one.address < other.address ? -1 : 1) || one.host - other.host);
  const equal = sorted
    .filter(({ host, port }) => host === port)
    .map(({ address, protocol, port }) => ({ key: `${address}/${protocol}`, port }));
  const ranges = [...closed, ...equal].toSorted((one, other) => one.port - other.port);
  const groups = Map.groupBy(ranges, ({ key }) => key);
  const others = sorted.filter(({ host, port }) => host !== port).map((one) => `${printAddress(one)}->${one.port}/${one.protocol}`);
  return [...[...groups].flatMap(([key, group]) => runsOf(group.map(({ port }) => port)).map((run) => printRun(key, run))), ...others].join(
    ', ',
  );
}

type Run = { readonly first: number; last: number };

function runsOf(ports: readonly number[]): readonly Run[] {
  const runs: Run[] = [];
  for (const port of ports) {
    const run = runs.at(-1);
    if (run !== undefined && port === run.last + 1) run.last = port;
    else runs.push({ first: port, last: port });
  }
  return runs;
}

/** `key`: a protocol, or an address of the host and a protocol. */
function printRun(key: string, { first, last }: Run): string {
  const range = first === last ? String(first) : `${first}-${last}`;
  const slash = key.lastIndexOf('/');
  if (slash < 0) return `${range}/${key}`;
  const address = key.slice(0, slash);
  return `${address.includes(':') ? `[${address}]` : address}:${range}->${range}/${key.slice(slash + 1)}`;
}
